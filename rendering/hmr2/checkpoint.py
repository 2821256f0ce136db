"""Reads the 4D-Humans checkpoint: a Lightning ``.ckpt``, or the same weights as ``.safetensors``.

A ``.ckpt`` is a pickle. It is read with ``weights_only=True``: nothing that the file names is
imported or called. The objects of the training configuration that lie beside the weights come back
as empty dictionaries; any other name makes the file refused.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors.torch import load_file
from torch import Tensor

from rendering.hmr2.network import Hmr2Network
from rendering.hmr2.settings import BackboneSettings, HeadSettings

IGNORED_PREFIXES = ("smpl.", "discriminator.")
IGNORED_NAMES = ("initialized",)
"""What the checkpoint holds beside the network: the body model, the training's critic, a mark."""

_CONFIGURATION_NAMES = (
    *(f"builtins.{name}" for name in ("bool", "dict", "float", "int", "list", "str", "tuple")),
    "collections.defaultdict",
    "omegaconf.base.ContainerMetadata",
    "omegaconf.base.Metadata",
    "omegaconf.dictconfig.DictConfig",
    "omegaconf.listconfig.ListConfig",
    *(
        f"omegaconf.nodes.{name}Node"
        for name in ("Any", "Boolean", "Bytes", "Enum", "Float", "Integer", "Path", "String")
    ),
    "pathlib.PosixPath",
    "typing.Any",
    "yacs.config.CfgNode",
)


class _Configuration:
    """Stands in for every class of the training configuration; making one gives a dictionary."""

    def __new__(cls, *_: object) -> OrderedDict[str, object]:
        return OrderedDict()


def load_network(path: Path, backbone: BackboneSettings, head: HeadSettings) -> Hmr2Network:
    """The regressor with a checkpoint's weights, in float32, for inference.

    Raises:
        ValueError: The file is not there, cannot be read safely, or its names and shapes are not
            those of a network of these sizes; the message lists what is missing, unexpected and
            of another shape.
    """
    with torch.device("meta"):
        network = Hmr2Network(backbone, head)
    weights = {
        name: tensor
        for name, tensor in read_weights(path).items()
        if not name.startswith(IGNORED_PREFIXES) and name not in IGNORED_NAMES
    }
    _check_names(weights, network.state_dict(), path)
    network.load_state_dict({name: w.float() for name, w in weights.items()}, assign=True)
    return network.eval().requires_grad_(False)


def read_weights(path: Path) -> dict[str, Tensor]:
    """All tensors of a checkpoint by name, on the CPU, mapped from the file where possible.

    Raises:
        ValueError: The file is not there, holds no weights, or names what is not allowed.
    """
    if not path.is_file():
        raise ValueError(f"there is no HMR2 checkpoint at {path}; see 'Regressors' in the runbook")
    if path.suffix == ".safetensors":
        return load_file(path)
    try:
        with torch.serialization.safe_globals([(_Configuration, n) for n in _CONFIGURATION_NAMES]):
            content = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
    except (UnpicklingError, RuntimeError, ValueError, TypeError, EOFError) as error:
        raise ValueError(
            f"{path} cannot be read as weights alone ({str(error).splitlines()[0]}); convert it to "
            ".safetensors where 4D-Humans is installed ('Regressors' in the runbook)"
        ) from error
    weights = content.get("state_dict") if isinstance(content, dict) else None
    if not isinstance(weights, dict) or not all(map(torch.is_tensor, weights.values())):
        raise ValueError(f"{path} holds no 'state_dict' of tensors, as a Lightning checkpoint does")
    return weights


def _check_names(weights: Mapping[str, Tensor], expected: Mapping[str, Tensor], path: Path) -> None:
    missing = sorted(expected.keys() - weights.keys())
    unexpected = sorted(weights.keys() - expected.keys())
    shapes = [
        f"{name} {tuple(weights[name].shape)} instead of {tuple(expected[name].shape)}"
        for name in sorted(expected.keys() & weights.keys())
        if weights[name].shape != expected[name].shape
    ]
    if missing or unexpected or shapes:
        raise ValueError(
            f"{path} is not an HMR2 checkpoint of these sizes: missing {missing}, "
            f"unexpected {unexpected}, of another shape {shapes}"
        )

"""diffusers' layout: a folder a model, which its ``from_pretrained`` loads.

``unet/`` (the denoiser's spatial layers) and ``reference_unet/`` are ``UNet2DConditionModel``,
``motion_adapter/`` is a ``MotionAdapter``; diffusers knows no guidance encoders, so that
``guidance_encoder_<map>/`` has the official names. ``champ.json`` has the sizes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from training.champ.base_models import TAIL
from training.champ.motion_weights import (
    DENOISER,
    is_motion,
    is_projection_out,
    new_adapter,
)
from training.champ.official_names import DENOISER_FILE, official_place
from training.champ.reference import build_reference_net
from training.champ.settings import NetworkSettings
from training.champ.sizes import Sizes, write_sizes
from training.champ.weight_files import (
    Told,
    as_dtype,
    check_shapes,
    read_weights,
    refuse_names,
    write_safetensors,
    write_whole,
)

WEIGHTS_FILE = "diffusion_pytorch_model.safetensors"
REFERENCE = "reference_unet"
UNET = "unet"
ADAPTER = "motion_adapter"
_TAIL_NAMES = tuple(f"{part}{kind}" for part in TAIL for kind in ("weight", "bias"))


def is_diffusers_export(folder: Path) -> bool:
    """Whether a folder has both U-Nets, as an export has."""
    return all((folder / name / "config.json").is_file() for name in (UNET, REFERENCE))


def folder_place(name: str, settings: NetworkSettings) -> tuple[str, str]:
    """Folder and name of a weight of ``ChampNetwork`` in this layout."""
    if is_motion(name):
        return ADAPTER, name.removeprefix(DENOISER)
    file, there = official_place(name, settings)
    return (UNET if file == DENOISER_FILE else Path(file).stem), there


def write_diffusers(
    folder: Path,
    weights: dict[str, Tensor],
    sizes: Sizes,
    *,
    dtype: torch.dtype | None = None,
    told: Told | None = None,
) -> None:
    """Write a network as diffusers' folders.

    Where diffusers wants weights that the network has not, they are such that they change nothing:
    an output convolution of the reference net that gives zero, and motion modules whose projection
    out is zero on levels without any.

    Args:
        folder: Made if need be.
        weights: By our names. It is emptied on the way, which gives memory back.
        sizes: Of the network.
        dtype: To convert to; None keeps every weight's own.
        told: Hears of each folder.
    """
    settings = sizes.settings
    configs, fillers = _configs(sizes), _fillers(weights, sizes)
    places: dict[str, dict[str, str]] = {}
    for name in weights:
        part, there = folder_place(name, settings)
        places.setdefault(part, {})[name] = there
    for part, names in places.items():
        (folder / part).mkdir(parents=True, exist_ok=True)
        theirs = {there: as_dtype(weights.pop(name), dtype) for name, there in names.items()}
        filler = {name: as_dtype(w, dtype) for name, w in fillers.get(part, {}).items()}
        path = folder / part / WEIGHTS_FILE
        write_safetensors(path, theirs | filler)
        _write_text(folder / part / "config.json", configs[part])
        if told:
            told(f"wrote {part}/{path.name}", path.stat().st_size)
    write_sizes(folder, sizes)


def read_diffusers(
    folder: Path, expected: Mapping[str, Tensor], settings: NetworkSettings
) -> tuple[dict[str, Tensor], dict[str, list[str]]]:
    """Our names for the weights of such folders, in memory maps.

    Args:
        folder: As ``write_diffusers`` wrote it.
        expected: Names and shapes, from ``release.meta_network``.
        settings: Sizes of the network.

    Returns:
        The weights, and by folder what ``write_diffusers`` had filled in and is left out.

    Raises:
        ValueError: A file is missing or damaged, a name is missing or over, a shape differs, or a
            weight that was filled in is not what it was.
    """
    places: dict[str, dict[str, str]] = {}
    for name in expected:
        part, there = folder_place(name, settings)
        places.setdefault(part, {})[there] = name
    with torch.device("meta"):
        filled = {REFERENCE: {*_TAIL_NAMES}, ADAPTER: {*new_adapter(settings).state_dict()}}
    weights: dict[str, Tensor] = {}
    left: dict[str, list[str]] = {}
    for part, names in places.items():
        path = folder / part / WEIGHTS_FILE
        theirs = read_weights(path)
        left[part] = sorted(filled.get(part, set()) & theirs.keys() - names.keys())
        _check_fillers(path, {name: theirs[name] for name in left[part]})
        refuse_names(path, names.keys() - theirs.keys(), theirs.keys() - {*names, *left[part]})
        check_shapes(path, {there: expected[name] for there, name in names.items()}, theirs)
        weights |= {name: theirs[there] for there, name in names.items()}
    return weights, {part: names for part, names in left.items() if names}


def _configs(sizes: Sizes) -> dict[str, str]:
    """``config.json`` of each folder."""
    settings = sizes.settings
    with torch.device("meta"):
        unet, adapter = build_reference_net(settings), new_adapter(settings)
    guidance = {
        "_class_name": "GuidanceEncoder",
        "guidance_embedding_channels": settings.embed_dim,
        "guidance_input_channels": 3,
        "block_out_channels": settings.guidance_channels,
        "attention_num_heads": settings.guidance_num_attention_heads,
        "norm_num_groups": settings.guidance_norm_num_groups,
    }
    encoders = {
        f"guidance_encoder_{name}": json.dumps(guidance, indent=1) for name in settings.maps
    }
    unets = dict.fromkeys((UNET, REFERENCE), unet.to_json_string())
    return {**unets, ADAPTER: adapter.to_json_string(), **encoders}


def _fillers(weights: Mapping[str, Tensor], sizes: Sizes) -> dict[str, dict[str, Tensor]]:
    """By folder, the weights that diffusers wants and the network has not."""
    tail = {n.removeprefix(DENOISER): w for n, w in weights.items() if n.startswith(DENOISER)}
    tail = {n: w for n, w in tail.items() if n.startswith(TAIL)}
    reference = {n: torch.full(w.shape, _neutral(n), dtype=w.dtype) for n, w in tail.items()}
    if not sizes.motion or all(sizes.settings.motion_levels):
        return {REFERENCE: reference}
    like = next(w for name, w in weights.items() if is_motion(name))
    new = new_adapter(sizes.settings).state_dict().items()
    motion = {n: w.to(like.dtype) for n, w in new if f"{DENOISER}{n}" not in weights}
    return {REFERENCE: reference, ADAPTER: motion}


def _neutral(name: str) -> float:
    """The value of a filled in weight: a norm that scales by one, a convolution to zero."""
    return 1.0 if name == "conv_norm_out.weight" else 0.0


def _check_fillers(path: Path, fillers: Mapping[str, Tensor]) -> None:
    """Refuse weights without a place in the network that do change something.

    Of a motion module only the projection out need be zero for it to change nothing.
    """
    for name, value in fillers.items():
        decides = name.startswith(TAIL) or is_projection_out(name)
        if decides and not bool((value == _neutral(name)).all()):
            raise ValueError(f"{path}: {name} has values, but the network has no place for them")


def _write_text(path: Path, text: str) -> None:
    write_whole(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))

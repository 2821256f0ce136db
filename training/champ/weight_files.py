"""Files of weights: read through a memory map and never unpickled; written whole or not at all."""

from __future__ import annotations

import os
import pickle
import re
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from dataset.durable import sync

Told = Callable[[str, int], None]
"""Hears of long work: what was just read or written, and how many bytes that was."""

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
"""What weights may be converted to, by the names that are shown and typed."""

_FORBIDDEN = re.compile(r"GLOBAL (\S+)")
_DAMAGED = (RuntimeError, EOFError, OSError, ValueError, LookupError, TypeError, AttributeError)
"""What torch raises on the way through bytes that are no checkpoint."""


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a ``.safetensors`` file, or of a ``.pth``, ``.bin`` or ``.ckpt`` file.

    They lie in a memory map: no weight is read before it is used (but for PyTorch's format before
    1.6, which cannot be mapped). Weights under a ``state_dict`` key, and names that all begin with
    ``module.``, are taken out of that.

    Raises:
        ValueError: The file is missing, damaged, or holds other things than tensors by name; none
            of those is ever unpickled.
    """
    if not path.is_file():
        raise ValueError(f"{path.parent} has no {path.name}")
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    return _tensors_by_name(path, _read_pickled(path))


def write_safetensors(path: Path, weights: Mapping[str, Tensor]) -> None:
    """Write one file, whole or not at all."""
    write_whole(path, lambda temporary: save_file(dict(weights), temporary, {"format": "pt"}))


def write_torch(path: Path, weights: Mapping[str, Tensor]) -> None:
    """Write a plain state dict that ``torch.load(weights_only=True)`` reads; whole or not at all.

    A tensor that is a part of a larger one is copied: torch would write the larger one.
    """
    plain = {
        name: w.clone() if w.untyped_storage().nbytes() > w.nbytes else w
        for name, w in weights.items()
    }
    write_whole(path, lambda temporary: torch.save(plain, temporary))


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a file under another name, and give it its own when it is complete."""
    temporary = path.with_name(f"{path.name}.tmp")
    try:
        write(temporary)
        sync(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def as_dtype(value: Tensor, dtype: torch.dtype | None) -> Tensor:
    """A weight on the CPU, to be written, as another type; None keeps its own."""
    return value.detach().to("cpu", dtype or value.dtype).contiguous()


def dtype_name(weights: Iterable[Tensor]) -> str:
    """``float16``, or ``float16+float32`` where weights have several types."""
    return "+".join(sorted({str(w.dtype).removeprefix("torch.") for w in weights}))


def refuse_names(path: Path, missing: Iterable[str], unexpected: Iterable[str]) -> None:
    """``ValueError`` that lists the names, if there are any."""
    missing, unexpected = sorted(missing), sorted(unexpected)
    if missing or unexpected:
        raise ValueError(
            f"{path} does not fit the network: missing {missing or 'nothing'}, "
            f"unexpected {unexpected or 'nothing'}"
        )


def check_shapes(path: Path, ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> None:
    """``ValueError`` that lists the weights of ``ours`` that have another shape in ``theirs``."""
    different = {
        name: f"expected {tuple(value.shape)}, got {tuple(theirs[name].shape)}"
        for name, value in ours.items()
        if value.shape != theirs[name].shape
    }
    if different:
        raise ValueError(f"{path} has other shapes than the network: {different}")


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged or truncated: {error}") from error


def _read_pickled(path: Path) -> Any:
    with path.open("rb") as file:
        zipped = file.read(2) == b"PK"
    if zipped and not zipfile.is_zipfile(path):
        raise ValueError(f"{path} is damaged or truncated: its end is missing")
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except pickle.UnpicklingError as error:
        named = _FORBIDDEN.search(str(error))
        if named:
            raise ValueError(
                f"{path} is refused: it asks for {named.group(1)}, which is no tensor and could "
                "run code; nothing of it was run"
            ) from error
        raise ValueError(f"{path} is damaged, or no file of weights") from error
    except _DAMAGED as error:
        raise ValueError(f"{path} is damaged, or no file of weights: {error}") from error


def _tensors_by_name(path: Path, read: object) -> dict[str, Tensor]:
    if isinstance(read, dict) and isinstance(read.get("state_dict"), dict):
        read = read["state_dict"]
    if not isinstance(read, dict) or not read:
        raise ValueError(f"{path} holds a {type(read).__name__}, expected tensors by name")
    others = [name for name, value in read.items() if not isinstance(value, Tensor)]
    if others:
        raise ValueError(f"{path} holds other things than tensors: {sorted(map(str, others))}")
    if all(str(name).startswith("module.") for name in read):  # saved from a parallel wrapper
        return {str(name).removeprefix("module."): value for name, value in read.items()}
    return {str(name): value for name, value in read.items()}

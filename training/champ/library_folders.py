"""Model folders of diffusers and transformers: ``config.json`` and one file of weights."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

import torch

from training.champ.weight_files import read_weights

WEIGHTS = (
    "diffusion_pytorch_model.safetensors",
    "model.safetensors",
    "diffusion_pytorch_model.bin",
    "pytorch_model.bin",
)
"""Names of the one file, the preferred first."""

NO_WEIGHTS = ("position_ids",)
"""Ends of names that transformers once saved and that are counted out anew today."""


class LibraryModel(Protocol):
    """What diffusers' and transformers' models have in common."""

    def save_pretrained(self, save_directory: str) -> object:
        """Write the model's folder."""
        ...


def library_weights(folder: Path, what: str) -> Path:
    """The file of weights in a model folder, which is read once with nothing unpickled.

    Raises:
        ValueError: The folder is none of ``what``, or the file is damaged or not of tensors alone.
    """
    if not (folder / "config.json").is_file():
        raise ValueError(f"{folder} is no {what}: config.json is missing")
    found = next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)
    if found is None:
        raise ValueError(f"{folder} is no {what}: it has none of {', '.join(WEIGHTS)}")
    read_weights(found)
    return found


def stored_dtype(folder: Path, what: str) -> torch.dtype:
    """The type of a model folder's weights: that of the first."""
    return next(iter(read_weights(library_weights(folder, what)).values())).dtype


def check_loaded(folder: Path, told: Mapping[str, Iterable[object]]) -> None:
    """Refuse what a library fills with random weights, or leaves out, on its own.

    Args:
        folder: To be named.
        told: The library's loading info.

    Raises:
        ValueError: Weights are missing, over, or of another shape.
    """
    unexpected = [n for n in told["unexpected_keys"] if not str(n).endswith(NO_WEIGHTS)]
    for what, names in (
        ("lacks weights", told["missing_keys"]),
        ("has unexpected weights", unexpected),
        ("has weights of another shape", told["mismatched_keys"]),
    ):
        listed = sorted(map(str, names))
        if listed:
            raise ValueError(f"{folder} {what}: {listed}")


def save_library_model(model: LibraryModel, folder: Path) -> None:
    """Write a model as safetensors; each file is whole or absent, ``config.json`` the last."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".saving-") as temporary:
        model.save_pretrained(temporary)
        written = sorted(Path(temporary).iterdir(), key=lambda path: path.name == "config.json")
        for path in written:  # the configuration last: a folder with one is complete
            os.replace(path, folder / path.name)

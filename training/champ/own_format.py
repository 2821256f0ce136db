"""Our own checkpoint folder: safetensors by part of the network, and a description with hashes.

A folder holds ``reference_unet.safetensors``, ``denoising_unet.safetensors`` (spatial layers),
``motion_module.safetensors`` and a ``guidance_encoder_<map>.safetensors`` per map, each split where
it is larger than a limit, and ``network.json``, written last. Format 1 had all weights in one
``network.safetensors`` and no hashes; it is still read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from huggingface_hub import split_state_dict_into_shards_factory
from pydantic import Field, ValidationError
from torch import Tensor

from dataset.durable import sync
from dataset.fingerprint import file_sha256
from dataset.settings import Settings
from training.champ.official_names import official_place
from training.champ.settings import NetworkSettings
from training.champ.weight_files import (
    Told,
    as_dtype,
    dtype_name,
    read_weights,
    write_safetensors,
    write_whole,
)

SETTINGS_FILE = "network.json"
FORMAT = 2
FORMAT_1_WEIGHTS = "network.safetensors"
MAX_FILE_BYTES = 5 * 10**9


class WeightsFile(Settings):
    """What ``network.json`` says of a file of weights."""

    bytes: int = Field(ge=0, description="Its size.")
    sha256: str = Field(description="Of its content, in hexadecimal.")


class Description(Settings):
    """The content of ``network.json``."""

    format: int = Field(default=FORMAT, description="Of the folder.")
    motion: bool = Field(description="Whether the network has motion modules.")
    dtype: str = Field(default="", description="Types of the weights; empty in format 1.")
    settings: NetworkSettings = Field(description="Sizes of the network.")
    files: dict[str, WeightsFile] = Field(default={}, description="By name; empty in format 1.")

    @property
    def file_names(self) -> list[str]:
        """The files of weights."""
        return list(self.files) or [FORMAT_1_WEIGHTS]


def is_own_folder(folder: Path) -> bool:
    """Whether a folder says that it is one of ours."""
    return (folder / SETTINGS_FILE).is_file()


def read_description(folder: Path) -> Description:
    """Read ``network.json``; files that are missing, or not among those it lists, are refused.

    Raises:
        ValueError: The folder is none of ours, of another format, incomplete, or has weights that
            are not its own.
    """
    path = folder / SETTINGS_FILE
    if not path.is_file():
        raise ValueError(f"{folder} is no saved network: {SETTINGS_FILE} is missing{_hint(folder)}")
    try:
        description = Description.model_validate_json(path.read_text(encoding="utf-8"))
    except (ValidationError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is damaged, or of another program: {error}") from error
    if description.format not in (1, FORMAT):
        raise ValueError(f"{path} has format {description.format!r}, expected {FORMAT} or 1")
    for name in description.file_names:
        if Path(name).name != name or not (folder / name).is_file():
            raise ValueError(f"{folder} is no saved network: {name} is missing")
    foreign = {file.name for file in folder.glob("*.safetensors")} - {*description.file_names}
    if foreign:
        raise ValueError(
            f"{folder} has weights that {SETTINGS_FILE} does not list: {sorted(foreign)}; move "
            "them elsewhere"
        )
    return description


def read_files(
    folder: Path,
    description: Description,
    *,
    wanted: Callable[[str], bool] | None = None,
    check: bool = True,
    told: Told | None = None,
) -> Iterator[tuple[Path, dict[str, Tensor]]]:
    """Each file with those of its weights that are wanted (None: all), in a memory map.

    Files without any are skipped; the others are compared with their sizes and hashes first.

    Raises:
        ValueError: A file is damaged.
    """
    for name in description.file_names:
        path, listed = folder / name, description.files.get(name)
        _check_size(path, listed)
        weights = {n: w for n, w in read_weights(path).items() if not wanted or wanted(n)}
        if weights:
            if check and listed:
                _check_hash(path, listed, told)
            yield path, weights


def _check_size(path: Path, listed: WeightsFile | None) -> None:
    size = path.stat().st_size
    if listed and size != listed.bytes:
        raise ValueError(
            f"{path} is damaged or truncated: {size} bytes, {SETTINGS_FILE} says {listed.bytes}"
        )


def _check_hash(path: Path, listed: WeightsFile, told: Told | None) -> None:
    if file_sha256(path) != listed.sha256:
        raise ValueError(
            f"{path} is damaged or another network's: its SHA-256 is not that of {SETTINGS_FILE}"
        )
    if told:
        told(f"checked {path.name}", listed.bytes)


def write_folder(
    folder: Path,
    weights: dict[str, Tensor],
    settings: NetworkSettings,
    *,
    motion: bool,
    dtype: torch.dtype | None = None,
    max_file_bytes: int = MAX_FILE_BYTES,
    told: Told | None = None,
) -> Description:
    """Write a checkpoint, file by file, each whole or not at all, ``network.json`` last.

    Args:
        folder: Made if need be; a checkpoint there is replaced.
        weights: By the names of ``ChampNetwork.state_dict``. It is emptied on the way, so that
            memory and maps are given back as soon as their weights are on disk.
        settings: Sizes of the network.
        motion: Whether it has motion modules.
        dtype: To convert to; None keeps every weight's own.
        max_file_bytes: Larger parts are split, where one tensor is not larger itself.
        told: Hears of each file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    old = _listed_before(folder)
    types, files = dtype_name(as_types(weights, dtype)), {}
    for name, tensors in _split(weights, settings, dtype, max_file_bytes).items():
        path = folder / name
        write_safetensors(path, {n: as_dtype(weights.pop(n), dtype) for n in tensors})
        files[name] = WeightsFile(bytes=path.stat().st_size, sha256=file_sha256(path))
        if told:
            told(f"wrote {name}", files[name].bytes)
    description = Description(motion=motion, dtype=types, settings=settings, files=files)
    text = description.model_dump_json(indent=1)
    write_whole(folder / SETTINGS_FILE, lambda path: path.write_text(text, encoding="utf-8"))
    for name in old - files.keys():
        (folder / name).unlink(missing_ok=True)
    sync(folder)
    return description


def as_types(weights: dict[str, Tensor], dtype: torch.dtype | None) -> list[Tensor]:
    """Tensors of the types that the weights will have, without their content."""
    return [torch.empty(0, dtype=dtype or value.dtype) for value in weights.values()]


def _split(
    weights: dict[str, Tensor],
    settings: NetworkSettings,
    dtype: torch.dtype | None,
    max_file_bytes: int,
) -> dict[str, list[str]]:
    """Names of files and of the weights in them: by part, and parts by size."""
    parts: dict[str, dict[str, Tensor]] = {}
    for name, value in weights.items():
        part = Path(official_place(name, settings)[0]).stem
        parts.setdefault(part, {})[name] = value
    files: dict[str, list[str]] = {}
    for part, values in parts.items():
        files |= split_state_dict_into_shards_factory(
            values,
            get_storage_size=lambda w: w.numel() * (dtype or w.dtype).itemsize,
            filename_pattern=f"{part}{{suffix}}.safetensors",
            max_shard_size=max_file_bytes,
        ).filename_to_tensors
    return files


def _listed_before(folder: Path) -> set[str]:
    """Files of the checkpoint that is being replaced."""
    if not is_own_folder(folder):
        return set()
    try:
        return {*read_description(folder).file_names}
    except ValueError:  # it cannot be read anyway: what is left of it is named when this one is
        return set()


def _hint(folder: Path) -> str:
    if any(folder.glob("*.pth")) or any(folder.glob("*/*.pth")):
        return "; for the official release's layout run `champ checkpoint import` first"
    if (folder / "unet" / "config.json").is_file():
        return "; for base models or diffusers' layout run `champ checkpoint import` first"
    return ""

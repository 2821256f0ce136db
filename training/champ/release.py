"""The official release's layout: seven ``.pth`` files of plain state dicts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from training.champ.network import ChampNetwork
from training.champ.official_names import (
    DENOISER_FILE,
    MOTION_FILE,
    POSITIONS,
    POSITIONS_COPY,
    REFERENCE_FILE,
    guidance_file,
    is_dead,
    official_place,
    with_position_copies,
)
from training.champ.settings import NetworkSettings
from training.champ.sizes import Sizes, infer_settings, write_sizes
from training.champ.weight_files import (
    Told,
    as_dtype,
    check_shapes,
    read_weights,
    refuse_names,
    write_torch,
)

Files = Mapping[str, Mapping[str, Tensor]]
"""Weights by file and by the names they have there."""


def release_files(settings: NetworkSettings, *, motion: bool) -> list[str]:
    """The files of a network."""
    guidance = [guidance_file(name) for name in settings.maps]
    return [REFERENCE_FILE, DENOISER_FILE, *([MOTION_FILE] if motion else []), *guidance]


def read_release(folder: Path, names: Iterable[str]) -> dict[str, dict[str, Tensor]]:
    """Files of the release with their weights, in memory maps.

    Raises:
        ValueError: A file is missing or damaged.
    """
    files = {}
    for name in names:
        if not (folder / name).is_file():
            raise ValueError(f"{folder} is no official checkpoint: {name} is missing")
        files[name] = read_weights(folder / name)
    return files


def infer_release(files: Files) -> Sizes:
    """The sizes that names and shapes tell; ``ValueError`` where they are none of a release."""
    guidance = next((w for name, w in files.items() if name.startswith("guidance_encoder_")), None)
    motion = files.get(MOTION_FILE)
    settings = infer_settings(files[DENOISER_FILE], motion, guidance)
    return Sizes(settings=settings, motion=motion is not None)


def meta_network(settings: NetworkSettings, *, motion: bool) -> ChampNetwork:
    """A network of names and shapes, without memory for weights."""
    with torch.device("meta"):
        return ChampNetwork(settings, motion=motion)


def match_release(
    files: Files,
    expected: Mapping[str, Tensor],
    settings: NetworkSettings,
    where: Callable[[str], Path],
) -> tuple[dict[str, Tensor], dict[str, list[str]]]:
    """Our names for weights of the release, which may be on the meta device.

    Args:
        files: Of the release, at least those that ``expected`` asks for.
        expected: Names and shapes, from ``meta_network``.
        settings: Sizes of the network.
        where: The path that errors name for a file.

    Returns:
        The weights by our names, and by file the dead ones (``official_names.is_dead``) that were
        left out.

    Raises:
        ValueError: A name is missing or over, a shape differs, or the two copies of positions do.
    """
    places = {name: official_place(name, settings) for name in expected}
    weights: dict[str, Tensor] = {}
    dead: dict[str, list[str]] = {}
    for file in dict.fromkeys(place for place, _ in places.values()):
        theirs = _without_copies(where(file), files[file])
        dead[file] = [name for name in theirs if is_dead(file, name, settings)]
        ours = {name: there for name, (place, there) in places.items() if place == file}
        refuse_names(
            where(file),
            set(ours.values()) - theirs.keys(),
            theirs.keys() - ours.values() - {*dead[file]},
        )
        check_shapes(where(file), {there: expected[n] for n, there in ours.items()}, theirs)
        weights |= {name: theirs[there] for name, there in ours.items()}
    return weights, {file: names for file, names in dead.items() if names}


def write_release(
    folder: Path,
    weights: dict[str, Tensor],
    sizes: Sizes,
    *,
    dtype: torch.dtype | None = None,
    told: Told | None = None,
) -> None:
    """Write a network's files, for the official code and all that reads its layout.

    The weights that the official code never runs are left out; it loads guidance encoders without
    asking for them. A network without motion modules gives no ``motion_module.pth``. Where names
    and shapes do not tell the sizes, ``champ.json`` does.

    Args:
        folder: Made if need be.
        weights: By our names. It is emptied on the way, which gives memory back.
        sizes: Of the network.
        dtype: To convert to; None keeps every weight's own.
        told: Hears of each file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    places: dict[str, dict[str, str]] = {}
    for name in weights:
        file, there = official_place(name, sizes.settings)
        places.setdefault(file, {})[name] = there
    shapes = {
        file: {there: torch.empty_like(weights[n], device="meta") for n, there in names.items()}
        for file, names in places.items()
    }
    for file, names in places.items():
        theirs = {there: as_dtype(weights.pop(name), dtype) for name, there in names.items()}
        write_torch(folder / file, with_position_copies(theirs) if file == MOTION_FILE else theirs)
        if told:
            told(f"wrote {file}", (folder / file).stat().st_size)
    if not _tells(shapes, sizes):
        write_sizes(folder, sizes)


def _tells(shapes: Files, sizes: Sizes) -> bool:
    """Whether an import would find the sizes without being told."""
    try:
        return sizes.motion and infer_release(shapes) == sizes
    except ValueError:
        return False


def _without_copies(path: Path, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A file's weights, the positions once: the second attention's must be the first one's."""
    copies = {name: value for name, value in weights.items() if name.endswith(POSITIONS_COPY)}
    for name, value in copies.items():
        first = weights.get(name.replace(POSITIONS_COPY, POSITIONS))
        if first is None or not _equal(first, value):
            raise ValueError(f"{path}: {name} differs from the positions of its other attention")
    return {name: value for name, value in weights.items() if name not in copies}


def _equal(first: Tensor, second: Tensor) -> bool:
    """Names and shapes are all that can be compared on the meta device."""
    if first.is_meta or second.is_meta:
        return first.shape == second.shape
    return first.dtype == second.dtype and torch.equal(first, second)

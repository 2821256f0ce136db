"""A folder of ready maps as the motion, in the layout of the official release.

    depth/ normal/ semantic_map/ dwpose/   0000.png, 0001.png, ...; a frame each, sorted by name
    mask/                                  of the same names, if any: the body's silhouette

The maps are taken as they are, as the official script does: what is drawn on them is not aligned to
anybody. Where there are masks, the semantic map is black outside of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8

from dataset.errors import ItemError
from dataset.records import MAP_NAMES
from inference.map_source import Pictures, drawn_box, union_box
from inference.picture_files import picture_size
from rendering.lint.pictures import SUFFIXES, read_picture

MASK = "mask"
_KIND = "animate.maps"
_MASKED = "semantic_map"
_SILHOUETTES = ("normal", "semantic_map", "depth", "dwpose")
"""Which map tells what is drawn: the first of these that the network sees."""

_BLACK = 8
"""Grey levels up to which a pixel counts as background: JPEGs are not quite black."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MapFolder:
    """The maps of a folder that a network sees; one frame of each is in memory at a time.

    ``files`` are the pictures of each map in the order of the frames, ``masks`` those of the
    semantic map's frames where there are any.
    """

    folder: Path
    files: dict[str, tuple[Path, ...]]
    masks: tuple[Path, ...]
    width: int
    height: int

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.files)

    @property
    def frames(self) -> int:
        return len(next(iter(self.files.values())))

    def span(self, frames: range) -> MapFolder:
        """These frames alone."""
        files = {name: tuple(paths[i] for i in frames) for name, paths in self.files.items()}
        masks = tuple(self.masks[i] for i in frames) if self.masks else ()
        return replace(self, files=files, masks=masks)

    def read(self, frames: Sequence[int]) -> Iterator[list[Pictures]]:
        """The frames one by one.

        Raises:
            ItemError: ``animate.maps``: a picture is damaged, or not 8 bits deep.
        """
        return ([self._picture(name, frame)[None] for name in self.names] for frame in frames)

    def extent(self) -> Float32[np.ndarray, "1 4"] | None:
        known = [name for name in _SILHOUETTES if name in self.names]
        name = known[0] if known else self.names[0]
        boxes = (
            drawn_box(self._picture(name, frame).max(2) > _BLACK) for frame in range(self.frames)
        )
        return union_box([box for box in boxes if box is not None])

    def _picture(self, name: str, frame: int) -> UInt8[np.ndarray, "height width 3"]:
        picture = self._pixels(self.files[name][frame])
        if name != _MASKED or not self.masks:
            return picture
        mask = self._pixels(self.masks[frame])
        return np.where(mask > 0, picture, np.uint8(0))

    def _pixels(self, path: Path) -> UInt8[np.ndarray, "height width 3"]:
        try:
            picture = read_picture(path)
        except ItemError as error:
            raise ItemError(_KIND, f"{path.parent}: {error.message}") from error
        except OSError as error:
            raise ItemError(_KIND, f"{path} cannot be read: {error}") from error
        if picture.dtype != np.uint8 or picture.shape[:2] != (self.height, self.width):
            raise ItemError(
                _KIND,
                f"{path} has {picture.dtype.itemsize * 8} bits and {picture.shape[:2]} rows and "
                f"columns; expected 8 bits and {(self.height, self.width)}",
            )
        if picture.shape[2] == 1:
            return np.repeat(picture, 3, axis=2)
        return picture[..., :3]  # transparency is looked over, as the official script does


def open_map_folder(folder: Path, names: Sequence[str]) -> MapFolder:
    """The maps of a folder, of which names, counts and headers are looked at, and no pixel.

    Args:
        folder: Holds a folder of PNG or JPEG files for every map.
        names: The maps that the network sees.

    Raises:
        ItemError: ``animate.maps``: a map is missing, maps have different numbers of frames or
            pictures different sizes, a frame has no mask where others have one, a file is no
            picture, or one with more than 8192 pixels a side.
    """
    files = {name: picture_files(folder / name) for name in names}
    for name, paths in files.items():
        if not paths:
            raise ItemError(
                _KIND,
                f"{folder} has no map {name!r}: expected {name}/0000.png, {name}/0001.png ...",
            )
    _check_counts(folder, {name: len(paths) for name, paths in files.items()})
    masks = _masks(folder, files.get(_MASKED, ()))
    width, height = _shared_size([*(path for paths in files.values() for path in paths), *masks])
    return MapFolder(folder=folder, files=files, masks=masks, width=width, height=height)


def picture_files(folder: Path) -> tuple[Path, ...]:
    """The pictures of one map sorted by name; none where there is no such folder."""
    try:
        inside = sorted(folder.iterdir()) if folder.is_dir() else []
    except OSError as error:
        raise ItemError(_KIND, f"{folder} cannot be read: {error}") from error
    shown = [path for path in inside if not path.name.startswith(".")]
    return tuple(path for path in shown if path.suffix.lower() in SUFFIXES and path.is_file())


def known_files(folder: Path) -> list[Path]:
    """Every picture of a map that the official layout knows."""
    return [path for name in (*MAP_NAMES, MASK) for path in picture_files(folder / name)]


def _check_counts(folder: Path, counts: dict[str, int]) -> None:
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise ItemError(_KIND, f"{folder}: all maps must have as many frames, got {told}")


def _masks(folder: Path, masked: Sequence[Path]) -> tuple[Path, ...]:
    """The masks of the semantic map's frames, by name; none where the folder has none."""
    known = {path.name: path for path in picture_files(folder / MASK)}
    if not known:
        return ()
    lacking = [path.name for path in masked if path.name not in known]
    if lacking:
        raise ItemError(
            _KIND,
            f"{folder / MASK} has no {lacking[0]}, which {_MASKED} has ({len(lacking)} lack): give "
            "every frame its mask, or leave the folder out",
        )
    return tuple(known[path.name] for path in masked)


def _shared_size(paths: Sequence[Path]) -> tuple[int, int]:
    first = picture_size(paths[0], _KIND)
    for path in paths[1:]:
        size = picture_size(path, _KIND)
        if size != first:
            raise ItemError(
                _KIND,
                f"{path} is {size[0]} x {size[1]}, {paths[0]} {first[0]} x {first[1]}: all maps "
                "must have one size",
            )
    return first

"""Where maps lie: a shard or a dataset, clip folders, a video; each becomes ``ClipMaps``.

Nothing is decoded before a frame is asked for, and one frame of a map is held at a time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dataset.errors import ItemError
from dataset.records import MAP_NAMES
from dataset.tables import live_files
from rendering.lint.findings import Symptom
from rendering.lint.pictures import SUFFIXES, read_picture
from rendering.lint.recordings import StreamFrames, VideoFrames

LINTED = (*MAP_NAMES, "mask")
"""The maps that are looked at."""

_FRAMES = ("rgb", "images")  # the frames themselves: counted only
_LAST_NUMBER = re.compile(r"(\d+)\D*$")


class MapFrames(Protocol):
    """The frames of one map, by number."""

    @property
    def numbers(self) -> Sequence[int]:
        """The numbers of its frames, ascending."""
        ...

    def read(self, number: int) -> np.ndarray:
        """One frame, height x width x channels; ``ItemError`` where it cannot be read."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipMaps:
    """The maps of one clip; ``unreadable`` are those that could not even be opened."""

    clip: str
    maps: Mapping[str, MapFrames]
    unreadable: tuple[Symptom, ...] = ()
    frames_of_others: Mapping[str, int] = field(default_factory=dict)
    whole: bool = True  # all maps are expected, not the single one of a video


class PictureFrames:
    """A folder of numbered pictures; the number is the last one in a file's name."""

    def __init__(self, folder: Path) -> None:
        paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file())
        found = [_LAST_NUMBER.search(path.stem) for path in paths]
        named = [int(match[1]) for match in found if match is not None and len(match[1]) < 10]
        if len(set(named)) != len(paths):  # names that do not count the frames
            named = list(range(len(paths)))
        self._paths = dict(zip(named, paths, strict=True))
        self.numbers: Sequence[int] = sorted(self._paths)

    def read(self, number: int) -> np.ndarray:
        """The picture's pixels (``rendering.lint.pictures.read_picture``)."""
        return read_picture(self._paths[number])


def open_clips(path: Path, map_name: str | None = None) -> Iterator[ClipMaps]:
    """The clips at a path, one open at a time.

    Args:
        path: A Parquet file of the ``guidance`` table, a dataset folder, a clip folder (``depth/
            normal/ semantic_map/ dwpose/ mask/`` of pictures, or an MP4 each), a folder of several
            such or of parts with such, a folder of one map's pictures, or a video of one map.
        map_name: Which map a single video or a folder of pictures is.

    Raises:
        ValueError: Nothing is there, or nothing that holds maps.
        ItemError: The kinds of ``dataset.video.probe_video``, for a single video.
    """
    if map_name is not None and map_name not in LINTED:
        raise ValueError(f"--map must be one of {', '.join(LINTED)}; got {map_name!r}")
    if path.is_dir():
        return _clips_of_folder(path, map_name)
    if path.suffix == ".parquet" and path.is_file():
        return _clips_of_shard(path)
    if path.is_file():
        return iter([_single(path.name, map_name, VideoFrames(path))])
    raise ValueError(f"expected a shard, a folder or a video, there is nothing at {path}")


def _single(clip: str, map_name: str | None, frames: MapFrames) -> ClipMaps:
    """A lone map; without a name the linter guesses which."""
    return ClipMaps(clip=clip, maps={map_name or "": frames}, whole=False)


def _clips_of_folder(path: Path, map_name: str | None) -> Iterator[ClipMaps]:
    table = path if path.name == "guidance" else path / "guidance"
    if (table / "_delta_log").is_dir():
        shards = live_files(table.parent, "guidance")
        return (clip for shard in shards for clip in _clips_of_shard(shard))
    if folders := _clip_folders(path):
        return map(_clip_of_folder, folders)
    pictures = PictureFrames(path)
    if pictures.numbers:
        known = path.name if path.name in LINTED else None
        return iter([_single(path.name, map_name or known, pictures)])
    raise ValueError(
        f"expected maps in {path}: a dataset's guidance table, or folders named "
        f"{', '.join(LINTED)} with 0000.png, 0001.png, ...; found none"
    )


def _clip_folders(path: Path) -> list[Path]:
    """The folder itself, those in it, or those in its parts, as in an official ``video_folder``."""
    if _parts(path):
        return [path]
    inner = sorted(folder for folder in path.iterdir() if folder.is_dir())
    nested = (clip for part in inner for clip in sorted(part.iterdir()) if _parts(clip))
    return [folder for folder in inner if _parts(folder)] or list(nested)


def _parts(folder: Path) -> dict[str, Path]:
    """What a clip folder holds by name: folders of pictures, else MP4 files."""
    if not folder.is_dir():
        return {}
    places = {}
    for name in (*LINTED, *_FRAMES):
        if (folder / name).is_dir():
            places[name] = folder / name
        elif (folder / f"{name}.mp4").is_file():
            places[name] = folder / f"{name}.mp4"
    return places if any(name in places for name in LINTED) else {}


def _clip_of_folder(folder: Path) -> ClipMaps:
    def opener(part: Path) -> Callable[[], MapFrames]:
        return lambda: PictureFrames(part) if part.is_dir() else VideoFrames(part)

    return _clip(folder.name, {name: opener(part) for name, part in _parts(folder).items()})


def _clips_of_shard(path: Path) -> Iterator[ClipMaps]:
    """One row at a time, whatever the row groups."""
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            columns = [n for n in ("clip_id", *LINTED, *_FRAMES) if n in file.schema_arrow.names]
            if not set(columns) & set(LINTED):
                raise ValueError(
                    f"expected a shard of the guidance table with columns {', '.join(LINTED)}; "
                    f"{path} has {file.schema_arrow.names}"
                )
            for batch in file.iter_batches(batch_size=1, columns=columns):
                yield from map(_clip_of_row, batch.to_pylist())
    except (pa.ArrowInvalid, OSError) as error:
        raise ItemError("shard.damaged", f"{path}: {error}") from error


def _clip_of_row(row: Mapping[str, object]) -> ClipMaps:
    def opener(name: str, data: bytes) -> Callable[[], MapFrames]:
        return lambda: StreamFrames(name, data)

    streams = {name: row.get(name) for name in (*LINTED, *_FRAMES)}
    return _clip(
        str(row.get("clip_id", "clip")),
        {name: opener(name, data) for name, data in streams.items() if isinstance(data, bytes)},
    )


def _clip(name: str, openers: Mapping[str, Callable[[], MapFrames]]) -> ClipMaps:
    maps: dict[str, MapFrames] = {}
    unreadable: list[Symptom] = []
    for part, opener in openers.items():
        try:
            maps[part] = opener()
        except ItemError as error:
            unreadable.append(unreadable_symptom(part, error))
    others = {part: len(maps.pop(part).numbers) for part in _FRAMES if part in maps}
    return ClipMaps(clip=name, maps=maps, unreadable=tuple(unreadable), frames_of_others=others)


def unreadable_symptom(map_name: str, error: ItemError) -> Symptom:
    """What is said of a map, or a frame of it, that cannot be read."""
    return Symptom(
        check="file",
        map=map_name,
        cause="too_large" if error.kind.endswith("too_large") else "damaged",
        measured=error.message,
        expected="a whole picture or stream of at most 8192 pixels a side",
    )

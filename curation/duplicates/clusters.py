"""Rows of ``duplicates`` from rows of ``clips``: clusters of copies, the best of each kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float64, Int64, UInt64

from curation.duplicates.copies import KINDS, HashedClips, find_copies
from curation.duplicates.hashing import HASH_BYTES
from curation.duplicates.settings import DuplicateSettings

CLIP_COLUMNS = (
    "clip_id",
    "source_id",
    "track",
    "start_seconds",
    "end_seconds",
    "width",
    "height",
    "sharpness",
    "border_share",
    "overlay_share",
    "text_share",
    "frame_hashes",
)


def duplicate_rows(
    clips: pa.Table, contents: Mapping[str, str], settings: DuplicateSettings
) -> Iterator[dict[str, Any]]:
    """A row for every clip, the copies and those kept, from the best clip to the worst.

    Args:
        clips: A table with the columns ``CLIP_COLUMNS``.
        contents: The hash of the file of each ``source_id``; one that is missing is its own.
        settings: What a copy is.
    """
    clips = clips.select(CLIP_COLUMNS).take(best_first(clips))
    copies = find_copies(_hashed(clips, contents), settings)
    names = clips.column("clip_id").to_pylist()
    sources = clips.column("source_id").to_pylist()
    members = np.zeros(len(names), np.int64)
    for clip, kept in enumerate(copies.kept):
        yield {
            "clip_id": names[clip],
            "source_id": sources[clip],
            "cluster_id": names[kept],
            "place": int(members[kept]),
            "kept": bool(kept == clip),
            "kind": KINDS[copies.kinds[clip]],
            "distance": float(copies.distances[clip]),
        }
        members[kept] += 1


def best_first(clips: pa.Table) -> Int64[np.ndarray, " clips"]:
    """The order of clips by what one would keep.

    More pixels inside borders, then a sharper subject, then less of the picture under text and
    overlays, then the clip's name. Pixels and sharpness count in steps of half an octave, so that
    scaling by a few pixels and noise of the measurement do not decide.
    """
    borders, text = _known(clips, "border_share"), _known(clips, "text_share")
    pixels = _known(clips, "width") * _known(clips, "height") * (1 - borders)
    covered = np.round(20 * (borders + text + _known(clips, "overlay_share")))
    sharp = np.round(2 * np.log2(1 + _known(clips, "sharpness")))
    sizes = np.round(2 * np.log2(1 + pixels))
    names = np.asarray(clips.column("clip_id").to_pylist(), dtype=np.str_)
    return np.lexsort((names, covered, -sharp, -sizes))


def _known(clips: pa.Table, column: str) -> Float64[np.ndarray, " clips"]:
    """A column's values; 0 where there is none."""
    values = clips.column(column).cast(pa.float64()).to_numpy()
    return np.nan_to_num(values)


def _hashed(clips: pa.Table, contents: Mapping[str, str]) -> HashedClips:
    sources = clips.column("source_id").to_pylist()
    hashes, starts = _hashes(clips.column("frame_hashes"))
    return HashedClips(
        hashes=hashes,
        starts=starts,
        sources=_numbered(sources),
        contents=_numbered([contents.get(source) or f"file of {source}" for source in sources]),
        tracks=_known(clips, "track").astype(np.int64),
        seconds=np.stack([_known(clips, "start_seconds"), _known(clips, "end_seconds")], axis=1),
    )


def _numbered(names: list[str]) -> Int64[np.ndarray, " clips"]:
    return np.unique(np.asarray(names, dtype=np.str_), return_inverse=True)[1].astype(np.int64)


def _hashes(
    column: pa.ChunkedArray,
) -> tuple[UInt64[np.ndarray, " hashes"], Int64[np.ndarray, " clips_and_one"]]:
    """All clips' hashes in one array (eight bytes each, the highest first), and where each begins.

    Raises:
        ValueError: A value whose length is no multiple of eight.
    """
    values = [value or b"" for value in column.to_pylist()]
    lengths = np.array([len(value) for value in values], np.int64)
    if (lengths % HASH_BYTES).any():
        raise ValueError(f"frame_hashes hold {HASH_BYTES} bytes a hash, got another length")
    starts = np.concatenate([[0], np.cumsum(lengths // HASH_BYTES)])
    return np.frombuffer(b"".join(values), ">u8").astype(np.uint64), starts

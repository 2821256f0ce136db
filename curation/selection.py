"""The decision over all candidate clips: thresholds first, then copies, then quotas."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Int64

from curation.decisions import PASSED, SCORE_COLUMNS, first_reasons, unchecked
from curation.quotas import admitted
from curation.select import CHECKS, DUPLICATE, QUOTA, SelectSettings

REASONS = (*(f"select.{check.reason}" for check in CHECKS), DUPLICATE, QUOTA, "")
"""In the order in which clips are turned down; ``""`` for the selected ones."""

_DUPLICATE, _QUOTA, _SELECTED = PASSED, PASSED + 1, PASSED + 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """For every clip, in the order of the table, the place of its reason in ``REASONS``."""

    reasons: Int64[np.ndarray, " clips"]
    notes: tuple[str, ...]  # what was not checked, and of how many clips

    def funnel(self) -> dict[str, int]:
        """How many clips were turned down for which reason, and selected (``""``), in order."""
        counts = Counter(self.reasons.tolist())
        return {REASONS[place]: counts[place] for place in sorted(counts)}


def needed_columns(settings: SelectSettings) -> list[str]:
    """The columns of ``clips`` that a decision reads, quotas' own aside."""
    named = [name.removeprefix("-") for name in settings.best_by] if settings.quotas else []
    return list(dict.fromkeys(["clip_id", "source_id", *SCORE_COLUMNS, *named]))


def select_clips(
    clips: pa.Table,
    clusters: pa.Table,
    values: Mapping[str, Sequence[str]],
    settings: SelectSettings,
) -> Decisions:
    """Decide over every clip.

    Of a cluster of copies the best one that passes the thresholds is selected.

    Args:
        clips: A table with ``needed_columns``.
        clusters: ``clip_id``, ``cluster_id`` and ``place`` of ``duplicates``; clips that are not in
            it count as copies of none, and are noted.
        values: For each column of the quotas the clips' values.
        settings: Thresholds and quotas.
    """
    reasons = first_reasons(clips, settings)
    reasons[reasons == PASSED] = _SELECTED
    notes = [
        f"not checked: {column} of {count} clips, which have no value"
        for column, count in unchecked(clips, settings).items()
    ]
    if not settings.admit_copies:
        copies, unknown = _copies(clips.column("clip_id"), clusters, reasons == _SELECTED)
        reasons[copies] = _DUPLICATE
        if unknown:
            notes.append(f"not checked: whether {unknown} clips are copies (champ duplicates)")
    if settings.quotas:
        order = np.flatnonzero(reasons == _SELECTED)
        order = order[_best_first(clips.take(order), settings.best_by)]
        ordered = {name: np.asarray(column, object)[order] for name, column in values.items()}
        taken = admitted(ordered, settings.quotas, clips=len(order))
        reasons[order[~taken]] = _QUOTA
    return Decisions(reasons=reasons, notes=tuple(notes))


def _copies(
    names: pa.ChunkedArray, clusters: pa.Table, passed: Bool[np.ndarray, " clips"]
) -> tuple[Bool[np.ndarray, " clips"], int]:
    """Which passing clips are copies of better passing ones, and how many clips nobody compared."""
    row_of = {name: row for row, name in enumerate(clusters.column("clip_id").to_pylist())}
    rows = np.array([row_of.get(name, -1) for name in names.to_pylist()], np.int64)
    known = rows >= 0
    copies = np.zeros(len(names), bool)
    compared = np.flatnonzero(passed & known)
    if len(compared):
        cluster = clusters.column("cluster_id").combine_chunks().dictionary_encode()
        numbers = cluster.indices.to_numpy()[rows[compared]]
        places = clusters.column("place").to_numpy()[rows[compared]]
        best = np.full(len(cluster.dictionary), np.iinfo(np.int64).max)
        np.minimum.at(best, numbers, places)
        copies[compared] = places > best[numbers]
    return copies, int((passed & ~known).sum())


def _best_first(clips: pa.Table, best_by: Sequence[str]) -> Int64[np.ndarray, " clips"]:
    """The order of clips by scores, then by a hash of their name: no source goes before others."""
    keys = [_name_hashes(clips.column("clip_id"))]
    for name in reversed(best_by):
        column = clips.column(name.removeprefix("-")).cast(pa.float64()).to_numpy()
        falling = column if name.startswith("-") else -column
        keys.append(np.nan_to_num(falling, nan=np.inf))
    return np.lexsort(keys)


def _name_hashes(names: pa.ChunkedArray) -> np.ndarray:
    digests = [hashlib.blake2b(name.encode(), digest_size=8).digest() for name in names.to_pylist()]
    return np.frombuffer(b"".join(digests), ">u8")

"""Which spans of a shot become candidate clips: those where one person is alone, and the rest.

Frames are numbered from the beginning of the video throughout.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool

from curation.people.settings import SubjectRule
from curation.people.subject import choose_subject
from curation.people.tracking import Track

_NOBODY, _SEVERAL = -1, -2  # beside the index of the one track that is present


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Frames ``start`` to ``end`` (exclusive), with the index of the subject's track."""

    start: int
    end: int
    subject: int

    @property
    def frames(self) -> int:
        return self.end - self.start


def trimmed_shots(
    shots: Sequence[tuple[int, int]], frames: int, trim: int
) -> list[tuple[int, int]]:
    """Shots without ``trim`` frames beside each cut; the ends of the video's frames are no cuts."""
    trimmed = [
        (start + trim if start > 0 else 0, end - trim if end < frames else end)
        for start, end in shots
    ]
    return [(start, end) for start, end in trimmed if start < end]


def people_present(
    tracks: Sequence[Track], start: int, end: int
) -> Bool[np.ndarray, "tracks frames"]:
    """Which track is in the picture on which of the frames ``start`` to ``end`` (exclusive)."""
    present = np.zeros((len(tracks), end - start), bool)
    for row, track in zip(present, tracks, strict=True):
        row[max(0, track.frames[0] - start) : max(0, track.frames[-1] + 1 - start)] = True
    return present


def candidate_spans(
    tracks: Sequence[Track],
    shot: tuple[int, int],
    *,
    min_frames: int,
    max_frames: int,
    overlap: int = 0,
    subject: SubjectRule,
    size: tuple[int, int],
) -> list[Span]:
    """Spans of a shot that are worth a row each, in order of time.

    Where exactly one person is present for at least ``min_frames``, that is a span; where several
    are, that is a span of the subject among them (to be rejected, and told of). A shot with people
    but without such a run is one span, of its subject. Spans longer than ``max_frames`` are cut
    into equal parts, of which each has ``overlap`` frames in common with the one before.

    Args:
        subject: The rule that chooses the subject among several (``choose_subject``).
        size: Width and height of the picture that the tracks' boxes lie in.
    """
    everywhere = _several(tracks, shot, subject, size)
    if everywhere is None:
        return []
    runs = []
    for start, end, alone in _runs(people_present(tracks, *shot), shot[0]):
        if alone is not None:
            run = Span(start=start, end=end, subject=alone)
        else:
            run = _several(tracks, (start, end), subject, size)
        if run is not None and run.frames >= min_frames:
            runs.append(run)
    return [part for run in runs or [everywhere] for part in _parts(run, max_frames, overlap)]


def _runs(
    present: Bool[np.ndarray, "tracks frames"], first: int
) -> list[tuple[int, int, int | None]]:
    """Stretches, each with the index of the one who is there alone, or None for several."""
    count = present.sum(axis=0)
    kind = np.select([count == 0, count == 1], [_NOBODY, present.argmax(axis=0)], _SEVERAL)
    edges = [0, *(np.flatnonzero(np.diff(kind)) + 1).tolist(), len(kind)]
    return [
        (first + start, first + end, None if kind[start] == _SEVERAL else int(kind[start]))
        for start, end in pairwise(edges)
        if kind[start] != _NOBODY
    ]


def _several(
    tracks: Sequence[Track], run: tuple[int, int], rule: SubjectRule, size: tuple[int, int]
) -> Span | None:
    """Where the subject of a run is present in it; None where nobody is."""
    parts = []
    for index, track in enumerate(tracks):
        start, end = max(run[0], int(track.frames[0])), min(run[1], int(track.frames[-1]) + 1)
        if start < end:
            parts.append((index, track.part(start, end)))
    if not parts:
        return None
    index, chosen = parts[choose_subject([part for _, part in parts], rule, size)]
    return Span(start=int(chosen.frames[0]), end=int(chosen.frames[-1]) + 1, subject=index)


def _parts(span: Span, max_frames: int, overlap: int) -> list[Span]:
    """As few parts of at most ``max_frames`` as there can be, of one length to a frame."""
    if span.frames <= max_frames:
        return [span]
    overlap = min(overlap, max_frames - 1)
    count = -(-(span.frames - overlap) // (max_frames - overlap))
    step = (span.frames - overlap) / count
    edges = [span.start + round(part * step) for part in range(count + 1)]
    return [
        Span(start=start, end=end + overlap, subject=span.subject) for start, end in pairwise(edges)
    ]

"""Which spans of a shot become candidate clips: those where one person is alone, and the rest.

Frames are numbered from the beginning of the video throughout.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool

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


def people_present(
    tracks: Sequence[Track], start: int, end: int
) -> Bool[np.ndarray, "tracks frames"]:
    """Which track is in the picture on which of the frames ``start`` to ``end`` (exclusive)."""
    present = np.zeros((len(tracks), end - start), bool)
    for row, track in zip(present, tracks, strict=True):
        row[max(0, track.frames[0] - start) : max(0, track.frames[-1] + 1 - start)] = True
    return present


def candidate_spans(
    tracks: Sequence[Track], shot: tuple[int, int], *, min_frames: int, max_frames: int
) -> list[Span]:
    """Spans of a shot that are worth a row each, in order of time.

    Where exactly one person is present for at least ``min_frames``, that is a span; where several
    are, that is a span of whoever is there longest (to be rejected, and told of). A shot with
    people but without such a run is one span, of its longest track. Spans longer than
    ``max_frames`` are cut into equal parts.
    """
    present = people_present(tracks, *shot)
    if not present.any():
        return []
    runs = [run for run in _runs(present, shot[0]) if run.frames >= min_frames]
    if not runs:
        subject = int(present.sum(axis=1).argmax())
        runs = [_presence(present[subject], subject, shot[0])]
    return [part for run in runs for part in _parts(run, max_frames)]


def _runs(present: Bool[np.ndarray, "tracks frames"], first: int) -> list[Span]:
    """Stretches with the same one person alone, or with several; without those with nobody."""
    count = present.sum(axis=0)
    kind = np.select([count == 0, count == 1], [_NOBODY, present.argmax(axis=0)], _SEVERAL)
    edges = [0, *(np.flatnonzero(np.diff(kind)) + 1).tolist(), len(kind)]
    runs = []
    for start, end in pairwise(edges):
        subject = int(kind[start])
        if subject == _SEVERAL:
            subject = int(present[:, start:end].sum(axis=1).argmax())
        if subject != _NOBODY:
            runs.append(_presence(present[subject, start:end], subject, first + start))
    return runs


def _presence(there: Bool[np.ndarray, " frames"], subject: int, first: int) -> Span:
    frames = np.flatnonzero(there)
    return Span(start=first + int(frames[0]), end=first + int(frames[-1]) + 1, subject=subject)


def _parts(span: Span, max_frames: int) -> list[Span]:
    count = -(-span.frames // max_frames)
    edges = np.linspace(span.start, span.end, count + 1).round().astype(int).tolist()
    return [Span(start=start, end=end, subject=span.subject) for start, end in pairwise(edges)]

"""How right decisions are: shots against cuts, clips against spans, copies against footage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Any

import numpy as np

from benchmarks.curation_films import Film, Seen

TOLERANCE_FRAMES = 1.0
"""How far a cut may be off, in frames at the rate of the pipeline (30)."""

_ROUNDING = 0.01
HARD = ("cut", "jump")


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Precision and recall of a yes or no."""

    found: int
    missed: int
    false: int

    @property
    def precision(self) -> float:
        return self.found / max(self.found + self.false, 1)

    @property
    def recall(self) -> float:
        return self.found / max(self.found + self.missed, 1)

    @property
    def f1(self) -> float:
        return 2 * self.found / max(2 * self.found + self.missed + self.false, 1)

    def as_dict(self) -> dict[str, float]:
        """For JSON."""
        counts = {"found": self.found, "missed": self.missed, "false": self.false}
        return {**counts, "precision": self.precision, "recall": self.recall, "f1": self.f1}


def score_shots(
    films: Iterable[tuple[Film, Sequence[Sequence[int]]]], *, fps: float
) -> dict[str, Score]:
    """For every kind of change how many were found; whatever else was found is a false cut.

    Args:
        films: Each with its shots, in frames at ``fps``.
        fps: Rate of the shots.
    """
    counts: Counter[tuple[str, bool]] = Counter()
    false = 0
    for film, shots in films:
        gaps = [(one[1], other[0]) for one, other in pairwise(shots)]
        for change in film.changes:
            span = change.start * fps / film.fps, change.end * fps / film.fps
            hit = next((gap for gap in gaps if _matches(gap, span, change.kind)), None)
            counts[change.kind, hit is not None] += 1
            if hit is not None:
                gaps.remove(hit)
        false += len(gaps)
    return {
        kind: Score(
            found=counts[kind, True],
            missed=counts[kind, False],
            false=false if kind == "cut" else 0,
        )
        for kind in sorted({kind for kind, _ in counts} | {"cut"})
    }


def _matches(gap: tuple[int, int], span: tuple[float, float], kind: str) -> bool:
    allowed = TOLERANCE_FRAMES + _ROUNDING
    if kind in HARD:
        return gap[0] >= span[0] - allowed and gap[1] <= span[0] + allowed
    return gap[1] >= span[0] - allowed and gap[0] <= span[1] + allowed


def shared_seconds(start: float, end: float, spans: Iterable[tuple[float, float]]) -> float:
    """How much of ``start`` to ``end`` lies in any of the spans."""
    total, reached = 0.0, start
    for low, high in sorted(spans):
        low, high = max(low, reached), min(high, end)
        total += max(0.0, high - low)
        reached = max(reached, high)
    return total


def seen_in(film: Film, row: dict[str, Any]) -> Seen | None:
    """The label that most of a clip is under."""
    at = row["start_seconds"], row["end_seconds"]
    shares = [shared_seconds(*at, [(one.start_seconds, one.end_seconds)]) for one in film.seen]
    return film.seen[int(np.argmax(shares))] if shares and max(shares) > 0 else None


def score_answers(answers: Iterable[tuple[bool, bool]]) -> Score:
    """Of (said, true) pairs."""
    counts = Counter(answers)
    return Score(found=counts[True, True], missed=counts[False, True], false=counts[True, False])


def score_pairs(clusters: Sequence[int], truth: Sequence[str]) -> Score:
    """Of all pairs, those that are said to be copies of each other and are."""
    pairs = combinations(range(len(truth)), 2)
    return score_answers((clusters[a] == clusters[b], truth[a] == truth[b]) for a, b in pairs)


def best_threshold(positives: Sequence[float], negatives: Sequence[float]) -> float:
    """The bound between two kinds of values with the best F1; positives lie above it.

    In the middle of the gap that it is in, so that it is no more exact than the data.
    """
    values = sorted({*positives, *negatives})
    bounds = [(low + high) / 2 for low, high in pairwise(values)] or values

    def f1(bound: float) -> float:
        said = [(value > bound, True) for value in positives]
        return score_answers(said + [(value > bound, False) for value in negatives]).f1

    return max(bounds, key=f1)

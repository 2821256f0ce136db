"""How much the subject moves, by the detector's points."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from curation.scores.sighting import Sighting

_COCO = slice(0, 17)  # the feet are left out: their confidence says more of shoes than of people
_SEEN = 0.5


def body_motion(sightings: list[Sighting], *, fps: float) -> float:
    """How fast the body's points move relative to their middle: heights of the person a second.

    Relative, so that neither a moving camera nor walking through the picture counts as dancing;
    the median over points withstands single wrong ones. Points that leap about on what is no
    person make it large.
    """
    speeds = []
    for before, after in pairwise(sightings):
        first, second = before.person.points[_COCO], after.person.points[_COCO]
        seen = (first[:, 2] >= _SEEN) & (second[:, 2] >= _SEEN)
        if seen.sum() < 4:
            continue
        moved = second[seen, :2] - first[seen, :2]
        moved = np.linalg.norm(moved - moved.mean(axis=0), axis=1)
        height = max(float(before.person.box[3] - before.person.box[1]), 1.0)
        seconds = (after.frame - before.frame) / fps
        speeds.append(float(np.median(moved)) / height / seconds)
    return float(np.mean(speeds)) if speeds else 0.0

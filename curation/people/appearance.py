"""What somebody wears, as a few numbers by which one person is told from another."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from curation.people.detector import PersonBox

_SEEN = 0.5
_UPPER, _LOWER = (5, 6, 11, 12), (11, 12, 13, 14)  # shoulders and hips, hips and knees
_INSET = 0.2  # of the part's width and height: sleeves and background stay out
_MIN_PX = 4


def appearance(
    frame: UInt8[np.ndarray, "height width 3"], person: PersonBox
) -> Float32[np.ndarray, "2 3"]:
    """Mean colour of the trunk and of the thighs in CIE Lab (L 0 to 100); NaN where not seen."""
    return np.stack([_mean_colour(frame, person.points[list(part)]) for part in (_UPPER, _LOWER)])


def unlike(one: Float32[np.ndarray, "looks 2 3"], other: Float32[np.ndarray, "looks 2 3"]) -> float:
    """How differently two people are dressed: the mean Lab distance of trunk and thighs.

    Of medians over looks, so that a single wrong one does not matter; 0 where nothing is known of
    one of them. 2 can just be seen; a ball that passes before the thighs makes 20 of one person.
    """
    distance = np.linalg.norm(_median(one) - _median(other), axis=-1)
    known = distance[np.isfinite(distance)]
    return float(known.mean()) if known.size else 0.0


def _mean_colour(
    frame: UInt8[np.ndarray, "height width 3"], points: Float32[np.ndarray, "4 3"]
) -> Float32[np.ndarray, " 3"]:
    unknown = np.full(3, np.nan, np.float32)
    if points[:, 2].min() < _SEEN:
        return unknown
    low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
    inset = _INSET * (high - low)
    size = (frame.shape[1], frame.shape[0])
    x0, y0 = np.clip(low + inset, 0, size).astype(int)
    x1, y1 = np.clip(high - inset + 1, 0, size).astype(int)
    if x1 - x0 < _MIN_PX or y1 - y0 < _MIN_PX:
        return unknown
    mean = frame[y0:y1, x0:x1].reshape(-1, 3).mean(axis=0, dtype=np.float64)
    return cv2.cvtColor((mean / 255).astype(np.float32)[None, None], cv2.COLOR_RGB2Lab)[0, 0]


def _median(looks: Float32[np.ndarray, "looks 2 3"]) -> Float32[np.ndarray, "2 3"]:
    """Over the looks in which a part is known; NaN where there are none."""
    middle = np.full((2, 3), np.nan, np.float32)
    for part in range(2):
        known = looks[np.isfinite(looks[:, part, 0]), part]
        if len(known):
            middle[part] = np.median(known, axis=0)
    return middle

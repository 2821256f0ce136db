"""How much of the subject is in the picture: the body, the face, the hands."""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Bool, Float32

Framing = Literal["full_body", "half_body", "close_up"]

_SEEN = 0.5
_COCO = slice(0, 17)  # the feet are left out: their confidence says more of shoes than of people
_BODY_LEVELS = ((0, 1, 2, 3, 4), (5, 6), (11, 12), (13, 14), (15, 16))
"""Head, shoulders, hips, knees, ankles; one point of each will do, as sides hide each other."""

_UPPER_LEVELS = 3
_FACE = (0, 1, 2)  # nose and eyes
_WRISTS = (9, 10)
_MOST = 0.5  # of the frames decide what a clip is


def framing_scores(
    points: Float32[np.ndarray, "looks 23 3"], size: tuple[int, int]
) -> dict[str, float | str]:
    """Shares of the looks in which parts of the body are seen, 0 to 1, and the framing class.

    ``full_body_share``: from head to ankles; ``upper_body_share``: from head to hips, whatever is
    below; ``face_visible_share``: nose and both eyes, on the side of the head that is turned to
    the camera; ``hands_visible_share``: both wrists, as the detector's body points end there.
    ``keypoint_confidence`` is the mean confidence of the 17 COCO points. The class is the largest
    part that is seen in at least half of the looks: ``full_body``, ``half_body``, ``close_up``.

    The network guesses points outside of the picture with confidence near 0, and hidden ones
    inside of it sometimes with more than they deserve.

    Args:
        points: ``BODY_POINTS`` of each look: x, y in pixels, confidence.
        size: Width and height of the picture.
    """
    full = float(_levels_seen(points, size, len(_BODY_LEVELS)).mean())
    upper = float(_levels_seen(points, size, _UPPER_LEVELS).mean())
    return {
        "keypoint_confidence": float(points[:, _COCO, 2].mean()),
        "full_body_share": full,
        "upper_body_share": upper,
        "framing": framing_class(full, upper),
        "face_visible_share": float(_face_visible(points, size).mean()),
        "hands_visible_share": float(_inside(points, size)[:, _WRISTS].all(axis=1).mean()),
    }


def framing_class(full_body_share: float, upper_body_share: float) -> Framing:
    """The largest part of the body that is seen for at least half of the time."""
    if full_body_share >= _MOST:
        return "full_body"
    return "half_body" if upper_body_share >= _MOST else "close_up"


def _levels_seen(
    points: Float32[np.ndarray, "looks 23 3"], size: tuple[int, int], levels: int
) -> Bool[np.ndarray, " looks"]:
    seen = _inside(points, size)
    each = [seen[:, list(level)].any(axis=1) for level in _BODY_LEVELS[:levels]]
    return np.logical_and.reduce(each, axis=0)


def _inside(
    points: Float32[np.ndarray, "looks 23 3"], size: tuple[int, int]
) -> Bool[np.ndarray, "looks 23"]:
    within = ((points[..., :2] >= 0) & (points[..., :2] <= size)).all(axis=-1)
    return within & (points[..., 2] >= _SEEN)


def _face_visible(
    points: Float32[np.ndarray, "looks 23 3"], size: tuple[int, int]
) -> Bool[np.ndarray, " looks"]:
    """Nose and eyes seen, and the person's left eye right of the right one: not from behind.

    Confidence alone does not tell: from behind the network places a face on the hair.
    """
    seen = _inside(points, size)[:, _FACE].all(axis=1)
    return seen & (points[:, 1, 0] > points[:, 2, 0])

"""How much the picture moves where the subject is, with the camera's motion removed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32

from curation.scores.camera import PictureMotion, inside_any

_MIN_POINTS = 4
_BODY = 75  # percentile: about half of a person's box is background, which stands still


def flow_speed(motion: PictureMotion, box: Float32[np.ndarray, " 4"]) -> float | None:
    """Speed of the points in a box against the background: heights of the box a second.

    The 75th percentile of the points, so that a quarter of the box's points move as fast. Sees
    walking through the picture, which `body_motion` leaves out, and hair and clothes; does not see
    plain clothes, nor limbs that are too fast to follow. ``None`` with fewer than four points.

    Args:
        box: In pixels of the small pictures that were followed.
    """
    within = inside_any(motion.before, [box])
    if within.sum() < _MIN_POINTS:
        return None
    way = np.linalg.norm(motion.residual()[within], axis=1)
    height = max(float(box[3] - box[1]), 1.0)
    return float(np.percentile(way, _BODY)) / height / motion.seconds


def flow_motion(speeds: Sequence[float | None]) -> float:
    """Mean over the looks in which it could be followed; 0 where there are none."""
    known = [speed for speed in speeds if speed is not None]
    return float(np.mean(known)) if known else 0.0

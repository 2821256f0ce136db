"""Puts left and right back where a detector has confused them for a few frames.

Where a person looks the same from the front and from behind, landmark networks now and then take
one for the other: every left point lands on the right one. People do not do that between frames.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float32

from dataset.records import BODY_POINTS, LEFT_HAND_POINTS, RIGHT_HAND_POINTS, Keypoints

_LIMBS = slice(BODY_POINTS.index("left_shoulder"), BODY_POINTS.index("right_ankle") + 1)
_DECISIVE = (
    0.5  # swapped points must lie this much nearer; side views, where it matters little, stay
)


def straighten_sides(keypoints: Keypoints) -> Keypoints:
    """The same points with left and right exchanged in the frames that had them confused.

    Each frame is compared with the one before, as seen and exchanged; what most frames say is right
    is kept. The 3D landmarks of such a frame describe a body that faces the wrong way: they lose
    their confidence.
    """
    confused = _confused_frames(keypoints.points[:, _LIMBS])
    if not confused.any():
        return keypoints
    points, body_3d = keypoints.points.copy(), keypoints.body_3d.copy()
    points[confused] = points[confused][:, _EXCHANGED]
    body_3d[confused] = body_3d[confused][:, _EXCHANGED[: len(BODY_POINTS)]]
    body_3d[confused, :, 3] = 0
    return replace(keypoints, points=points, body_3d=body_3d)


def _confused_frames(limbs: Float32[np.ndarray, "frames 12 3"]) -> Bool[np.ndarray, " frames"]:
    exchanged = _EXCHANGED[_LIMBS] - _LIMBS.start
    confused = np.zeros(len(limbs), bool)
    before = limbs[0]
    for index, seen in enumerate(limbs):
        other = seen[exchanged]
        if _distance(other, before) < _DECISIVE * _distance(seen, before):
            confused[index], seen = True, other
        # A point that is not seen stays where it was last.
        before = np.where(seen[:, 2:] > 0, seen, before)
    return confused if confused.mean() <= 0.5 else ~confused


def _distance(one: Float32[np.ndarray, "12 3"], other: Float32[np.ndarray, "12 3"]) -> float:
    both = one[:, 2] * other[:, 2]
    apart = np.linalg.norm(one[:, :2] - other[:, :2], axis=1)
    return float((both * apart).sum() / max(both.sum(), 1e-9))


def _exchanged_order() -> np.ndarray:
    """For each of the 133 points, the index of its counterpart on the other side."""
    order = np.arange(133)
    for index, name in enumerate(BODY_POINTS):
        side, _, rest = name.partition("_")
        if side in ("left", "right"):
            other = "right" if side == "left" else "left"
            order[index] = BODY_POINTS.index(f"{other}_{rest}")
    order[LEFT_HAND_POINTS] = np.arange(133)[RIGHT_HAND_POINTS]
    order[RIGHT_HAND_POINTS] = np.arange(133)[LEFT_HAND_POINTS]
    return order


_EXCHANGED = _exchanged_order()

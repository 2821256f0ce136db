"""Puts a pair of limbs back where a detector took one for the other, as when legs cross.

Limbs move on as they moved: of all ways to exchange the two limbs in some frames, the one is taken
in which their points accelerate least (Viterbi 1967, over pairs of neighbouring frames).
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
from jaxtyping import Bool, Float

from dataset.records import BODY_POINTS, LEFT_HAND_POINTS, RIGHT_HAND_POINTS, Keypoints

_PAIRS = {
    "legs": ("knee", "ankle", "heel", "big_toe", "small_toe"),
    "arms": ("elbow", "wrist"),
}
_STEP = 0.01
"""An acceleration to be expected, in body heights per squared frame; 17 m/s^2 at 30 fps."""
_MOST = 25.0
"""Where the cost of a point stops to grow: an outlier must not decide."""
_SWITCH, _STAY = 3.0, 0.2
"""Costs of a change between right and exchanged, and of each exchanged frame."""


def uncross_limbs(keypoints: Keypoints) -> Keypoints:
    """The same points with a pair of limbs exchanged in the frames that had them confused.

    Pictures and 3D landmarks of the limb's points are exchanged alike. At least half of a clip's
    frames are taken to be right.
    """
    points, body_3d = keypoints.points.copy(), keypoints.body_3d.copy()
    for pair in _PAIRS:
        left, right = _sides(pair)
        confused = _confused_frames(_motions(keypoints, left), _motions(keypoints, right))
        if confused.any():
            _exchange(points, confused, left, right)
            _exchange(body_3d, confused, left, right)
            if pair == "arms":
                hands = (np.r_[LEFT_HAND_POINTS], np.r_[RIGHT_HAND_POINTS])
                _exchange(points, confused, *hands)
    return replace(keypoints, points=points, body_3d=body_3d)


def _sides(pair: str) -> tuple[np.ndarray, np.ndarray]:
    left, right = (
        np.array([BODY_POINTS.index(f"{side}_{name}") for name in _PAIRS[pair]])
        for side in ("left", "right")
    )
    return left, right


def _exchange(values: np.ndarray, at: np.ndarray, left: np.ndarray, right: np.ndarray) -> None:
    both, other = np.concatenate([left, right]), np.concatenate([right, left])
    values[np.ix_(at, both)] = values[np.ix_(at, other)]


def _motions(keypoints: Keypoints, limb: np.ndarray) -> list[np.ndarray]:
    """The limb's points in the picture and in space, in body heights; NaN where not seen."""
    body = keypoints.points[:, : len(BODY_POINTS)]
    seen = body[..., 2] > 0
    places = np.where(seen[..., None], body[..., :2], np.nan)
    tall = np.nanmedian(_extent(places)) if seen.any() else 1.0
    picture = places[:, limb] / max(float(tall), 1.0)
    landmarks = keypoints.body_3d[:, limb]
    space = np.where(landmarks[..., 3:] > 0, landmarks[..., :3], np.nan) / 1.7
    return [picture, space]


def _extent(places: Float[np.ndarray, "frames points 2"]) -> Float[np.ndarray, " frames"]:
    """The longer side of each frame's points; NaN where none was seen."""
    low = np.where(np.isnan(places), np.inf, places).min(1)
    high = np.where(np.isnan(places), -np.inf, places).max(1)
    extent = (high - low).max(1)
    return np.where(np.isfinite(extent), extent, np.nan)


def _confused_frames(
    left: list[np.ndarray], right: list[np.ndarray]
) -> Bool[np.ndarray, " frames"]:
    """The cheapest way through the frames; states are (the frame before, this frame) exchanged."""
    frames = len(left[0])
    if frames < 3:
        return np.zeros(frames, bool)
    cost = _accelerations(left, right)
    best = np.array([[0.0, _SWITCH + _STAY], [_SWITCH + _STAY, 2 * _STAY]])
    came_from = np.zeros((frames, 2, 2), int)
    change = np.array([[0.0, _SWITCH + _STAY], [_SWITCH, _STAY]])
    for frame in range(2, frames):
        total = best[:, :, None] + cost[frame - 2] + change[None]
        came_from[frame] = total.argmin(0)
        best = total.min(0)
    before, here = np.unravel_index(best.argmin(), best.shape)
    confused = np.zeros(frames, bool)
    for frame in range(frames - 1, 1, -1):
        confused[frame] = here
        before, here = came_from[frame, before, here], before
    confused[1], confused[0] = here, before
    return confused if confused.mean() <= 0.5 else ~confused


def _accelerations(
    left: list[np.ndarray], right: list[np.ndarray]
) -> Float[np.ndarray, "inner 2 2 2"]:
    """What three frames cost with each of them as seen (0) or with the limbs exchanged (1)."""
    cost = np.zeros((len(left[0]) - 2, 2, 2, 2))
    for one, other in zip(left, right, strict=True):
        # Where one limb is hidden there is nothing to compare, whichever way round.
        hidden = np.isnan(one + other)
        one, other = np.where(hidden, np.nan, one), np.where(hidden, np.nan, other)
        straight, exchanged = np.concatenate([one, other], 1), np.concatenate([other, one], 1)
        ways = (straight, exchanged)
        for a, b, c in product((0, 1), repeat=3):
            moved = ways[c][2:] - 2 * ways[b][1:-1] + ways[a][:-2]
            squares = np.square(moved / _STEP).sum(-1)
            cost[:, a, b, c] += np.nan_to_num(np.minimum(squares, _MOST)).sum(1)
    return cost

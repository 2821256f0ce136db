"""Poses that people take, made by formula: what the pose prior is learned from.

Each activity is a rule with random amounts, written in the joints' axes: which joints move together
and which against each other. No motion capture data.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float64

from dataset.records import SMPL_JOINTS

Poses = Float64[np.ndarray, "poses 21 3"]

_SIDES = (("left", 1.0), ("right", -1.0))


def make_poses(usual: Float64[np.ndarray, "21 3"], poses: int, seed: int = 0) -> dict[str, Poses]:
    """``poses`` poses of each activity, axis-angles around ``usual`` (standing at ease)."""
    made = {}
    for number, (name, act) in enumerate(_ACTIVITIES.items()):
        random = np.random.default_rng([seed, number])
        made[name] = np.tile(usual, (poses, 1, 1))
        act(made[name], random)
    return made


def _stand(pose: Poses, random: np.random.Generator) -> None:
    """Weight on both legs or one, the arms anywhere, each for itself."""
    shift = random.normal(0, 0.1, len(pose))
    for side, _ in _SIDES:
        _of(pose, f"{side}_hip")[:, 2] += shift
        _of(pose, f"{side}_knee")[:, 0] += random.gamma(1.0, 0.15, len(pose))
    _arms_anywhere(pose, random)


def _stride(pose: Poses, random: np.random.Generator) -> None:
    """Walking to running: one leg forward and one back, arms against them, the free knee bent."""
    phase = random.uniform(0, 2 * np.pi, len(pose))
    reach = random.uniform(0.15, 0.8, len(pose))
    bend = random.uniform(0.2, 1.6, len(pose))
    for (side, sign), shift in zip(_SIDES, (0.0, np.pi), strict=True):
        swing = np.sin(phase + shift)
        lifted = 0.5 - 0.5 * np.cos(phase + shift - 0.6)
        _of(pose, f"{side}_hip")[:, 0] = -0.1 - reach * swing
        _of(pose, f"{side}_knee")[:, 0] = 0.05 + 1.7 * reach * lifted
        _of(pose, f"{side}_ankle")[:, 0] = 0.3 * reach * swing
        _of(pose, f"{side}_shoulder")[:, 1] += 0.9 * reach * np.sin(phase)
        _of(pose, f"{side}_elbow")[:, 1] = -sign * bend
    _of(pose, "spine2")[:, 1] += 0.2 * reach * np.sin(phase)


def _crouch(pose: Poses, random: np.random.Generator) -> None:
    """Down on both legs: hips, knees and ankles bend together, the trunk leans, knees may open."""
    depth = random.uniform(0, 1, len(pose)) ** 0.7
    open_ = random.uniform(0, 0.7, len(pose))
    for side, sign in _SIDES:
        _of(pose, f"{side}_hip")[:, 0] = -random.uniform(1.3, 2.0, len(pose)) * depth
        _of(pose, f"{side}_hip")[:, 2] = sign * open_ * depth
        _of(pose, f"{side}_knee")[:, 0] = random.uniform(1.6, 2.2, len(pose)) * depth
        _of(pose, f"{side}_ankle")[:, 0] = -0.35 * depth
    _of(pose, "spine1")[:, 0] += random.uniform(0.1, 0.7, len(pose)) * depth
    _arms_anywhere(pose, random)


def _one_leg(pose: Poses, random: np.random.Generator) -> None:
    """A kick, a step up or a lunge: one leg far forward or aside, the other one carries."""
    left = random.uniform(size=len(pose)) < 0.5
    forward = random.uniform(-1.9, 0.5, len(pose))
    aside = np.clip(random.normal(0.2, 0.4, len(pose)), -0.6, 1.3)
    bend = random.uniform(0, 1.9, len(pose))
    for side, sign in _SIDES:
        moves = left if side == "left" else ~left
        _of(pose, f"{side}_hip")[:, 0] = np.where(moves, forward, -0.2 * forward)
        _of(pose, f"{side}_hip")[:, 2] = np.where(moves, sign * aside, 0.0)
        _of(pose, f"{side}_knee")[:, 0] = np.where(moves, bend, 0.15 * bend)
    _arms_anywhere(pose, random)


def _spread(pose: Poses, random: np.random.Generator) -> None:
    """A jumping jack: legs apart and arms up, together."""
    apart = random.uniform(0, 1, len(pose))
    lag = np.clip(apart + random.normal(0, 0.15, len(pose)), 0, 1)
    for side, sign in _SIDES:
        _of(pose, f"{side}_hip")[:, 2] = sign * 0.6 * apart
        _of(pose, f"{side}_knee")[:, 0] = 0.3 * apart * (1 - apart) * 4
        _of(pose, f"{side}_shoulder")[:, 2] = sign * (-1.0 + 2.2 * lag)
        _of(pose, f"{side}_elbow")[:, 1] = -sign * random.uniform(0, 0.6, len(pose))


_ACTIVITIES: dict[str, Callable[[Poses, np.random.Generator], None]] = {
    "stand": _stand,
    "stride": _stride,
    "crouch": _crouch,
    "one leg": _one_leg,
    "spread": _spread,
}


def _arms_anywhere(pose: Poses, random: np.random.Generator) -> None:
    for side, sign in _SIDES:
        _of(pose, f"{side}_shoulder")[:, 2] = sign * random.uniform(-1.3, 1.2, len(pose))
        _of(pose, f"{side}_shoulder")[:, 1] = sign * random.normal(-0.4, 0.5, len(pose))
        _of(pose, f"{side}_elbow")[:, 1] = -sign * np.abs(random.normal(0, 1.0, len(pose)))


def _of(pose: Poses, joint: str) -> Float64[np.ndarray, "poses 3"]:
    return pose[:, SMPL_JOINTS.index(joint) - 1]

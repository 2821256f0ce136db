"""What we believe of a human pose before looking: joint limits, and how far joints usually turn.

The numbers are ours: textbook ranges of motion written in SMPL's joint axes, component by component
of the axis-angle vector, and deliberately wide. No motion capture data went into them.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from dataset.records import SMPL_JOINTS

# per component x, y, z: (lowest, highest), usual mean, usual deviation; radians; left side
_RANGES: dict[str, tuple[tuple[tuple[float, float], float, float], ...]] = {
    "hip": (((-2.5, 0.8), -0.2, 0.7), ((-0.9, 0.9), 0.0, 0.35), ((-0.7, 1.4), 0.05, 0.35)),
    "knee": (((0.0, 2.7), 0.1, 0.5), ((-0.2, 0.2), 0.0, 0.08), ((-0.2, 0.2), 0.0, 0.08)),
    "ankle": (((-0.8, 1.0), 0.0, 0.35), ((-0.6, 0.6), 0.0, 0.25), ((-0.5, 0.5), 0.0, 0.2)),
    "foot": (((-0.7, 0.4), 0.0, 0.1), ((-0.1, 0.1), 0.0, 0.05), ((-0.1, 0.1), 0.0, 0.05)),
    "spine1": (((-0.5, 0.9), 0.1, 0.25), ((-0.5, 0.5), 0.0, 0.15), ((-0.5, 0.5), 0.0, 0.15)),
    "spine2": (((-0.4, 0.7), 0.05, 0.15), ((-0.5, 0.5), 0.0, 0.15), ((-0.4, 0.4), 0.0, 0.1)),
    "spine3": (((-0.4, 0.5), 0.0, 0.12), ((-0.4, 0.4), 0.0, 0.12), ((-0.3, 0.3), 0.0, 0.1)),
    "neck": (((-0.7, 0.8), 0.0, 0.3), ((-0.8, 0.8), 0.0, 0.3), ((-0.6, 0.6), 0.0, 0.2)),
    "head": (((-0.6, 0.7), 0.0, 0.25), ((-0.8, 0.8), 0.0, 0.3), ((-0.5, 0.5), 0.0, 0.2)),
    "collar": (((-0.3, 0.3), 0.0, 0.1), ((-0.5, 0.5), 0.0, 0.15), ((-0.4, 0.7), 0.0, 0.15)),
    "shoulder": (((-1.8, 1.8), 0.0, 0.6), ((-2.2, 1.4), -0.3, 0.7), ((-2.0, 1.9), -0.8, 0.8)),
    "elbow": (((-1.6, 1.6), 0.0, 0.5), ((-2.7, 0.05), -0.6, 0.8), ((-0.3, 0.3), 0.0, 0.12)),
    "wrist": (((-1.0, 1.0), 0.0, 0.4), ((-0.7, 0.7), 0.0, 0.25), ((-1.3, 1.3), 0.0, 0.4)),
    "hand": (((-0.1, 0.1), 0.0, 0.05), ((-0.1, 0.1), 0.0, 0.05), ((-0.1, 0.1), 0.0, 0.05)),
}
_LIMIT_SOFTNESS = 0.1
"""Radians beyond a limit that cost as much as one deviation."""


def joint_ranges() -> tuple[Tensor, Tensor]:
    """The lowest and highest axis-angle components (23, 3) of the body's joints, radians."""
    low, high, _, _ = _tables()
    return low, high


def prior_residuals(
    pose: Float64[Tensor, "frames 21 3"], limit_weight: float, habit_weight: float
) -> tuple[Float64[Tensor, "2 frames 21 3"], Float64[Tensor, "2 frames 21 3"]]:
    """What is unusual about a pose, to be squared and summed, and its slope in each component.

    First how far a component is beyond its limit, then how far it is from its usual mean; both
    times the root of their weight.
    """
    joints = pose.shape[1]
    low, high, mean, deviation = (table[:joints].to(pose) for table in _TABLES)
    limit, habit = limit_weight**0.5 / _LIMIT_SOFTNESS, habit_weight**0.5 / deviation
    beyond = torch.relu(pose - high) - torch.relu(low - pose)
    misses = torch.stack([limit * beyond, habit * (pose - mean)])
    slopes = torch.stack([limit * (beyond != 0).to(pose), habit.expand_as(pose)])
    return misses, slopes


def usual_pose() -> Float[Tensor, "23 3"]:
    """A person standing at ease, arms hanging."""
    return _tables()[2]


def _tables() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Lowest, highest, mean and deviation (23, 3); the right side mirrors the left."""
    rows = []
    for name in SMPL_JOINTS[1:]:
        side, _, joint = name.rpartition("_")
        row = []
        for axis, ((low, high), mean, deviation) in enumerate(_RANGES[joint]):
            if side == "right" and axis > 0:  # a mirror keeps turns about x, and flips the others
                low, high, mean = -high, -low, -mean
            row.append((low, high, mean, deviation))
        rows.append(row)
    table = torch.tensor(rows, dtype=torch.float32)
    low, high, mean, deviation = table.unbind(-1)
    return low, high, mean, deviation


_TABLES = _tables()

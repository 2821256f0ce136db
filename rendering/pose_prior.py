"""What we believe of a human pose before looking: joint limits, and poses that people take.

The limits are textbook ranges of motion written in SMPL's joint axes, component by component of the
axis-angle vector, and deliberately wide. The habits are a Gaussian mixture, one component for each
activity of ``pose_library``, which knows what limits cannot: that legs swing against each other,
and knees bend with hips; and one for anything else, every joint for itself. All numbers are ours;
no motion capture data went into them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from dataset.records import SMPL_JOINTS
from rendering.pose_library import make_poses

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

_POSES_PER_ACTIVITY = 4000
_LOOSENESS = 0.5
"""Share of the usual deviations by which any pose may differ from an activity's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """A Gaussian mixture over the 63 components of a pose; ``offsets`` are -2 log of the scale."""

    names: tuple[str, ...]
    means: Float64[Tensor, "activities 63"]
    precisions: Float64[Tensor, "activities 63 63"]
    offsets: Float64[Tensor, " activities"]

    def surprise(self, pose: Float64[Tensor, "frames 21 3"]) -> Float64[Tensor, " frames"]:
        """-2 log of the density of the likeliest activity, least at 0."""
        return self._all(pose).min(1).values

    def activity(self, pose: Float64[Tensor, "frames 21 3"]) -> Int64[Tensor, " frames"]:
        """The likeliest activity of each frame."""
        return self._all(pose).argmin(1)

    def _all(self, pose: Tensor) -> Float64[Tensor, "frames activities"]:
        apart = pose.flatten(1)[:, None] - self.means
        return torch.einsum("fac,acd,fad->fa", apart, self.precisions, apart) + self.offsets


@cache
def habits() -> Habits:
    """The mixture, computed once (a fraction of a second)."""
    _, _, mean, deviation = (table[:21].double() for table in _TABLES)
    library = make_poses(mean.numpy(), _POSES_PER_ACTIVITY)
    loose = torch.diag((_LOOSENESS * deviation.flatten()).square())
    means, precisions, scales = [], [], []
    for poses in library.values():
        flat = torch.from_numpy(poses).flatten(1)
        covariance = torch.from_numpy(np.cov(flat.numpy().T)) + loose
        means.append(flat.mean(0))
        precisions.append(torch.linalg.inv(covariance))
        scales.append(torch.linalg.slogdet(covariance).logabsdet)
    # What is none of these: every joint for itself, as far as it usually goes.
    means.append(mean.flatten())
    precisions.append(torch.diag(deviation.flatten().square().reciprocal()))
    scales.append(2 * deviation.log().sum())
    offsets = torch.stack(scales)
    return Habits(
        names=(*library, "anything"),
        means=torch.stack(means),
        precisions=torch.stack(precisions),
        offsets=offsets - offsets.min(),
    )


def joint_ranges() -> tuple[Tensor, Tensor]:
    """The lowest and highest axis-angle components (23, 3) of the body's joints, radians."""
    low, high, _, _ = _TABLES
    return low, high


def beyond_limits(
    pose: Float64[Tensor, "frames 21 3"],
) -> tuple[Float64[Tensor, "frames 21 3"], Float64[Tensor, "frames 21 3"]]:
    """How far each component is beyond its limit, in units of the softness, and its slope."""
    joints = pose.shape[1]
    low, high = (table[:joints].to(pose) for table in _TABLES[:2])
    beyond = torch.relu(pose - high) - torch.relu(low - pose)
    return beyond / _LIMIT_SOFTNESS, (beyond != 0).to(pose) / _LIMIT_SOFTNESS


def usual_pose() -> Float[Tensor, "23 3"]:
    """A person standing at ease, arms hanging."""
    return _TABLES[2]


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

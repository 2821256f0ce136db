"""What a fitted body should satisfy, and how the clip's parameters are written down.

Every term is a negative log likelihood up to a factor: squared deviations in units of the standard
deviation that is expected of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float64
from torch import Tensor

from dataset.records import SMPL_JOINTS
from rendering.fitting_settings import TermSettings
from rendering.kinematics import rotation_matrices

POSED_JOINTS = 21
"""The body's joints that are fitted; SMPL's two hands stay straight."""

FRAME_SIZE = 3 + 3 * POSED_JOINTS + 3
"""Unknowns of a frame: root rotation, pose, place in the picture, logarithm of the distance."""

ROOT, POSE, PLACE = slice(0, 3), slice(3, FRAME_SIZE - 3), slice(FRAME_SIZE - 3, FRAME_SIZE - 1)
DEPTH = FRAME_SIZE - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the detector saw; weights are 0 where a point was not seen.

    ``points`` are (frames, points of ``POINT_NAMES``, 2) in pixels from the principal point;
    ``landmarks`` (frames, 23, 3) in metres from the middle of the hips, camera axes;
    ``body_height_px`` is the person's typical height in the picture.
    """

    points: Float64[Tensor, "frames points 2"]
    point_weights: Float64[Tensor, "frames points"]
    landmarks: Float64[Tensor, "frames 23 3"]
    landmark_weights: Float64[Tensor, "frames 23"]
    body_height_px: float
    fps: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknowns:
    """The parameters of a clip.

    ``root`` turns the body into camera axes; ``pose`` are axis-angles; ``place`` is the root's
    position in the picture from the principal point, in body heights; ``log_depth`` the logarithm
    of its distance in metres.
    """

    root: Float64[Tensor, "frames 3 3"]
    pose: Float64[Tensor, "frames 21 3"]
    betas: Float64[Tensor, " 10"]
    place: Float64[Tensor, "frames 2"]
    log_depth: Float64[Tensor, " frames"]

    def moved(
        self, frames: Float64[Tensor, "frames unknowns"], betas: Float64[Tensor, " 10"]
    ) -> Unknowns:
        """A step away; the root turns about the camera's axes, all else is added."""
        return Unknowns(
            root=rotation_matrices(frames[:, ROOT]) @ self.root,
            pose=self.pose + frames[:, POSE].unflatten(1, (POSED_JOINTS, 3)),
            betas=self.betas + betas,
            place=self.place + frames[:, PLACE],
            log_depth=self.log_depth + frames[:, DEPTH],
        )

    def body_pose(self) -> Float64[Tensor, "frames 23 3"]:
        """The pose with SMPL's straight hands."""
        return torch.cat([self.pose, self.pose.new_zeros(len(self.pose), 2, 3)], 1)


def accelerations(settings: TermSettings) -> Float64[Tensor, " unknowns"]:
    """The expected accelerations of a frame's unknowns, per second squared."""
    trunk = ("spine", "neck", "head", "left_collar", "right_collar")
    joints = [
        settings.trunk_acceleration if name.startswith(trunk) else settings.turn_acceleration
        for name in SMPL_JOINTS[1 : 1 + POSED_JOINTS]
    ]
    groups = [settings.trunk_acceleration, *joints]
    flat = [value for value in groups for _ in range(3)]
    flat += [settings.place_acceleration] * 2 + [settings.depth_acceleration]
    return torch.tensor(flat, dtype=torch.float64)


def robust_cost(squares: Tensor, deviations: float) -> Tensor:
    """The pseudo-Huber cost of squared deviations: squares near zero, lengths far out."""
    return 2 * deviations**2 * ((1 + squares / deviations**2).sqrt() - 1)


def robust_weight(squares: Tensor, deviations: float) -> Tensor:
    """The weight with which plain squares pull as the pseudo-Huber cost does."""
    return (1 + squares / deviations**2).rsqrt()

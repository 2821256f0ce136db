"""Where the points of a clip's body are, and how they move with every parameter: no mesh, no tape.

A joint that turns by a small rotation vector w about its place p moves every point x that hangs
below it by w x (x - p); that is the whole Jacobian of a skeleton.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float64
from torch import Tensor

from dataset.records import SMPL_PARENTS
from rendering.body_points import BodyPoints
from rendering.fitting_terms import FRAME_SIZE, POSE, POSED_JOINTS, ROOT, Unknowns
from rendering.kinematics import forward_kinematics, left_jacobian, rotation_matrices


@dataclass(frozen=True, slots=True, kw_only=True)
class PosedPoints:
    """The points from the root, camera axes, metres, and their derivatives.

    ``by_frame`` is with respect to a frame's unknowns (``fitting_terms``), ``by_betas`` to the
    shape; both are None where only the places were asked for.
    """

    places: Float64[Tensor, "frames points 3"]
    by_frame: Float64[Tensor, "frames points 3 unknowns"] | None
    by_betas: Float64[Tensor, "frames points 3 10"] | None


def posed_points(body: BodyPoints, unknowns: Unknowns, *, derivatives: bool) -> PosedPoints:
    """The points of a clip's body in double precision."""
    rotations = torch.cat([unknowns.root[:, None], rotation_matrices(unknowns.body_pose())], 1)
    rest = body.rest_joints(unknowns.betas)
    joints, turned = forward_kinematics(rotations, rest)
    places = body.posed(unknowns.betas, joints, turned) - joints[:, :1]
    if not derivatives:
        return PosedPoints(places=places, by_frame=None, by_betas=None)
    return PosedPoints(
        places=places,
        by_frame=_by_frame(body, unknowns, places, joints - joints[:, :1], turned),
        by_betas=moved_by_betas(body, turned),
    )


def _by_frame(
    body: BodyPoints, unknowns: Unknowns, places: Tensor, joints: Tensor, turned: Tensor
) -> Float64[Tensor, "frames points 3 unknowns"]:
    frames, points = places.shape[:2]
    parents = list(SMPL_PARENTS[1 : 1 + POSED_JOINTS])
    axes = turned[:, parents] @ left_jacobian(unknowns.pose)  # columns: world turn per component
    axes = torch.cat([torch.eye(3).to(axes).expand(frames, 1, 3, 3), axes], 1)
    arms = places[:, :, None] - joints[:, None, : 1 + POSED_JOINTS]
    turns = axes.transpose(-1, -2)[:, None]  # frames, 1, joints, component, xyz
    moves = torch.linalg.cross(turns, arms[..., None, :].expand(-1, -1, -1, 3, -1))
    moves = moves * _hangs_below(body.owners).to(moves)[..., None, None]
    out = places.new_zeros(frames, points, 3, FRAME_SIZE)
    flat = moves.permute(0, 1, 4, 2, 3).flatten(3)
    out[..., ROOT], out[..., POSE] = flat[..., :3], flat[..., 3:]
    return out


def moved_by_betas(body: BodyPoints, turned: Tensor) -> Float64[Tensor, "frames points 3 10"]:
    """How points move with each shape number, from the root.

    The skeleton is linear in the shape: the same chain, carrying directions for places.
    """
    carried = [turned.new_zeros(len(turned), 3, body.joint_shapes.shape[-1])]
    for joint, parent in enumerate(SMPL_PARENTS):
        if parent >= 0:
            bone = body.joint_shapes[joint] - body.joint_shapes[parent]
            carried.append(carried[parent] + turned[:, parent] @ bone)
    offsets = body.shapes - body.joint_shapes[body.owners]
    return torch.stack(carried, 1)[:, body.owners] + turned[:, body.owners] @ offsets


def _hangs_below(owners: list[int]) -> Float64[Tensor, "points joints"]:
    """1 where a point moves when a joint (the root or one of the posed) turns."""
    below = torch.zeros(len(owners), 1 + POSED_JOINTS, dtype=torch.float64)
    for point, owner in enumerate(owners):
        joint = owner
        while joint >= 0:
            if joint <= POSED_JOINTS:
                below[point, joint] = 1.0
            joint = SMPL_PARENTS[joint]
    return below

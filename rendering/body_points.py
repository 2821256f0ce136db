"""Where the points that a detector sees are on a body: joints, and places on its skin.

The places on the skin are found by geometry in the T-pose, so that they exist on any SMPL-format
body, whatever its mesh. Each point hangs rigidly on one joint: enough for face, hands and feet, and
far cheaper than skinning the mesh.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor

from dataset.records import (
    BODY_POINTS,
    LEFT_HAND_POINTS,
    RIGHT_HAND_POINTS,
    SMPL_JOINTS,
    BodyTrack,
)
from rendering.body_model import BodyModel
from rendering.kinematics import forward_kinematics, rotation_matrices

POINT_NAMES = (
    *BODY_POINTS,
    "left_index", "left_hand", "left_pinky", "right_index", "right_hand", "right_pinky",
)  # fmt: skip
"""The 23 body points, then three knuckles a hand (the middle one is SMPL's hand joint)."""

_MARKED_BESIDE = {
    # point: (joint it hangs on, joint the offset comes from, its share of the way from there)
    "shoulder": ("collar", "hip", 0.05),
    "knee": ("hip", "hip", 0.05),
    "ankle": ("knee", "knee", -0.04),
}
"""Where detectors mark a limb beside its centre of rotation: on top of the shoulder, on the knee
cap, above the ankle bone. Measured from the bone lengths of BlazePose's own 3D landmarks, which are
nearly the same for everyone: trunk 0.48 m, thigh 0.40 m, shin 0.38 m."""

_KNUCKLES = (5, 9, 17)  # index, middle and little finger among a hand's 21 points

WHOLEBODY_INDICES = (
    *range(len(BODY_POINTS)),
    *(LEFT_HAND_POINTS.start + knuckle for knuckle in _KNUCKLES),
    *(RIGHT_HAND_POINTS.start + knuckle for knuckle in _KNUCKLES),
)
"""Which of the 133 COCO-WholeBody points each of ``POINT_NAMES`` is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyPoints:
    """The T-pose positions of joints and points as linear functions of the betas, metres.

    ``owners`` is the joint each point hangs on.
    """

    joint_mean: Float[Tensor, "24 3"]
    joint_shapes: Float[Tensor, "24 3 10"]
    mean: Float[Tensor, "points 3"]
    shapes: Float[Tensor, "points 3 10"]
    owners: list[int]

    def double(self) -> BodyPoints:
        """The same in double precision, as the fit computes."""
        return replace(
            self,
            joint_mean=self.joint_mean.double(),
            joint_shapes=self.joint_shapes.double(),
            mean=self.mean.double(),
            shapes=self.shapes.double(),
        )

    def rest_joints(self, betas: Float[Tensor, " 10"]) -> Float[Tensor, "24 3"]:
        """The joints in the T-pose."""
        return self.joint_mean + self.joint_shapes @ betas

    def posed(
        self,
        betas: Float[Tensor, " 10"],
        joints: Float[Tensor, "frames 24 3"],
        rotations: Float[Tensor, "frames 24 3 3"],
    ) -> Float[Tensor, "frames points 3"]:
        """The points of a posed skeleton (``kinematics.forward_kinematics``), in its axes."""
        offsets = self.mean + self.shapes @ betas - self.rest_joints(betas)[self.owners]
        return joints[:, self.owners] + (rotations[:, self.owners] @ offsets[..., None])[..., 0]


def find_points(body: BodyModel) -> BodyPoints:
    """Find ``POINT_NAMES`` on a body.

    Raises ``ValueError`` where a body has no skin to look on (a part without vertices).
    """
    rest, shapes = body.rest, body.rest["shapedirs"][..., :10]
    joint_mean, joint_shapes = _skeleton(body)
    means, directions, owners = [], [], []
    skin = _skin_points(rest["v_template"], body.mesh.vertex_parts, joint_mean)
    for name in POINT_NAMES:
        if name in skin:
            vertex = skin[name]
            means.append(rest["v_template"][vertex])
            directions.append(shapes[vertex])
            owners.append(int(body.mesh.vertex_parts[vertex]))
        else:
            joint, origin, share, owner = _mark(name)
            means.append(joint_mean[joint] + share * (joint_mean[joint] - joint_mean[origin]))
            shape = joint_shapes[joint] + share * (joint_shapes[joint] - joint_shapes[origin])
            directions.append(shape)
            owners.append(owner)
    return BodyPoints(
        joint_mean=torch.from_numpy(joint_mean),
        joint_shapes=torch.from_numpy(joint_shapes),
        mean=torch.from_numpy(np.stack(means)),
        shapes=torch.from_numpy(np.stack(directions)),
        owners=owners,
    )


def skin_points(body: BodyModel, vertices: Int[np.ndarray, " points"]) -> BodyPoints:
    """Vertices of the skin as points, each on the joint it belongs to."""
    joint_mean, joint_shapes = _skeleton(body)
    return BodyPoints(
        joint_mean=torch.from_numpy(joint_mean),
        joint_shapes=torch.from_numpy(joint_shapes),
        mean=torch.from_numpy(body.rest["v_template"][vertices]),
        shapes=torch.from_numpy(body.rest["shapedirs"][vertices][..., :10]),
        owners=body.mesh.vertex_parts[vertices].tolist(),
    )


def _skeleton(body: BodyModel) -> tuple[np.ndarray, np.ndarray]:
    """The T-pose joints of the mean shape, and how each shape number moves them."""
    regressor, shapes = body.rest["J_regressor"], body.rest["shapedirs"][..., :10]
    return regressor @ body.rest["v_template"], np.einsum("jv,vck->jck", regressor, shapes)


def body_point_places(
    points: BodyPoints, track: BodyTrack
) -> Float32[np.ndarray, "frames points 3"]:
    """Where ``POINT_NAMES`` are on the body of every frame: camera space, metres."""
    betas = torch.from_numpy(track.betas)
    pose = np.concatenate([track.global_orient[:, None], track.body_pose], axis=1)
    rotations = rotation_matrices(torch.from_numpy(pose))
    joints, turned = forward_kinematics(rotations, points.rest_joints(betas))
    return points.posed(betas, joints, turned).numpy() + track.transl[:, None]


def _mark(name: str) -> tuple[int, int, float, int]:
    """The joint of a point, the joint and share that its offset comes from, and its owner."""
    joint = SMPL_JOINTS.index(name)
    side, _, part = name.partition("_")
    if part not in _MARKED_BESIDE:
        return joint, joint, 0.0, joint
    owner, origin, share = _MARKED_BESIDE[part]
    places = [SMPL_JOINTS.index(f"{side}_{other}") for other in (origin, owner)]
    return joint, places[0], share, places[1]


def _skin_points(vertices: np.ndarray, parts: np.ndarray, joints: np.ndarray) -> dict[str, int]:
    """The vertex of every point that is on the skin; T-pose, y up, facing +z, left at +x."""
    x, y, z = vertices.T
    head = _of_parts(parts, "head")
    nose = _best(head & (np.abs(x) < 0.02), z, "nose")
    found = {"nose": nose}
    for side, sign in (("left", 1.0), ("right", -1.0)):
        out = sign * x
        to_eye = np.abs(out - 0.033) + np.abs(y - y[nose] - 0.035)
        found[f"{side}_eye"] = _best(head & (z > z[nose] - 0.07), -to_eye, "eye")
        beside = head & (y > y[nose] - 0.02) & (y < y[nose] + 0.04)
        found[f"{side}_ear"] = _best(beside, out, "ear")
        foot = _of_parts(parts, f"{side}_ankle", f"{side}_foot")
        sole = foot & (y < y[foot].min(initial=np.inf) + 0.04)
        found[f"{side}_heel"] = _best(sole, -z, "heel")
        found[f"{side}_big_toe"] = _best(sole, z, "big toe")
        found[f"{side}_small_toe"] = _best(sole, out + 0.7 * z, "small toe")
        knuckles = joints[SMPL_JOINTS.index(f"{side}_hand"), 0]
        across = _of_parts(parts, f"{side}_hand") & (np.abs(x - knuckles) < 0.015)
        found[f"{side}_index"] = _best(across, z, "index finger")
        found[f"{side}_pinky"] = _best(across, -z, "little finger")
    return found


def _of_parts(parts: np.ndarray, *names: str) -> np.ndarray:
    return np.isin(parts, [SMPL_JOINTS.index(name) for name in names])


def _best(among: np.ndarray, value: np.ndarray, what: str) -> int:
    if not among.any():
        raise ValueError(f"no {what} can be found on this body: its part has no vertices there")
    return int(np.where(among, value, -np.inf).argmax())

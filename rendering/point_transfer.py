"""Carries a detector's points from the body they were seen on to another shape or place."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

from dataset.records import (
    BODY_POINTS,
    FACE_POINTS,
    LEFT_HAND_POINTS,
    RIGHT_HAND_POINTS,
    SMPL_JOINTS,
    SMPL_PARENTS,
    Camera,
)
from rendering.camera import project

_JOINT_OF_FEATURE = {
    "nose": "head", "eye": "head", "ear": "head", "big_toe": "foot", "small_toe": "foot",
    "heel": "ankle",
}  # fmt: skip


def transfer_points(
    points: Float32[np.ndarray, "frames 133 3"],
    source_joints: Float32[np.ndarray, "frames 24 3"],
    source_camera: Camera,
    target_joints: Float32[np.ndarray, "frames 24 3"],
    target_camera: Camera,
) -> Float32[np.ndarray, "frames 133 3"]:
    """The points as they would have been seen on the target body, confidences kept.

    Every point hangs on one SMPL joint: its offset from that joint's projection is kept, scaled by
    how much larger the target's bones appear there. So hands and face, which SMPL does not pose,
    come along, and a body carried onto itself gives the same points.

    Args:
        points: 133 COCO-WholeBody points, x and y in pixels of ``source_camera``.
        source_joints: SMPL joints in metres, camera axes, of the body the points were seen on.
        target_joints: The same pose on the other body.
    """
    anchors = _anchors()
    source, target = source_joints[:, anchors], target_joints[:, anchors]
    magnified = (target_camera.focal_length_px / target[..., 2:]) / (
        source_camera.focal_length_px / source[..., 2:]
    )
    scale = magnified * _bone_length(target_joints) / _bone_length(source_joints)
    offset = points[..., :2] - project(source, source_camera)
    moved = project(target, target_camera) + scale * offset
    return np.concatenate([moved, points[..., 2:]], axis=-1).astype(np.float32)


def _anchors() -> list[int]:
    """The SMPL joint that each of the 133 points hangs on."""
    anchors = [0] * 133
    for index, name in enumerate(BODY_POINTS):
        side, _, feature = name.partition("_") if "_" in name else ("", "", name)
        joint = _JOINT_OF_FEATURE.get(feature, feature)
        anchors[index] = SMPL_JOINTS.index(joint if joint == "head" else f"{side}_{joint}")
    for span, joint in (
        (FACE_POINTS, "head"),
        (LEFT_HAND_POINTS, "left_wrist"),
        (RIGHT_HAND_POINTS, "right_wrist"),
    ):
        anchors[span] = [SMPL_JOINTS.index(joint)] * (span.stop - span.start)
    return anchors


def _bone_length(joints: Float32[np.ndarray, "frames 24 3"]) -> float:
    """The summed length of all bones, in metres: the body's size whatever its pose."""
    parents = list(SMPL_PARENTS[1:])
    bones = np.linalg.norm(joints[:, 1:] - joints[:, parents], axis=-1)
    return float(bones.sum(1).mean())

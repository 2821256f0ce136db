"""A pose in closed form from 3D landmarks: where the fit of a clip begins.

Every bone is swung onto the landmarks' direction; its twist comes from the hinge below it (an elbow
or knee turns about the normal of the plane its limb bends in), or where the limb is straight, from
the least twist. No iteration, all frames at once.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from dataset.records import BODY_POINTS, SMPL_JOINTS, SMPL_PARENTS

_HINGE_PULL = {"elbow": 0.15, "knee": 0.5}
"""Weight of the least twist against a bend of 90 degrees: knees hardly twist, elbows do."""


def start_pose(
    landmarks: Float[np.ndarray, "frames 23 3"],
    foot_seen: Float[np.ndarray, "frames 2"],
    rest_points: Float[np.ndarray, "points 3"],
) -> Float[np.ndarray, "frames 24 3 3"]:
    """Rotations relative to the parent (the root's to the camera) that follow the landmarks.

    Args:
        landmarks: ``BODY_POINTS`` in camera axes, any common scale, none missing.
        foot_seen: How far the left and right foot's landmarks are to be believed, 0 to 1; a foot
            that is not stays in line with the shin.
        rest_points: The body's own ``BODY_POINTS`` (first 23 rows) in the T-pose.
    """
    seen = {name: landmarks[:, index] for index, name in enumerate(BODY_POINTS)}
    rest = {name: rest_points[index] for index, name in enumerate(BODY_POINTS)}
    world = {name: np.tile(np.eye(3), (len(landmarks), 1, 1)) for name in SMPL_JOINTS}
    pelvis = _turn(_trunk(rest, "hip"), _trunk(seen, "hip"))
    chest = _turn(_trunk(rest, "shoulder"), _trunk(seen, "shoulder"))
    for name, share in (("pelvis", 0.0), ("spine1", 1 / 3), ("spine2", 2 / 3)):
        world[name] = _between(pelvis, chest, share)
    head = _turn(_face(rest), _face(seen))
    world |= dict.fromkeys(("spine3", "left_collar", "right_collar"), chest)
    world |= {"neck": _between(chest, head, 0.5), "head": head}
    hinges = {"left_elbow": (0, -1, 0), "right_elbow": (0, 1, 0), "knee": (1, 0, 0)}
    for side in ("left", "right"):
        arm = [f"{side}_{name}" for name in ("shoulder", "elbow", "wrist", "hand")]
        leg = [f"{side}_{name}" for name in ("hip", "knee", "ankle", "foot")]
        axes = (hinges[arm[1]], hinges["knee"])
        for names, parent, axis in zip((arm, leg), (chest, pelvis), axes, strict=True):
            upper, lower = _limb(seen, rest, names, parent, np.array(axis, float))
            world |= {names[0]: upper} | dict.fromkeys(names[1:], lower)
        foot = _turn(_foot(rest, side), _foot(seen, side))
        number = ("left", "right").index(side)
        foot = _between(world[leg[2]], foot, foot_seen[:, number])
        world |= {leg[2]: foot, leg[3]: foot}
    stacked = np.stack([world[name] for name in SMPL_JOINTS], axis=1)
    local = stacked.copy()
    for joint, parent in enumerate(SMPL_PARENTS):
        if parent >= 0:
            local[:, joint] = np.swapaxes(stacked[:, parent], -1, -2) @ stacked[:, joint]
    return local


def _limb(
    seen: dict[str, np.ndarray],
    rest: dict[str, np.ndarray],
    names: list[str],
    parent: np.ndarray,
    hinge: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """World rotations of the upper and lower bone of a limb whose middle joint is a hinge."""
    top, middle, end = names[:3]
    upper, lower = _unit(seen[middle] - seen[top]), _unit(seen[end] - seen[middle])
    rest_upper, rest_lower = rest[middle] - rest[top], rest[end] - rest[middle]
    carried = parent @ _unit(rest_upper)
    untwisted = _swing(carried, upper) @ parent
    pull = _HINGE_PULL[middle.rpartition("_")[2]]
    normal = np.cross(upper, lower) + pull * (untwisted @ hinge)
    return (
        _turn((rest_upper, hinge), (upper, normal)),
        _turn((rest_lower, hinge), (lower, normal)),
    )


def _trunk(at: dict[str, np.ndarray], ends: str) -> tuple[np.ndarray, np.ndarray]:
    """Up the trunk, and to the left along the hips or shoulders."""
    shoulders = at["left_shoulder"] + at["right_shoulder"]
    up = shoulders - at["left_hip"] - at["right_hip"]
    return up, at[f"left_{ends}"] - at[f"right_{ends}"]


def _face(at: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """To the left across the face, and forward from between the ears to the nose."""
    left = at["left_ear"] - at["right_ear"] + at["left_eye"] - at["right_eye"]
    return left, at["nose"] - 0.5 * (at["left_ear"] + at["right_ear"])


def _foot(at: dict[str, np.ndarray], side: str) -> tuple[np.ndarray, np.ndarray]:
    """From heel to toe, and up the shin."""
    return (
        at[f"{side}_big_toe"] - at[f"{side}_heel"],
        at[f"{side}_knee"] - at[f"{side}_ankle"],
    )


def _turn(rest: tuple[np.ndarray, np.ndarray], seen: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """The rotation that carries the first direction exactly and the second as nearly as can be."""
    return _frame(*seen) @ np.swapaxes(_frame(*rest), -1, -2)


def _frame(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    along = _unit(first)
    across = _unit(np.cross(along, second))
    return np.stack([along, np.cross(across, along), across], axis=-1)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


def _swing(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The least rotation that carries unit vectors onto others."""
    axis = np.cross(start, end)
    sine = np.linalg.norm(axis, axis=-1, keepdims=True)
    angle = np.arctan2(sine, np.sum(start * end, axis=-1, keepdims=True))
    return Rotation.from_rotvec(axis / np.maximum(sine, 1e-9) * angle).as_matrix()


def _between(start: np.ndarray, end: np.ndarray, share: float | np.ndarray) -> np.ndarray:
    """Rotations a share of the way from one to the other."""
    way = Rotation.from_matrix(np.swapaxes(start, -1, -2) @ end).as_rotvec()
    part = np.asarray(share, float)
    return start @ Rotation.from_rotvec(way * (part[:, None] if part.ndim else part)).as_matrix()

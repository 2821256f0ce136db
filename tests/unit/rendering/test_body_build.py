from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dataset.records import SMPL_JOINTS
from rendering.body_build import RestBodies, joint_regressor, shape_space, to_t_pose
from rendering.body_model import SHIPPED_BODY, BodyModel

BODY = BodyModel.load()


def bent_bodies(count: int, seed: int = 0) -> RestBodies:
    """Bodies of random shape in an A-pose with bent elbows, made by the shipped body itself."""
    random = np.random.default_rng(seed)
    rest = BODY.rest
    shaped = rest["v_template"] + np.einsum(
        "vck,bk->bvc", rest["shapedirs"], random.normal(0, 1, (count, 10))
    )
    joints = np.einsum("jv,bvc->bjc", rest["J_regressor"], shaped)
    for side, sign in (("left", 1.0), ("right", -1.0)):
        elbow, wrist, hand = (
            SMPL_JOINTS.index(f"{side}_{name}") for name in ("elbow", "wrist", "hand")
        )
        turn = np.array([[0.8, 0, sign * -0.6], [0, 1, 0], [sign * 0.6, 0, 0.8]])
        for joint in (hand, wrist):
            joints[:, joint] = joints[:, elbow] + (joints[:, joint] - joints[:, elbow]) @ turn.T
    lines = np.tile([0.0, 0.0, 0.08], (count, 2, 1))
    return RestBodies(
        vertices=shaped,
        joints=joints,
        knuckle_lines=lines,
        weights=rest["weights"].astype(np.float64),
        triangles=rest["f"],
    )


def test_t_pose_has_straight_arms_and_the_pelvis_in_its_place() -> None:
    """Bent elbows come out along the x axis at one height, bone lengths kept."""
    before = bent_bodies(3)
    after = to_t_pose(before)
    at = {name: after.joints[:, index] for index, name in enumerate(SMPL_JOINTS)}
    for side, sign in (("left", 1), ("right", -1)):
        for near, far in (("shoulder", "elbow"), ("elbow", "wrist"), ("wrist", "hand")):
            bone = at[f"{side}_{far}"] - at[f"{side}_{near}"]
            np.testing.assert_allclose(bone[:, 1:], 0, atol=1e-9)
            assert (sign * bone[:, 0] > 0.05).all()
    np.testing.assert_allclose(at["pelvis"], np.tile([0, -0.22, 0.03], (3, 1)), atol=1e-12)
    bones = [np.linalg.norm(b.joints[:, 18] - b.joints[:, 16], axis=1) for b in (before, after)]
    np.testing.assert_allclose(bones[0], bones[1], atol=1e-9)


def test_shape_space_finds_the_directions_that_made_the_bodies() -> None:
    """From bodies of three random shape numbers, three directions explain all, scaled to one."""
    random = np.random.default_rng(1)
    numbers = random.normal(0, 1, (60, 3)) * [3.0, 2.0, 1.0]
    directions = np.linalg.qr(random.normal(0, 1, (90, 3)))[0].T.reshape(3, 30, 3)
    bodies = np.einsum("bk,kvc->bvc", numbers, directions) + random.normal(0, 1, (30, 3))
    mean, shapes = shape_space(bodies, 3)
    coefficients = np.linalg.lstsq(
        shapes.reshape(-1, 3), (bodies - mean).reshape(60, -1).T, rcond=None
    )[0]
    rebuilt = mean + np.einsum("vck,kb->bvc", shapes, coefficients)
    np.testing.assert_allclose(rebuilt, bodies, atol=1e-9)
    np.testing.assert_allclose(coefficients.std(axis=1), 1, atol=1e-6)


def test_regressor_finds_joints_that_are_means_of_skin() -> None:
    """Joints made by a sparse regressor are found again to 4 mm, weights summing to one."""
    random = np.random.default_rng(2)
    shaped = BODY.rest["v_template"] + np.einsum(
        "vck,bk->bvc", BODY.rest["shapedirs"], random.normal(0, 1, (12, 10))
    )
    bodies = RestBodies(
        vertices=shaped.astype(np.float64),
        joints=np.einsum("jv,bvc->bjc", BODY.rest["J_regressor"], shaped).astype(np.float64),
        knuckle_lines=np.zeros((12, 2, 3)),
        weights=BODY.rest["weights"].astype(np.float64),
        triangles=BODY.rest["f"],
    )
    regressor = joint_regressor(bodies)
    found = np.einsum("jv,bvc->bjc", regressor, bodies.vertices)
    assert np.abs(found - bodies.joints).max() < 4e-3
    assert regressor.min() >= 0
    np.testing.assert_allclose(regressor.sum(axis=1), 1, atol=1e-12)


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("anny") is None, reason="needs the 'body' extra (anny)"
)
def test_building_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    """Two processes write byte for byte the same file, and it is the one that ships."""
    program = (
        "import sys, pathlib; from rendering.body_build import build_body; "
        "build_body(pathlib.Path(sys.argv[1]))"
    )
    for name in ("one.npz", "two.npz"):
        subprocess.run([sys.executable, "-c", program, str(tmp_path / name)], check=True)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    with np.load(tmp_path / "one.npz") as built, np.load(SHIPPED_BODY) as shipped:
        for name in shipped:
            np.testing.assert_allclose(built[name], shipped[name], atol=1e-4, err_msg=name)

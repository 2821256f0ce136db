"""A detector's points come along when the body changes its shape or place."""

from __future__ import annotations

import numpy as np
import pytest

from dataset.records import BODY_POINTS, LEFT_HAND_POINTS, SMPL_JOINTS, Camera
from rendering.camera import project
from rendering.point_transfer import transfer_points

CAMERA = Camera(focal_length_px=1000.0, width=400, height=300)


@pytest.fixture
def body():
    rng = np.random.default_rng(0)
    joints = rng.normal(0, 0.4, (3, 24, 3)).astype(np.float32) + np.float32([0, 0, 5])
    points = rng.uniform(0, 300, (3, 133, 3)).astype(np.float32)
    points[..., 2] = rng.uniform(0, 1, (3, 133))
    return joints, points


def test_a_body_carried_onto_itself_keeps_its_points(body):
    """Identity to a ten-thousandth of a pixel, confidences to the bit."""
    joints, points = body
    same = transfer_points(points, joints, CAMERA, joints, CAMERA)
    assert np.abs(same - points).max() < 1e-4
    assert np.array_equal(same[..., 2], points[..., 2])


def test_points_follow_a_body_that_steps_aside(body):
    """A shift parallel to the picture moves every point as far as its joint's projection."""
    joints, points = body
    moved = joints + np.float32([0.5, -0.2, 0])
    carried = transfer_points(points, joints, CAMERA, moved, CAMERA)
    wrist = SMPL_JOINTS.index("left_wrist")
    step = project(moved[:, wrist], CAMERA) - project(joints[:, wrist], CAMERA)
    hand = carried[:, LEFT_HAND_POINTS, :2] - points[:, LEFT_HAND_POINTS, :2]
    assert np.allclose(hand, step[:, None], atol=1e-2)


def test_twice_the_size_at_the_same_distance_doubles_the_offsets(body):
    """A child's points on a giant: offsets from the joints scale with the bones."""
    joints, points = body
    middle = joints.mean((0, 1))
    flat = np.concatenate([joints[..., :2], np.full_like(joints[..., 2:], 5)], -1)
    giant = np.concatenate([(flat - middle)[..., :2] * 2 + middle[:2], flat[..., 2:]], -1)
    carried = transfer_points(points, flat, CAMERA, giant, CAMERA)
    knee, index = SMPL_JOINTS.index("left_knee"), BODY_POINTS.index("left_knee")
    before = points[:, index, :2] - project(flat[:, knee], CAMERA)
    after = carried[:, index, :2] - project(giant[:, knee], CAMERA)
    assert np.allclose(after, 2 * before, rtol=1e-3, atol=1e-2)

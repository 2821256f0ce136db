"""Which points an animation's skeleton is drawn from."""

from __future__ import annotations

import numpy as np
import pytest

from dataset.records import LEFT_HAND_POINTS, BodyTrack, Camera
from inference.motion import Motion, skeleton_points
from rendering.body_model import BodyModel
from rendering.skeleton import smpl_to_wholebody_points
from rendering.track import select_frames


@pytest.fixture(scope="module")
def body() -> BodyModel:
    """The free body."""
    return BodyModel.load(None)


@pytest.fixture
def motion() -> Motion:
    """Four frames of somebody standing three metres away, turned a little more in each."""
    turns = np.linspace(0, 0.3, 4)
    track = BodyTrack(
        betas=np.zeros(10, np.float32),
        global_orient=np.stack([np.pi + 0 * turns, 0 * turns, turns], 1).astype(np.float32),
        body_pose=np.zeros((4, 23, 3), np.float32),
        transl=np.tile(np.float32((0, 0, 3)), (4, 1)),
        camera=Camera(focal_length_px=500.0, width=400, height=400),
        reprojection_error_px=np.zeros(4, np.float32),
    )
    points = np.random.default_rng(0).uniform(0, 1, (4, 133, 3)).astype(np.float32)
    points[..., :2] *= 400
    return Motion(track=track, points=points, boxes=np.zeros((4, 4), np.float32), fps=30.0)


def test_transferred_points_are_those_seen(motion: Motion, body: BodyModel) -> None:
    """On the motion's own body the points are where the detector saw them, hands and face too."""
    frames = [1, 3]
    own = select_frames(motion.track, frames)
    points = skeleton_points(motion, frames, own, body, skeleton="transferred")
    np.testing.assert_allclose(points, motion.points[frames], atol=1e-2)


def test_body_points_are_the_joints(motion: Motion, body: BodyModel) -> None:
    """Nothing that was seen matters: joints of the aligned body, no hands."""
    aligned = select_frames(motion.track, [2])
    points = skeleton_points(motion, [0], aligned, body, skeleton="body")
    expected = smpl_to_wholebody_points(body.joints(aligned), aligned)
    np.testing.assert_array_equal(points, expected)
    assert points[:, 5:17, 2].all()
    assert not points[:, LEFT_HAND_POINTS, 2].any()

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.motions import Noise, make_motion, observe, true_points
from dataset.errors import ItemError
from dataset.records import BODY_POINTS, BodyTrack
from rendering.body_model import BodyModel
from rendering.camera import default_camera, project
from rendering.fitting import KeypointFitter
from rendering.fitting_settings import FitSettings
from rendering.hmr2.crops import crop_person, normalised, square_boxes
from rendering.hmr2.fitter import Hmr2Fitter, landmarks_of
from rendering.hmr2.regressor import Hmr2Regressor
from rendering.hmr2.settings import Hmr2Settings
from rendering.kinematics import axis_angles
from tests.unit.rendering.hmr2_networks import save_network, small_network

BODY = BodyModel.load()
CAMERA = default_camera(320, 240)
SQUAT = make_motion("squat", 6, seed=1)
BOXES = np.array([[100 + 3 * i, 20 + i, 180 + 3 * i, 210 + 2 * i] for i in range(5)], np.float32)


@pytest.fixture
def settings(tmp_path: Path) -> Hmr2Settings:
    return save_network(small_network(), tmp_path / "hmr2.safetensors")


def pictures(frames: int, height: int = 240, width: int = 320) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (frames, height, width, 3), dtype=np.uint8)


def assert_close(ours: BodyTrack, theirs: BodyTrack) -> None:
    for name in ("betas", "global_orient", "body_pose", "transl"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-4, atol=1e-4)


def test_every_frame_is_the_networks_answer_to_its_crop(settings: Hmr2Settings) -> None:
    """Frame by frame: crop, network, rotations to axis-angles; the shape is the frames' median."""
    frames = pictures(5)
    track = Hmr2Regressor(settings).regress(frames, BOXES, CAMERA)
    betas = []
    for i, square in enumerate(square_boxes(BOXES)):
        crop = torch.from_numpy(normalised(crop_person(frames[i], square)))
        guess = small_network()(crop[None])
        angles = axis_angles(guess.rotations[0].double().numpy())
        np.testing.assert_allclose(track.global_orient[i], angles[0], atol=1e-4)
        np.testing.assert_allclose(track.body_pose[i], angles[1:], atol=1e-4)
        betas.append(guess.betas[0].numpy())
    np.testing.assert_allclose(track.betas, np.median(betas, axis=0), atol=1e-5)
    assert np.isnan(track.reprojection_error_px).all()


def test_batches_do_not_change_the_result(settings: Hmr2Settings) -> None:
    """One frame at a time, two, or all at once: the same track."""
    frames = pictures(5)
    tracks = [
        Hmr2Regressor(settings.model_copy(update={"batch_size": size})).regress(
            frames, BOXES, CAMERA
        )
        for size in (1, 2, 16)
    ]
    assert_close(tracks[1], tracks[0])
    assert_close(tracks[2], tracks[0])


def test_a_known_camera_puts_the_body_where_the_crop_says(tmp_path: Path) -> None:
    """Weak perspective in the crop, 128 + 128 s (x + tx), and the full camera agree to a pixel."""
    weak = np.array([0.8, 0.1, -0.2], np.float32)
    network = small_network()
    network.smpl_head.deccam.weight.zero_()
    network.smpl_head.deccam.bias.zero_()
    network.smpl_head.init_cam.copy_(torch.from_numpy(weak)[None])
    settings = save_network(network, tmp_path / "known.safetensors")
    track = Hmr2Regressor(settings).regress(pictures(5), BOXES, CAMERA)
    points = np.random.default_rng(1).uniform(-0.8, 0.8, (5, 20, 3)) * [1, 1, 0.3]
    seen = project(points + track.transl[:, None], CAMERA)
    centre, side = np.split(square_boxes(BOXES), [2], axis=1)
    in_crop = 128 + 256 / side[:, None] * (seen - centre[:, None])
    expected = 128 + 128 * weak[0] * (points[..., :2] + weak[1:])
    np.testing.assert_allclose(in_crop, expected, atol=1.0)
    flat = points * [1, 1, 0]
    seen = project(flat + track.transl[:, None], CAMERA)
    in_crop = 128 + 256 / side[:, None] * (seen - centre[:, None])
    np.testing.assert_allclose(in_crop, expected, atol=0.01)


def test_frames_without_a_box_take_their_neighbours(settings: Hmr2Settings) -> None:
    """A row of NaN or without area is bridged linearly; the first box serves what is before it. The
    shape is that of the other frames."""
    frames = pictures(5)
    gaps = BOXES.copy()
    gaps[2], gaps[0] = np.nan, (50, 50, 50, 90)
    bridged = BOXES.copy()
    bridged[0] = bridged[1]
    regressor = Hmr2Regressor(settings)
    found = regressor.regress(frames, gaps, CAMERA)
    expected = regressor.regress(frames, bridged, CAMERA)
    alone = regressor.regress(frames[[1, 3, 4]], BOXES[[1, 3, 4]], CAMERA)
    assert_close(found, replace(expected, betas=alone.betas))


def test_what_cannot_be_regressed_is_a_rejected_item(tmp_path: Path) -> None:
    """No box at all, and a body behind the camera, are bad data."""
    network = small_network()
    settings = save_network(network, tmp_path / "hmr2.safetensors")
    with pytest.raises(ItemError, match="no frame has a box"):
        Hmr2Regressor(settings).regress(pictures(5), np.full_like(BOXES, np.nan), CAMERA)
    network.smpl_head.init_cam[0, 0] = -1
    settings = save_network(network, tmp_path / "behind.safetensors")
    with pytest.raises(ItemError, match="not in view"):
        Hmr2Regressor(settings).regress(pictures(5), BOXES, CAMERA)


def test_frames_boxes_and_camera_must_belong_together(settings: Hmr2Settings) -> None:
    """Another number of boxes, another size of the camera, floats, no frame: a caller's mistake."""
    regressor = Hmr2Regressor(settings)
    frames = pictures(5)
    for wrong, boxes in (
        (frames[:4], BOXES),
        (frames[:, :200], BOXES),
        (frames.astype(np.float32), BOXES),
        (frames[:0], BOXES[:0]),
        (frames, BOXES[:, :3]),
    ):
        with pytest.raises(ValueError, match="expected"):
            regressor.regress(wrong, boxes, CAMERA)


def test_the_fitter_needs_pictures(settings: Hmr2Settings) -> None:
    """Keypoints alone are not enough for it."""
    truth = make_motion("walk", 2, seed=0)
    fitter = Hmr2Fitter(BODY, settings, FitSettings())
    with pytest.raises(ValueError, match="give it frames and boxes"):
        fitter.fit(observe(truth, BODY, Noise(), seed=0), truth.camera, 30.0)


def test_frames_boxes_and_points_give_a_body(settings: Hmr2Settings) -> None:
    """The whole way with random weights: one finite body through the clip, near the points."""
    track = fit_squat(settings, pictures(6, 512, 512))
    assert track.frames == 6
    assert track.camera == SQUAT.camera
    for name in ("betas", "global_orient", "body_pose", "transl", "reprojection_error_px"):
        assert np.isfinite(getattr(track, name)).all()


def test_what_the_network_cannot_know_has_no_say(settings: Hmr2Settings, tmp_path: Path) -> None:
    """The picture of a frame without a box changes nothing, and, on a body that is not SMPL's
    mesh, nor do the regressed betas; another picture does."""
    frames = pictures(6, 512, 512)
    track = fit_squat(settings, frames)
    frames[3] = 0
    assert_close(fit_squat(settings, frames), track)
    network = small_network()
    network.smpl_head.init_betas.add_(2)
    assert_close(fit_squat(save_network(network, tmp_path / "large.safetensors"), frames), track)
    frames[:3] = 0
    changed = fit_squat(settings, frames)
    assert np.abs(changed.body_pose - track.body_pose).max() > 1e-3


def fit_squat(settings: Hmr2Settings, frames: np.ndarray) -> BodyTrack:
    """The fit of ``SQUAT`` with these pictures; the fourth frame has no box."""
    boxes = np.tile(np.array([120, 30, 400, 490], np.float32), (6, 1))
    boxes[3] = np.nan
    keypoints = observe(SQUAT, BODY, Noise(), seed=1)
    fitter = Hmr2Fitter(BODY, settings, FitSettings())
    return fitter.fit(keypoints, SQUAT.camera, 30.0, frames=frames, boxes=boxes)


def test_landmarks_are_relative_to_the_middle_of_the_hips() -> None:
    """A true body's landmarks are its points less the hips' middle, in camera axes and metres."""
    truth = make_motion("dance", 4, seed=2)
    places = true_points(truth, BODY)[:, :23]
    middle = places[:, [BODY_POINTS.index("left_hip"), BODY_POINTS.index("right_hip")]].mean(1)
    landmarks = landmarks_of(truth, BODY)
    np.testing.assert_allclose(landmarks[..., :3], places - middle[:, None], atol=1e-5)
    assert (landmarks[..., 3] == 1).all()
    assert landmarks.dtype == np.float32


def test_refinement_pulls_a_wrong_body_onto_the_points() -> None:
    """A regressed body 0.15 rad wrong in every joint, refined by what a noisy detector sees: its
    points come from over 15 px away to under 6 px, its joints to half their error."""
    truth = make_motion("walk", 30, seed=3)
    keypoints = observe(truth, BODY, Noise(), seed=3)
    wrong = np.random.default_rng(3).normal(0, 0.15, truth.body_pose.shape)
    regressed = replace(truth, body_pose=(truth.body_pose + wrong).astype(np.float32))
    landmarks = landmarks_of(regressed, BODY)
    refined = KeypointFitter(BODY, FitSettings()).fit(
        replace(keypoints, body_3d=landmarks), truth.camera, 30.0
    )
    assert missed_px(regressed, truth) > 15
    assert missed_px(refined, truth) < 6
    assert joint_error_m(refined, truth) < 0.5 * joint_error_m(regressed, truth)


def missed_px(track: BodyTrack, truth: BodyTrack) -> float:
    """How far the 23 points of a track lie from the true ones in the picture, on average."""
    image = [project(true_points(body, BODY)[:, :23], truth.camera) for body in (track, truth)]
    return float(np.linalg.norm(image[0] - image[1], axis=-1).mean())


def joint_error_m(track: BodyTrack, truth: BodyTrack) -> float:
    """The mean distance of the joints, with the roots laid on each other."""
    joints = [BODY.joints(body) for body in (track, truth)]
    relative = [places - places[:, :1] for places in joints]
    return float(np.linalg.norm(relative[0] - relative[1], axis=-1).mean())

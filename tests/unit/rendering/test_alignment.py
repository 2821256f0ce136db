from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.motions import make_motion
from dataset.records import BodyTrack, Camera
from rendering.alignment import align
from rendering.body_model import BodyModel

BODY = BodyModel.load()
MOTION = make_motion("walk", 12, seed=1)


def first_frame(track: BodyTrack) -> BodyTrack:
    return replace(
        track,
        global_orient=track.global_orient[:1],
        body_pose=track.body_pose[:1],
        transl=track.transl[:1],
        reprojection_error_px=track.reprojection_error_px[:1],
    )


def other_person(height_beta: float, transl: tuple[float, float, float]) -> BodyTrack:
    betas = np.zeros(10, np.float32)
    betas[0] = height_beta
    still = first_frame(make_motion("squat", 1, seed=5))
    return replace(
        still,
        betas=betas,
        transl=np.array([transl], np.float32),
        camera=Camera(focal_length_px=20000.0, width=1024, height=768),
    )


def root(track: BodyTrack) -> np.ndarray:
    return BODY.joints(track)[:, 0]


def test_self_alignment_is_the_identity() -> None:
    """A motion aligned with its own first frame keeps every parameter to 1e-5."""
    aligned = align(MOTION, first_frame(MOTION), BODY)
    for name in ("betas", "global_orient", "body_pose", "transl"):
        np.testing.assert_allclose(getattr(aligned, name), getattr(MOTION, name), atol=1e-5)
    assert aligned.camera == MOTION.camera


def test_shape_camera_and_place_become_the_references() -> None:
    """Betas and camera are taken over, poses are kept, and the root starts at the reference's."""
    reference = other_person(-1.0, (0.5, 0.3, 60.0))
    aligned = align(MOTION, reference, BODY)
    np.testing.assert_array_equal(aligned.betas, reference.betas)
    np.testing.assert_array_equal(aligned.body_pose, MOTION.body_pose)
    assert aligned.camera == reference.camera
    np.testing.assert_allclose(root(aligned)[0], root(reference)[0], atol=1e-5)


def test_path_is_scaled_by_body_heights() -> None:
    """A taller reference goes further across the picture, in the ratio of the heights."""
    reference = other_person(1.5, (0.0, 0.0, 50.0))
    aligned = align(MOTION, reference, BODY)
    ratio = BODY.height_m(reference.betas) / BODY.height_m(MOTION.betas)
    gone, went = (root(track)[:, :2] - root(track)[:1, :2] for track in (aligned, MOTION))
    np.testing.assert_allclose(gone, ratio * went, atol=1e-4)


def test_relative_size_in_the_picture_follows_the_motion() -> None:
    """Halving the distance in the motion halves it in the reference, which stays before it."""
    transl = MOTION.transl.copy()
    transl[:, 2] = np.linspace(80, 40, len(transl))
    reference = other_person(0.0, (0.0, 0.0, 20.0))
    aligned = align(replace(MOTION, transl=transl), reference, BODY)
    distance = root(aligned)[:, 2]
    assert distance.min() > 0
    expected = root(replace(MOTION, transl=transl))[:, 2]
    np.testing.assert_allclose(distance / distance[0], expected / expected[0], atol=1e-5)


def test_constant_placement_stays() -> None:
    """With constant placement the root never leaves the reference's place."""
    reference = other_person(0.5, (0.2, 0.1, 45.0))
    aligned = align(MOTION, reference, BODY, placement="constant")
    np.testing.assert_allclose(root(aligned), np.tile(root(reference), (12, 1)), atol=1e-5)


def test_wrong_calls_are_refused() -> None:
    """Several reference frames, an unknown placement, or a body behind the camera are named."""
    with pytest.raises(ValueError, match="one frame, got 12"):
        align(MOTION, MOTION, BODY)
    with pytest.raises(ValueError, match="placement"):
        align(MOTION, first_frame(MOTION), BODY, placement="fixed")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="in front of the camera"):
        align(MOTION, other_person(0.0, (0.0, 0.0, -3.0)), BODY)

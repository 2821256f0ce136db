from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.motions import make_motion
from dataset.records import BodyTrack, Camera
from rendering.alignment import align, alignment_score
from rendering.body_model import BodyModel
from rendering.rasterizer import Rasterizer, open_rasterizer
from rendering.track import select_frames
from tests.unit.rendering.tracks import random_track

BODY = BodyModel.load()
MOTION = make_motion("walk", 12, seed=1)


def first_frame(track: BodyTrack) -> BodyTrack:
    return select_frames(track, [0])


@pytest.fixture(scope="module")
def rasterizer() -> Rasterizer:
    return open_rasterizer("cpu")


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


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), frames=st.integers(1, 9))
def test_self_alignment_is_the_identity(seed: int, frames: int) -> None:
    """Any motion of any body, aligned with its own first frame, keeps every number to 1e-5."""
    motion = random_track(seed, frames)
    aligned = align(motion, first_frame(motion), BODY)
    for name in ("betas", "global_orient", "body_pose", "transl"):
        np.testing.assert_allclose(getattr(aligned, name), getattr(motion, name), rtol=0, atol=1e-5)
    assert aligned.camera == motion.camera


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_alignment_there_and_back_is_the_identity(seed: int) -> None:
    """Onto another body in another picture, and back onto its own: the same motion."""
    motion, other = random_track(seed, 5), random_track(seed + 1, 1)
    back = align(align(motion, other, BODY), first_frame(motion), BODY)
    np.testing.assert_allclose(back.transl, motion.transl, rtol=0, atol=1e-4)
    np.testing.assert_array_equal(back.betas, motion.betas)
    assert back.camera == motion.camera


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
    with pytest.raises(ValueError, match="motion of at least one frame"):
        align(select_frames(MOTION, []), first_frame(MOTION), BODY)
    with pytest.raises(ValueError, match="finite transl of the motion"):
        align(replace(MOTION, transl=MOTION.transl * np.nan), first_frame(MOTION), BODY)
    with pytest.raises(ValueError, match="in front of the camera"):
        align(MOTION, other_person(0.0, (0.0, 0.0, -3.0)), BODY)


def drawn_mask(track: BodyTrack, rasterizer: Rasterizer) -> np.ndarray:
    buffers = rasterizer.rasterize(BODY.vertices(track), BODY.mesh, track.camera)
    return buffers.mask[0].astype(np.uint8) * 255


def test_score_of_a_motion_on_its_own_body_is_one(rasterizer: Rasterizer) -> None:
    """A clip aligned with its own first frame covers exactly the body that is drawn there."""
    mask = drawn_mask(first_frame(MOTION), rasterizer)
    aligned = align(MOTION, first_frame(MOTION), BODY)
    assert alignment_score(aligned, mask, BODY, rasterizer) > 0.999


def test_score_sinks_with_the_place_and_is_zero_beside_the_person(rasterizer: Rasterizer) -> None:
    """The farther the body stands beside the person, the less; where they do not meet, nothing."""
    mask = drawn_mask(first_frame(MOTION), rasterizer)
    shifts = (0.0, 0.05, 0.2, 1.5)
    moved = [
        replace(MOTION, transl=MOTION.transl + np.array([x, 0, 0], np.float32)) for x in shifts
    ]
    scores = [alignment_score(track, mask, BODY, rasterizer) for track in moved]
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] == 0.0


def test_score_is_the_share_of_the_union(rasterizer: Rasterizer) -> None:
    """Half of the person's pixels away from the mask: half the score."""
    mask = drawn_mask(first_frame(MOTION), rasterizer)
    rows, columns = np.nonzero(mask)
    kept = len(rows) // 2
    mask[rows[kept:], columns[kept:]] = 0
    score = alignment_score(MOTION, mask, BODY, rasterizer)
    assert score == pytest.approx(kept / len(rows), abs=1e-6)


def test_score_of_nothing_on_nothing_is_zero(rasterizer: Rasterizer) -> None:
    """A body outside of the picture and an empty mask score 0, not NaN."""
    away = replace(MOTION, transl=MOTION.transl + np.array([50, 0, 0], np.float32))
    empty = np.zeros((512, 512), np.uint8)
    assert alignment_score(away, empty, BODY, rasterizer) == 0.0


def test_score_wants_a_mask_of_the_reference_picture(rasterizer: Rasterizer) -> None:
    """A mask of another size is refused with both sizes."""
    with pytest.raises(ValueError, match=r"\(512, 512\), got \(64, 48\)"):
        alignment_score(MOTION, np.zeros((64, 48), np.uint8), BODY, rasterizer)

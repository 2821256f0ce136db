"""Other cameras, shapes, speeds and sides: what each edit changes, and what it keeps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from benchmarks.motions import make_motion
from dataset.records import SMPL_JOINTS, SMPL_PARENTS, BodyTrack
from rendering.body_model import BodyModel
from rendering.mirror import mirrored, mirrored_joints
from rendering.orbit import CLEARANCE_M, orbit, views_around
from rendering.reshape import sole_heights, with_betas
from rendering.retime import at_rate, retimed
from rendering.track import root_path, select_frames
from tests.unit.rendering.tracks import random_track

BODY = BodyModel.load()
WALK = make_motion("walk", 9, seed=3)
TALL = np.eye(10, dtype=np.float32)[0] * 2
NUMBERS = ("betas", "global_orient", "body_pose", "transl", "reprojection_error_px")

any_seed = st.integers(0, 2**32 - 1)


def assert_same(actual: BodyTrack, expected: BodyTrack, atol: float) -> None:
    for name in NUMBERS:
        np.testing.assert_allclose(
            getattr(actual, name), getattr(expected, name), rtol=0, atol=atol, err_msg=name
        )
    assert actual.camera == expected.camera


def assert_same_joints(actual: BodyTrack, expected: np.ndarray) -> None:
    np.testing.assert_allclose(BODY.joints(actual), expected, rtol=0, atol=1e-5)


# Orbit


@settings(max_examples=30, deadline=None)
@given(
    seed=any_seed,
    azimuth=st.floats(-7, 7, allow_nan=False),
    elevation=st.floats(-1.57, 1.57, allow_nan=False),
)
def test_an_orbit_turns_all_joints_rigidly_about_the_mean_root(
    seed: int, azimuth: float, elevation: float
) -> None:
    """In closed form: R_x(elevation) R_y(azimuth) about the pivot, to 1e-5."""
    track = random_track(seed, 4, nearest=9.0)
    pivot = root_path(track, BODY).mean(0)
    turn = Rotation.from_euler("x", elevation).as_matrix() @ (
        Rotation.from_euler("y", azimuth).as_matrix()
    )
    expected = (BODY.joints(track) - pivot) @ turn.T + pivot
    assert_same_joints(orbit(track, BODY, azimuth, elevation), expected)


def test_an_orbit_carries_the_skin_with_the_joints() -> None:
    """Vertices turn as the joints do: the shape does not depend on who looks at it."""
    pivot = root_path(WALK, BODY).mean(0)
    turn = Rotation.from_euler("y", 1.0).as_matrix()
    expected = (BODY.vertices(WALK) - pivot) @ turn.T + pivot
    seen = BODY.vertices(orbit(WALK, BODY, 1.0))
    np.testing.assert_allclose(seen, expected, rtol=0, atol=3e-5)


def test_the_camera_goes_to_its_right_and_up() -> None:
    """Somebody who faces the camera shows it their left side a quarter turn to the right; a
    camera that rises has their head nearer than their feet."""
    still = facing_camera()
    right = BODY.joints(orbit(still, BODY, np.pi / 2))[0]
    left_hip, right_hip = (right[SMPL_JOINTS.index(f"{side}_hip")] for side in ("left", "right"))
    assert left_hip[2] < right_hip[2] - 0.1
    above = BODY.joints(orbit(still, BODY, 0.0, 0.5))[0]
    assert above[SMPL_JOINTS.index("head"), 2] < above[SMPL_JOINTS.index("left_foot"), 2] - 0.3


@settings(max_examples=25, deadline=None)
@given(seed=any_seed, azimuth=st.floats(-3, 3, allow_nan=False))
def test_an_orbit_there_and_back_is_the_identity(seed: int, azimuth: float) -> None:
    """The way back undoes the way there."""
    track = random_track(seed, 3, nearest=9.0)
    back = orbit(orbit(track, BODY, azimuth), BODY, -azimuth)
    np.testing.assert_allclose(BODY.joints(back), BODY.joints(track), rtol=0, atol=3e-5)


def test_views_stand_in_equal_steps_and_begin_with_the_own_camera() -> None:
    """View k of n is the orbit by k/n of a turn; the first is the motion as it was."""
    views = views_around(WALK, BODY, 8)
    assert len(views) == 8
    assert_same_joints(views[0], BODY.joints(WALK))
    assert_same_joints(views[2], BODY.joints(orbit(WALK, BODY, np.pi / 2)))


def test_a_travelling_camera_takes_each_frame_from_its_own_angle() -> None:
    """With one angle a frame, frame k is frame k of the orbit by that angle."""
    angles = np.linspace(0, 2, WALK.frames)
    travelling = BODY.joints(orbit(WALK, BODY, angles))
    for frame in (0, 4, 8):
        still = BODY.joints(orbit(WALK, BODY, angles[frame]))
        np.testing.assert_allclose(travelling[frame], still[frame], rtol=0, atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(
    seed=any_seed,
    reach=st.floats(0, 40),
    azimuth=st.floats(-7, 7, allow_nan=False),
    elevation=st.floats(-1.57, 1.57, allow_nan=False),
)
def test_no_orbit_puts_a_body_behind_the_camera(
    seed: int, reach: float, azimuth: float, elevation: float
) -> None:
    """However far somebody walks across a near camera's view, all skin stays in front of it."""
    track = random_track(seed, 2)
    transl = track.transl + np.array([[-reach, 0, 0], [reach, 0, 0]], np.float32)
    seen = orbit(replace(track, transl=transl), BODY, azimuth, elevation)
    assert BODY.joints(seen)[..., 2].min() > CLEARANCE_M - 1e-4
    assert BODY.vertices(seen)[..., 2].min() > 0


def test_a_camera_that_steps_back_keeps_the_person_where_they_were_in_the_picture() -> None:
    """The pivot recedes along the camera's line to it, by one factor for all frames."""
    transl = np.array([[-6, 0.4, 3], [6, 0.4, 3]], np.float32)
    track = replace(select_frames(WALK, [0, 1]), transl=transl)
    pivot = root_path(track, BODY).mean(0)
    seen = root_path(orbit(track, BODY, np.pi / 2), BODY).mean(0)
    assert seen[2] > pivot[2]
    np.testing.assert_allclose(seen[:2] / seen[2], pivot[:2] / pivot[2], atol=1e-5)


def test_orbits_that_cannot_be_are_refused() -> None:
    """Angles of another length, beyond the zenith, not finite; no frames; a place behind."""
    with pytest.raises(ValueError, match=r"each of 9 frames, got shape \(3,\)"):
        orbit(WALK, BODY, np.zeros(3))
    with pytest.raises(ValueError, match="quarter turn"):
        orbit(WALK, BODY, 0.0, 2.0)
    with pytest.raises(ValueError, match="finite azimuth_rad"):
        orbit(WALK, BODY, float("nan"))
    with pytest.raises(ValueError, match="in front of the camera"):
        orbit(replace(WALK, transl=-WALK.transl), BODY, 0.0)
    with pytest.raises(ValueError, match="at least one view, got 0"):
        views_around(WALK, BODY, 0)


# Shape


def test_own_betas_change_nothing() -> None:
    """The shape a motion has already is the identity."""
    assert_same(with_betas(WALK, WALK.betas, BODY), WALK, atol=1e-5)


@pytest.mark.parametrize("kind", ["walk", "squat"])
@pytest.mark.parametrize("size", [-2.0, 2.0])
def test_every_shape_stands_on_the_same_ground(kind: str, size: float) -> None:
    """Walking or squatting, the lowest sole is in every frame where it was; poses are kept."""
    motion = make_motion(kind, 40, seed=3)
    reshaped = with_betas(motion, TALL * size / 2, BODY)
    np.testing.assert_allclose(
        sole_heights(reshaped, BODY), sole_heights(motion, BODY), rtol=0, atol=1e-5
    )
    np.testing.assert_array_equal(reshaped.body_pose, motion.body_pose)
    np.testing.assert_array_equal(reshaped.global_orient, motion.global_orient)
    assert reshaped.camera == motion.camera


def test_soles_are_where_the_skin_ends() -> None:
    """Of somebody standing straight, the lowest vertex is as low as the sole is said to be."""
    for betas in (np.zeros(10, np.float32), TALL, -TALL):
        still = replace(facing_camera(), betas=betas)
        lowest = BODY.vertices(still)[0, :, 1].max()
        assert sole_heights(still, BODY)[0] == pytest.approx(lowest, abs=1e-4)


def test_a_taller_body_walks_farther_across_the_picture() -> None:
    """The path across is scaled by the heights; the first frame and the depth stay."""
    path = np.zeros((9, 3), np.float32)
    path[:, 0] = np.linspace(0, 2, 9)
    walk = replace(WALK, betas=np.zeros(10, np.float32), transl=WALK.transl + path)
    reshaped = with_betas(walk, TALL, BODY)
    ratio = BODY.height_m(TALL) / BODY.height_m(walk.betas)
    before, after = root_path(walk, BODY), root_path(reshaped, BODY)
    np.testing.assert_allclose(after[0, [0, 2]], before[0, [0, 2]], atol=1e-5)
    gone, went = after[:, 0] - after[0, 0], before[:, 0] - before[0, 0]
    np.testing.assert_allclose(gone, ratio * went, atol=1e-4)
    np.testing.assert_allclose(after[:, 2], before[:, 2], atol=1e-4)


@pytest.mark.parametrize("betas", [np.zeros(9), np.full(10, np.nan), np.zeros((1, 10))])
def test_betas_that_are_no_shape_are_refused(betas: np.ndarray) -> None:
    """Nine numbers, NaN or a batch are named."""
    with pytest.raises(ValueError, match="10 finite betas"):
        with_betas(WALK, betas.astype(np.float32), BODY)


# Time


def test_speed_one_changes_no_number() -> None:
    """Speed 1, or a rate onto itself, gives exactly the same numbers."""
    for same in (retimed(WALK, 1.0), at_rate(WALK, 30, 30)):
        for name in NUMBERS:
            np.testing.assert_array_equal(getattr(same, name), getattr(WALK, name))


@settings(max_examples=25, deadline=None)
@given(seed=any_seed, frames=st.integers(1, 12), factor=st.integers(1, 9))
def test_slow_motion_holds_every_frame_and_fast_motion_takes_it_out_again(
    seed: int, frames: int, factor: int
) -> None:
    """A k-th of the speed has k times the frames, with the motion's own exactly at every k-th."""
    motion = random_track(seed, frames)
    slow = retimed(motion, 1 / factor)
    assert slow.frames == (frames - 1) * factor + 1
    for name in NUMBERS[1:]:
        np.testing.assert_array_equal(getattr(slow, name)[::factor], getattr(motion, name))
    assert_same(retimed(slow, float(factor)), motion, atol=0)


@settings(max_examples=25, deadline=None)
@given(seed=any_seed, frames=st.integers(1, 30), speed=st.floats(0.05, 20))
def test_the_result_ends_within_one_step_of_the_end(seed: int, frames: int, speed: float) -> None:
    """floor((frames - 1) / speed) + 1 frames: never past the end, nor a whole step short of it."""
    made = retimed(random_track(seed, frames), speed).frames
    last = (made - 1) * speed
    assert last <= frames - 1 + 1e-6
    assert last + speed > frames - 1 - 1e-6


def test_turns_go_the_short_way_at_even_speed() -> None:
    """Between two orientations 2 rad apart, a quarter of the time is a quarter of the turn."""
    two = select_frames(WALK, [0, 1])
    start = Rotation.from_rotvec(two.global_orient[0])
    end = start * Rotation.from_rotvec([0, 2.0, 0])
    orient = np.stack([start.as_rotvec(), end.as_rotvec()]).astype(np.float32)
    between = retimed(replace(two, global_orient=orient), 0.25)
    way = (start.inv() * Rotation.from_rotvec(between.global_orient)).as_rotvec()
    expected = np.outer([0, 0.5, 1, 1.5, 2], [0, 1, 0])
    np.testing.assert_allclose(way, expected, atol=1e-5)


def test_a_thrown_body_flies_on_its_parabola() -> None:
    """Between the frames of a path of second degree lies the same path: no corners at frames."""
    time = np.arange(9, dtype=np.float64)
    fly = np.stack([0.1 * time, 0.02 * time**2 - 0.2 * time, 5 + 0 * time], 1)
    slow = retimed(replace(WALK, transl=fly.astype(np.float32)), 0.25)
    fine = np.arange(33) / 4
    np.testing.assert_allclose(slow.transl[:, 1], 0.02 * fine**2 - 0.2 * fine, atol=1e-5)


def test_another_rate_keeps_the_duration() -> None:
    """24 to 30 frames a second: five frames where there were four."""
    motion = random_track(5, 25)
    assert at_rate(motion, 24, 30).frames == 31
    np.testing.assert_array_equal(at_rate(motion, 24, 30).transl[::5], motion.transl[::4])


@pytest.mark.parametrize("speed", [0.0, -1.0, 1e-6, 1e6, float("nan"), float("inf")])
def test_speeds_that_make_no_motion_are_refused(speed: float) -> None:
    """Zero, negative, not finite, or so extreme that nothing or everything would be made."""
    with pytest.raises(ValueError, match="expected a speed"):
        retimed(WALK, speed)


@pytest.mark.parametrize("rates", [(0, 30), (30, -1), (float("nan"), 30), (30, float("inf"))])
def test_rates_that_are_none_are_refused(rates: tuple[float, float]) -> None:
    """Frame rates are positive and finite."""
    with pytest.raises(ValueError, match="positive finite frame rates"):
        at_rate(WALK, *rates)


# Mirror


@settings(max_examples=25, deadline=None)
@given(seed=any_seed)
def test_mirroring_twice_is_the_identity(seed: int) -> None:
    """The mirror image of the mirror image is the motion, to 1e-5."""
    motion = random_track(seed, 4)
    assert_same(mirrored(mirrored(motion, BODY), BODY), motion, atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(seed=any_seed)
def test_joints_of_a_symmetric_body_are_mirrored_with_their_sides(seed: int) -> None:
    """On an exactly symmetric skeleton: x becomes -x, left becomes right, to 1e-5."""
    body, motion = symmetric_body(), random_track(seed, 3)
    expected = body.joints(motion)[:, mirrored_joints()] * (-1, 1, 1)
    np.testing.assert_allclose(body.joints(mirrored(motion, body)), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("size", "bound_m"), [(0.0, 2e-4), (1.0, 0.01), (2.0, 0.02)])
def test_the_shipped_body_is_nearly_symmetric(size: float, bound_m: float) -> None:
    """The joints of its mirror image are off by less than a fifth of a millimetre in the mean
    shape, and by less than a hundredth of the betas' size in metres."""
    for seed in range(5):
        motion = random_track(seed, 4)
        motion = replace(motion, betas=motion.betas * np.float32(size / 3))
        expected = BODY.joints(motion)[:, mirrored_joints()] * (-1, 1, 1)
        error = np.abs(BODY.joints(mirrored(motion, BODY)) - expected)
        assert error.max() < bound_m


def test_a_mirrored_wave_is_made_with_the_other_hand() -> None:
    """Who lifts the left wrist lifts the right one in the mirror, on the other side."""
    still = facing_camera()
    pose = still.body_pose.copy()
    pose[:, SMPL_JOINTS.index("left_shoulder") - 1, 2] = 1.2
    track = replace(still, body_pose=pose, transl=np.array([[0.5, 0, 5]], np.float32))
    left, right = SMPL_JOINTS.index("left_wrist"), SMPL_JOINTS.index("right_wrist")
    before, after = BODY.joints(track)[0], BODY.joints(mirrored(track, BODY))[0]
    assert before[left, 1] < before[right, 1] - 0.3
    assert after[right, 1] < after[left, 1] - 0.3
    assert after[right, 0] == pytest.approx(-before[left, 0], abs=1e-3)


# All


@pytest.mark.parametrize("change", [
    lambda track: orbit(track, BODY, 1.0),
    lambda track: with_betas(track, TALL, BODY),
    lambda track: retimed(track, 2.0),
    lambda track: mirrored(track, BODY),
], ids=["orbit", "with_betas", "retimed", "mirrored"])  # fmt: skip
def test_tracks_that_are_none_are_refused(change) -> None:
    """No frames, NaN, or arrays of another size, type or number of frames: a clear error."""
    with pytest.raises(ValueError, match="at least one frame, got none"):
        change(select_frames(WALK, []))
    with pytest.raises(ValueError, match="finite body_pose"):
        change(replace(WALK, body_pose=WALK.body_pose * np.nan))
    with pytest.raises(ValueError, match=r"global_orient .* must be float32 \(9, 3\)"):
        change(replace(WALK, global_orient=WALK.global_orient[:4]))
    with pytest.raises(ValueError, match="betas"):
        change(replace(WALK, betas=WALK.betas[:8]))


def facing_camera() -> BodyTrack:
    """One frame in the T-pose, upright, five metres away, face to the camera."""
    one = select_frames(WALK, [0])
    return replace(
        one,
        global_orient=np.array([[np.pi, 0, 0]], np.float32),
        body_pose=np.zeros((1, 23, 3), np.float32),
        transl=np.array([[0, 0, 5]], np.float32),
    )


def symmetric_body() -> BodyModel:
    """One vertex a joint, at the shipped body's joints made symmetric; no shapes."""
    joints = BODY.rest_joints(np.zeros(10, np.float32))
    joints = (joints + joints[mirrored_joints()] * (-1, 1, 1)) / 2
    count = len(SMPL_JOINTS)
    rest = {
        "v_template": joints.astype(np.float32),
        "shapedirs": np.zeros((count, 3, 10), np.float32),
        "posedirs": np.zeros((count, 3, 9 * (count - 1)), np.float32),
        "J_regressor": np.eye(count, dtype=np.float32),
        "weights": np.eye(count, dtype=np.float32),
        "kintree_table": np.array([SMPL_PARENTS, range(count)], np.int32),
        "f": np.array([[0, 1, 2]], np.int32),
    }
    return BodyModel(rest, "symmetric")

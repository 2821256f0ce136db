"""Scores of motion: the camera, the subject, photos, repeats, slow motion, loops."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from curation.scores.camera import camera_scores, camera_speed, follow
from curation.scores.flow import flow_motion, flow_speed
from curation.scores.loops import loop_seconds
from curation.scores.repeats import moving, repeat_scores, repeated
from curation.scores.slow_motion import blend_residual, slow_motion
from curation.scores.stillness import picture_change
from tests.unit.curation.sample_media import media
from tests.unit.curation.scores.scenes import grey_of, panned, textured, zoomed

WIDTH, HEIGHT = 320, 180


@pytest.mark.parametrize("step_px", [0.0, 0.5, 3.0, 12.0])
def test_a_pan_has_its_speed(step_px: float) -> None:
    """Pixels a look, over the width, times looks a second; nothing is left of it as change."""
    wide = textured(HEIGHT, 400, seed=1)
    before, after = (grey_of(p) for p in panned(wide, 2, step_px, width=WIDTH))
    motion = follow(before, after, [], seconds=0.1)
    speed = camera_speed(motion, (WIDTH, HEIGHT))
    assert speed == pytest.approx(step_px / WIDTH / 0.1, rel=0.02, abs=0.003)
    assert picture_change(before, after, motion) < 0.01


def test_a_zoom_and_a_roll_are_camera_motion() -> None:
    """Though the middle of the picture stays where it is."""
    picture = textured(HEIGHT, WIDTH, seed=2)
    for angle, scale in ((3.0, 1.0), (0.0, 1.05)):
        move = cv2.getRotationMatrix2D((WIDTH / 2, HEIGHT / 2), angle, scale)
        after = cv2.warpAffine(picture, move, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT)
        motion = follow(grey_of(picture), grey_of(after), [], seconds=0.1)
        assert camera_speed(motion, (WIDTH, HEIGHT)) > 0.05
        assert motion.camera[:, :2] == pytest.approx(move[:, :2], abs=0.003)


def _with_person(scene: np.ndarray, x: int, y: int) -> np.ndarray:
    """A patch of 60 x 100 pixels of another texture before a scene."""
    shown = scene.copy()
    shown[y : y + 100, x : x + 60] = textured(100, 60, seed=9)
    return shown


@pytest.mark.parametrize("pan_px", [0.0, 4.0])
def test_a_person_moves_against_the_background(pan_px: float) -> None:
    """5 pixels of 100 in 0.1 s are 0.5 heights a second, whether or not the camera pans."""
    wide = textured(HEIGHT, 400, seed=3)
    first, second = panned(wide, 2, pan_px, width=WIDTH)
    before, after = _with_person(first, 120, 40), _with_person(second, 125 - round(pan_px), 40)
    box = np.array([120, 40, 180, 140], np.float32)
    after_box = box + np.float32([5 - pan_px, 0, 5 - pan_px, 0])
    motion = follow(grey_of(before), grey_of(after), [box, after_box], seconds=0.1)
    assert camera_speed(motion, (WIDTH, HEIGHT)) == pytest.approx(pan_px / WIDTH / 0.1, abs=0.01)
    speed = flow_speed(motion, box)
    assert speed == pytest.approx(0.5, rel=0.05)
    assert picture_change(grey_of(before), grey_of(after), motion) > 0.05


def test_a_plain_picture_stands_still() -> None:
    """No corner to follow: no motion, no speed of anybody, no error."""
    plain = np.full((HEIGHT, WIDTH), 90, np.uint8)
    motion = follow(plain, plain, [np.array([0, 0, 50, 50], np.float32)], seconds=0.1)
    assert camera_speed(motion, (WIDTH, HEIGHT)) == 0.0
    assert flow_speed(motion, np.array([0, 0, 50, 50], np.float32)) is None
    assert camera_scores([]) == {"camera_motion": 0.0, "static_camera_share": 1.0}
    assert flow_motion([None, 0.5, None]) == 0.5
    assert flow_motion([None]) == 0.0


def test_a_tripod_is_static_and_a_hand_is_not() -> None:
    """Two of three looks stand still."""
    found = camera_scores([0.001, 0.3, 0.002])
    assert found["static_camera_share"] == pytest.approx(2 / 3)
    assert found["camera_motion"] == pytest.approx(0.101)


@pytest.mark.parametrize("name", ["ref_yoga_beach.jpg", "ref_man_red_polo.jpg"])
@pytest.mark.parametrize("step", [0.006, 0.03])
def test_a_photo_zoomed_into_has_no_motion_of_its_own(name: str, step: float) -> None:
    """Slow or fast, the camera explains all: under a hundredth of the grey range."""
    photo = np.asarray(cv2.imread(str(media(name)), cv2.IMREAD_GRAYSCALE))
    height = round(WIDTH * photo.shape[0] / photo.shape[1])
    photo = cv2.resize(photo, (3 * WIDTH, 3 * height), interpolation=cv2.INTER_AREA)
    shots = [
        cv2.resize(shot, (WIDTH, height), interpolation=cv2.INTER_AREA)
        for shot in zoomed(photo, 2, step)
    ]
    motion = follow(shots[0], shots[1], [], seconds=0.1)
    assert camera_speed(motion, (WIDTH, height)) > 0.01
    assert picture_change(shots[0], shots[1], motion) < 0.01


def _changes(fresh: list[bool], seed: int = 0) -> np.ndarray:
    """What changes at frames, of which some are repeated with an encoder's noise."""
    random = np.random.default_rng(seed)
    moves, noise = random.uniform(8, 30, len(fresh)), random.uniform(0, 0.8, len(fresh))
    return np.where(fresh, moves, noise).astype(np.float32)


@pytest.mark.parametrize("every", [1, 2, 3, 6])
def test_repeated_frames_are_counted(every: int) -> None:
    """Every n-th picture is new: so many pictures a second, the rest is repeated."""
    fresh = [t % every == 0 for t in range(60)]
    found = repeat_scores(_changes(fresh), fps=30.0)
    assert found["repeated_share"] == pytest.approx(1 - 1 / every)
    assert found["effective_fps"] == pytest.approx(30 / every)


def test_a_still_scene_has_no_rate() -> None:
    """Nothing moves, so nobody can tell how many pictures were taken."""
    still = np.full(60, 0.2, np.float32)
    assert repeat_scores(still, fps=30.0) == {"repeated_share": 1.0, "effective_fps": 0.0}
    assert slow_motion(np.ones(60, np.float32), still, fps=30.0, source_fps=30.0) == 1.0


def test_a_pause_does_not_lower_the_rate() -> None:
    """Two seconds of rest between two of motion: 30 pictures a second all the same."""
    changes = np.concatenate([_changes([True] * 60), np.full(60, 0.3), _changes([True] * 60)])
    assert repeat_scores(changes.astype(np.float32), fps=30.0)["effective_fps"] > 27


@given(hnp.arrays(np.float32, st.integers(1, 90), elements=st.floats(0, 255, width=32)))
def test_repeats_are_shares(changes: np.ndarray) -> None:
    """Whatever changes: shares are shares, the rate at most that of the frames."""
    found = repeat_scores(changes, fps=30.0)
    assert 0 <= found["repeated_share"] <= 1
    assert 0 <= found["effective_fps"] <= 30
    assert repeated(changes, fps=30.0).shape == moving(changes, fps=30.0).shape == changes.shape


def _walking(frames: int, step_px: float = 4.0) -> list[np.ndarray]:
    """A textured block that goes over a still scene."""
    scene, block = grey_of(textured(120, 200, seed=5)), grey_of(textured(60, 40, seed=6))
    shown = []
    for t in range(frames):
        picture = scene.copy()
        x = round(step_px * t) % 150
        picture[30:90, x : x + 40] = block
        shown.append(picture)
    return shown


def _slowed(pictures: list[np.ndarray], factor: int, *, blended: bool) -> list[np.ndarray]:
    shown = []
    for one, other in pairwise(pictures):
        for part in range(factor):
            weight = part / factor if blended else 0.0
            shown.append(cv2.addWeighted(one, 1 - weight, other, weight, 0))
    return shown


def _slow_motion(shown: list[np.ndarray], source_fps: float) -> float:
    residuals = np.ones(len(shown), np.float32)
    for t in range(1, len(shown) - 1):
        residuals[t] = blend_residual(*shown[t - 1 : t + 2])
    changes = [0.0] + [float(cv2.absdiff(*pair).max()) for pair in pairwise(shown)]
    return slow_motion(residuals, np.array(changes, np.float32), fps=30.0, source_fps=source_fps)


@pytest.mark.parametrize("blended", [False, True])
@pytest.mark.parametrize("factor", [1, 2, 4])
def test_slowed_footage_is_slow_motion(factor: int, blended: bool) -> None:
    """Repeated or blended pictures: so many shown for each that was taken."""
    shown = _slowed(_walking(48 // factor + 1), factor, blended=blended)
    assert _slow_motion(shown, 30.0) == pytest.approx(factor, rel=0.1)


def test_a_slow_source_is_no_slow_motion() -> None:
    """10 pictures a second of a file of 10, shown at 30, are real time."""
    assert _slow_motion(_slowed(_walking(17), 3, blended=False), 10.0) == pytest.approx(1, rel=0.1)


def _thumbs(pictures: list[np.ndarray]) -> np.ndarray:
    small = [cv2.resize(p, (12, 12), interpolation=cv2.INTER_AREA) for p in pictures]
    return np.stack(small).reshape(len(pictures), -1)


@pytest.mark.parametrize("period", [20, 33])
def test_what_comes_round_has_its_period(period: int) -> None:
    """Three rounds of a sequence, with an encoder's noise."""
    random = np.random.default_rng(0)
    rounds = _walking(period) * 3
    noisy = [np.clip(p + random.normal(0, 2, p.shape), 0, 255).astype(np.uint8) for p in rounds]
    assert loop_seconds(_thumbs(noisy), 0, 3 * period, fps=30.0) == pytest.approx(period / 30)
    first_round = loop_seconds(_thumbs(noisy), 0, period, fps=30.0)
    assert first_round == pytest.approx(period / 30)


def test_what_goes_on_and_what_rests_are_no_loops() -> None:
    """A walk that does not come back; a still scene, where all lags are alike; a single frame."""
    assert loop_seconds(_thumbs(_walking(36)), 0, 36, fps=30.0) == 0.0
    assert loop_seconds(_thumbs(_walking(1) * 60), 0, 60, fps=30.0) == 0.0
    assert loop_seconds(_thumbs(_walking(1)), 0, 1, fps=30.0) == 0.0


@settings(max_examples=30, deadline=None)
@given(
    hnp.arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40))),
    hnp.arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40))),
)
def test_any_two_pictures_of_a_size_can_be_followed(one: np.ndarray, other: np.ndarray) -> None:
    """Of one pixel or many: finite numbers, and change within 0 to 1."""
    other = cv2.resize(other, one.shape[::-1]).reshape(one.shape)
    motion = follow(one, other, [], seconds=0.1)
    assert np.isfinite(camera_speed(motion, (one.shape[1], one.shape[0])))
    assert 0 <= picture_change(one, other, motion) <= 1
    assert blend_residual(one, other, one) >= 0

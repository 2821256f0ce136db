"""Shots: cuts, fades and dissolves at known frames are found there, and nothing else is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.settings import ShotSettings
from curation.shots import ShotFinder, find_shots
from tests.unit.curation.sample_media import frames_of, media

Frames = list[np.ndarray]


def _scene(seed: int, count: int) -> Frames:
    """A random picture of patches that drifts sideways."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (4, 12, 3)).astype(np.uint8)
    wide = np.kron(coarse, np.ones((24, 24, 1), np.uint8))
    return [np.ascontiguousarray(wide[:, t % 160 :][:, :128]) for t in range(count)]


def _mixed(first: np.ndarray, second: np.ndarray | int, share: float) -> np.ndarray:
    return np.round(first * (1 - share) + np.asarray(second) * share).astype(np.uint8)


def _faded_out(frames: Frames, count: int, level: int) -> Frames:
    faded = [_mixed(one, level, (k + 1) / count) for k, one in enumerate(frames[-count:])]
    return frames[:-count] + faded


def test_cuts_are_found_at_their_frames() -> None:
    """Three scenes joined at frames 40 and 75 are three shots."""
    frames = _scene(1, 40) + _scene(2, 35) + _scene(3, 30)
    assert find_shots(frames, fps=30.0) == [(0, 40), (40, 75), (75, 105)]


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(16, 40), min_size=1, max_size=4), st.integers(0, 1000))
def test_any_lengths_of_shots_come_back(lengths: list[int], seed: int) -> None:
    """Scenes of any lengths from 16 frames are the shots, to the frame."""
    frames = [frame for k, n in enumerate(lengths) for frame in _scene(10 * seed + k, n)]
    ends = np.cumsum(lengths).tolist()
    expected = list(zip([0, *ends[:-1]], ends, strict=True))
    assert find_shots(frames, fps=30.0) == expected


@pytest.mark.parametrize("repeats", [2, 6])
def test_a_slow_source_has_no_more_cuts(repeats: int) -> None:
    """5 and 15 fps brought to 30 by repeating frames cut where the source does."""
    frames = [frame for frame in _scene(1, 30) + _scene(2, 30) for _ in range(repeats)]
    assert find_shots(frames, fps=30.0) == [(0, 30 * repeats), (30 * repeats, 60 * repeats)]


def test_a_cut_to_a_picture_at_rest_is_found() -> None:
    """A shot that ends in a still picture, whose frames all repeat each other, ends there."""
    frames = _scene(1, 40) + _scene(2, 1) * 30
    assert find_shots(frames, fps=30.0) == [(0, 40), (40, 70)]


def test_a_flash_is_no_cut() -> None:
    """One to five white frames, the last ones paling, leave the shot whole."""
    for strengths in ([0.9], [1.0, 1.0], [0.8, 1.0, 0.7, 0.4, 0.1]):
        frames = _scene(1, 60)
        for index, share in enumerate(strengths, 30):
            frames[index] = _mixed(frames[index], 255, share)
        assert find_shots(frames, fps=30.0) == [(0, 60)]


def test_a_flash_hides_no_cut() -> None:
    """A cut six frames after a flash is found."""
    frames = _scene(1, 40) + _scene(2, 40)
    frames[33] = _mixed(frames[33], 255, 0.95)
    assert find_shots(frames, fps=30.0) == [(0, 40), (40, 80)]


@pytest.mark.parametrize("level", [0, 255])
def test_fades_belong_to_no_shot(level: int) -> None:
    """A fade over black or white ends a shot, and its mixed frames are in neither."""
    second = _faded_out(_scene(2, 50)[::-1], 12, level)[::-1]
    frames = _faded_out(_scene(1, 50), 12, level) + [np.full_like(second[0], level)] * 5 + second
    (start, first_end), (second_start, end) = find_shots(frames, fps=30.0)
    assert (start, end) == (0, 105)
    assert 37 <= first_end <= 41
    assert 65 <= second_start <= 68


def test_black_at_both_ends_is_trimmed() -> None:
    """Black frames before and after the only shot are not in it."""
    black = [np.zeros((96, 128, 3), np.uint8)] * 20
    assert find_shots(black + _scene(1, 40) + black, fps=30.0) == [(20, 60)]


@pytest.mark.parametrize("count", [8, 16, 24])
def test_a_dissolve_belongs_to_no_shot(count: int) -> None:
    """Frames mixed of two scenes are between two shots, to two frames."""
    first, second = _scene(1, 1) * (40 + count), _scene(2, 1) * (40 + count)
    mixed = [_mixed(first[0], second[0], (k + 1) / (count + 1)) for k in range(count)]
    (start, first_end), (second_start, end) = find_shots(first[:40] + mixed + second[:40], fps=30.0)
    assert (start, end) == (0, 80 + count)
    assert abs(first_end - 40) <= 2
    assert abs(second_start - 40 - count) <= 2


def test_somebody_who_vanishes_is_no_cut() -> None:
    """A fifth of the picture that changes from one frame to the next leaves the shot whole."""
    frames = _scene(1, 1) * 60
    person = frames[0].copy()
    person[20:, 40:72] = (250, 30, 60)
    assert find_shots([person] * 30 + frames[:30], fps=30.0) == [(0, 60)]


def test_no_frames_no_shots() -> None:
    """An empty video has no shots, not one of no length."""
    assert find_shots([], fps=30.0) == []


def test_shots_so_far_do_not_disturb_the_finder() -> None:
    """Asking in between gives the same shots in the end."""
    finder = ShotFinder(ShotSettings(), fps=30.0)
    frames = _scene(1, 40) + _scene(2, 40)
    for number, frame in enumerate(frames):
        finder.add(frame)
        if number % 7 == 0:
            finder.shots()
    assert finder.shots() == [(0, 40), (40, 80)]


def test_real_footage_cuts_where_it_was_joined() -> None:
    """Two real clips joined at frame 45, the first at only 5 fps, are two shots."""
    first = frames_of(media("pos_squats.mp4"), fps=30, count=45, max_side=320)
    second = frames_of(media("pos_kick_black.mp4"), fps=30, count=40, max_side=320)
    size = min(min(frame.shape[:2]) for frame in (first[0], second[0]))
    joined = [frame[:size, :size] for frame in first + second]
    assert find_shots(joined, fps=30.0) == [(0, 45), (45, 85)]

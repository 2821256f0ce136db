"""Shots: cuts at known frames are found there, and repeated frames are none."""

from __future__ import annotations

import numpy as np
import pytest

from curation.shots import find_shots
from tests.unit.curation.sample_media import frames_of, media


def _scene(seed: int, count: int) -> list[np.ndarray]:
    """A smooth random picture that drifts sideways."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (6, 12, 3)).astype(np.float32)
    wide = np.kron(coarse, np.ones((16, 16, 1))).astype(np.uint8)
    return [np.ascontiguousarray(wide[:, t : t + 128]) for t in range(count)]


def test_cuts_are_found_at_their_frames() -> None:
    """Three scenes joined at frames 40 and 75 are three shots."""
    frames = _scene(1, 40) + _scene(2, 35) + _scene(3, 30)
    assert find_shots(frames, fps=30.0) == [(0, 40), (40, 75), (75, 105)]


@pytest.mark.parametrize("repeats", [2, 6])
def test_a_slow_source_has_no_more_cuts(repeats: int) -> None:
    """5 and 15 fps brought to 30 by repeating frames cut where the source does."""
    frames = [frame for frame in _scene(1, 30) + _scene(2, 30) for _ in range(repeats)]
    assert find_shots(frames, fps=30.0) == [(0, 30 * repeats), (30 * repeats, 60 * repeats)]


def test_no_frames_no_shots() -> None:
    """An empty video has no shots, not one of no length."""
    assert find_shots([], fps=30.0) == []


def test_real_footage_cuts_where_it_was_joined() -> None:
    """Two real clips joined at frame 45, the first at only 5 fps, are two shots."""
    first = frames_of(media("pos_squats.mp4"), fps=30, count=45, max_side=320)
    second = frames_of(media("pos_kick_black.mp4"), fps=30, count=40, max_side=320)
    size = min(min(frame.shape[:2]) for frame in (first[0], second[0]))
    joined = [frame[:size, :size] for frame in first + second]
    assert find_shots(joined, fps=30.0) == [(0, 45), (45, 85)]

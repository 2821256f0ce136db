"""Tracks: every box in exactly one, gaps filled on the line, strangers kept apart."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.people.tracking import track_people


def _at(*positions: float) -> np.ndarray:
    """Boxes of 20 x 40 pixels at some x."""
    return np.array([[x, 0, x + 20, 40, 1.0] for x in positions], np.float32).reshape(-1, 5)


def test_two_walkers_keep_their_tracks() -> None:
    """Two people who pass at a distance in y stay themselves although their x ranges cross."""
    down = np.array([0, 50, 0, 50, 0], np.float32)
    steps = [np.concatenate([_at(4.0 * t), _at(80 - 4.0 * t) + down]) for t in range(20)]
    tracks = track_people(steps)
    assert [len(track.frames) for track in tracks] == [20, 20]
    assert np.allclose(tracks[0].boxes[:, 0], 4.0 * np.arange(20))


def test_a_gap_is_filled_on_the_line() -> None:
    """Eight missing frames are interpolated, and the sightings name only the real ones."""
    steps = [_at(0.5 * t) if not 5 <= t < 13 else _at() for t in range(20)]
    (track,) = track_people(steps)
    assert np.allclose(track.boxes[:, 0], 0.5 * np.arange(20))
    assert [frame for frame, _ in track.sightings] == [*range(5), *range(13, 20)]


def test_a_longer_gap_ends_the_track() -> None:
    """After nine frames without a box it is somebody new."""
    steps = [_at(0) if not 5 <= t < 14 else _at() for t in range(20)]
    assert [len(track.frames) for track in track_people(steps)] == [6, 5]


def test_stride_counts_frames() -> None:
    """With every third frame looked at, boxes come for all frames in between."""
    (track,) = track_people([_at(3.0 * t) for t in range(5)], first_frame=6, stride=3)
    assert track.frames.tolist() == list(range(6, 19))
    assert np.allclose(track.boxes[:, 0], np.arange(13))


def test_extending_stays_within_the_shot() -> None:
    """A track is held at both ends, not beyond the shot."""
    (track,) = track_people([_at(3.0 * t) for t in range(5)], first_frame=6, stride=3)
    longer = track.extended(2, start=5, end=100)
    assert longer.frames.tolist() == list(range(5, 21))
    assert longer.between(5, 7)[:, 0].tolist() == [0.0, 0.0]
    with pytest.raises(ValueError, match=r"5\.\.21"):
        longer.between(4, 7)


def test_a_stride_over_the_gap_is_refused() -> None:
    """Looking at every tenth frame cannot follow anybody over at most eight."""
    with pytest.raises(ValueError, match="stride"):
        track_people([_at(0)], stride=10)


@given(st.lists(st.lists(st.floats(0, 200), max_size=4), max_size=12), st.integers(1, 4))
def test_every_detection_is_in_one_track(positions: list[list[float]], stride: int) -> None:
    """No box is lost or used twice, and tracks have no holes."""
    tracks = track_people([_at(*step) for step in positions], stride=stride)
    seen = [sighting for track in tracks for sighting in track.sightings]
    expected = [(t * stride, i) for t, step in enumerate(positions) for i in range(len(step))]
    assert sorted(seen) == expected
    assert all((np.diff(track.frames) == 1).all() for track in tracks)

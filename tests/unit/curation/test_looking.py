"""One pass over the frames: what is kept, what is spared, who is left out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pytest

from curation.looking import Looked, look_through, without_bystanders
from curation.people.detector import PersonBox
from curation.people.tracking import Track
from curation.scores.meter import Meter
from curation.settings import ShotSettings
from curation.shots import ShotFinder
from dataset.records import Keypoints


class BrightestSpot:
    """A detector of white rectangles, which stand for people."""

    def __init__(self) -> None:
        self.calls = 0

    def find_people(self, frame: np.ndarray, near: Sequence[PersonBox] = ()) -> list[PersonBox]:
        self.calls += 1
        assert len(near) <= 1  # whoever was seen before
        rows, columns = np.nonzero(frame[..., 0] == 255)
        if not len(rows):
            return []
        corners = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        points = np.ones((23, 3), np.float32)
        return [PersonBox(box=np.array(corners, np.float32), score=1.0, points=points)]

    def detect_people(self, frame: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def keypoints(self, frames: Iterable[np.ndarray], boxes: np.ndarray) -> Keypoints:
        raise NotImplementedError


def _frames(count: int, repeats: int = 1) -> list[np.ndarray]:
    frames = []
    for t in range(count):
        frame = np.full((60, 90, 3), 40, np.uint8)
        frame[10:50, 20 + t : 40 + t] = 255
        frames += [frame] * repeats
    return frames


def _look(frames: list[np.ndarray], detector: BrightestSpot, stride: int = 3) -> Looked:
    finder = ShotFinder(ShotSettings(), fps=30.0)
    meter = Meter(fps=30.0, stride=stride)
    timed = ((t / 30, frame) for t, frame in enumerate(frames))
    return look_through(timed, detector, finder, meter, stride=stride)


def test_tracks_cover_the_shot_to_its_last_frame() -> None:
    """With every third of 20 frames looked at, the track still covers all 20."""
    looked = _look(_frames(20), BrightestSpot())
    (track,) = looked.tracks((0, 20), min_frames=9)
    assert (track.frames[0], track.frames[-1]) == (0, 19)
    assert np.allclose(track.part(0, 19).boxes[:, 0], 20 + np.arange(19))
    assert looked.size == (90, 60)


@pytest.mark.parametrize("hidden", range(1, 13))
@pytest.mark.parametrize("first", range(20, 23))
def test_how_long_somebody_is_hidden_is_known_to_the_frame(first: int, hidden: int) -> None:
    """Up to eight frames are filled and marked, nine split the track, wherever the looks fall."""
    frames = _frames(50)
    for frame in frames[first : first + hidden]:
        frame[:] = 40
    tracks = _look(frames, BrightestSpot()).tracks((0, 50), min_frames=9)
    if not any(at % 3 == 0 for at in range(first, first + hidden)):
        (track,) = tracks
        assert not track.filled.any()  # one or two frames that fit between two looks
    elif hidden <= 8:
        (track,) = tracks
        assert track.frames[track.filled].tolist() == list(range(first, first + hidden))
    else:
        ends = sorted((int(track.frames[0]), int(track.frames[-1])) for track in tracks)
        assert ends == [(0, first - 1), (first + hidden, 49)]


def test_looks_at_every_frame_only_where_the_number_changes() -> None:
    """Of 50 frames 17 are looked at; four more when the one person goes and comes again."""
    frames = _frames(50)
    for frame in frames[22:40]:
        frame[:] = 40
    detector = BrightestSpot()
    looked = _look(frames, detector)
    extra = [frame for frame in looked.looked_at if frame % 3]
    assert extra == [22, 23, 40, 41]
    (track, _) = looked.tracks((0, 50), min_frames=9)
    assert [s.frame for s in looked.sightings(track, 15, 50)] == [15, 18, 21]


def test_shots_are_tracked_apart() -> None:
    """Tracks of a shot lie within it, and its sightings are those of its frames."""
    looked = _look(_frames(20), BrightestSpot())
    (track,) = looked.tracks((7, 20), min_frames=3)
    assert (track.frames[0], track.sightings[0]) == (7, (9, 0))
    assert [sighting.frame for sighting in looked.sightings(track, 10, 16)] == [12, 15]
    assert list(looked.regular_looks(10, 16)) == [12, 15]


def test_short_sightings_are_no_people() -> None:
    """Somebody seen for less than the minimum is left out."""
    assert _look(_frames(5), BrightestSpot()).tracks((0, 5), min_frames=9) == []


def test_repeated_pictures_are_looked_at_once() -> None:
    """Four pictures shown six times each are searched four times, not eight."""
    detector = BrightestSpot()
    looked = _look(_frames(4, repeats=6), detector)
    assert detector.calls == 4
    assert len(looked.people) == 8
    assert looked.frames == 24


def test_bystanders_are_small() -> None:
    """A box of a twentieth of the largest one's area is background, one of a fifth is not."""

    def track(area: float) -> Track:
        box = np.array([[0, 0, area, 1, 1]], np.float32)
        return Track(frames=np.arange(1), boxes=box, filled=np.zeros(1, bool), sightings=((0, 0),))

    tracks = [track(100), track(20), track(5)]
    assert without_bystanders(tracks, 0.1) == tracks[:2]
    assert without_bystanders([], 0.1) == []

"""Where a track goes over to somebody else it is two; what people do leaves it one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.people.appearance import appearance, unlike
from curation.people.detector import PersonBox
from curation.people.jumps import split_at_jumps
from curation.people.tracking import Track

RED, BLUE, UNKNOWN = (50.0, 70.0, 50.0), (40.0, 10.0, -60.0), (np.nan,) * 3


def _track(boxes: Sequence[tuple[float, float, float, float]], stride: int = 3) -> Track:
    """Seen every ``stride`` frames in these boxes, straight lines between."""
    seen = stride * np.arange(len(boxes))
    frames = np.arange(seen[-1] + 1)
    known = np.array([[*box, 1.0] for box in boxes])
    columns = [np.interp(frames, seen, column) for column in known.T]
    return Track(
        frames=frames,
        boxes=np.stack(columns, axis=1).astype(np.float32),
        filled=np.zeros(len(frames), bool),
        sightings=tuple((int(frame), 0) for frame in seen),
    )


def _dressed(*trunks: tuple[float, ...]) -> list[np.ndarray]:
    return [np.array([trunk, UNKNOWN], np.float32) for trunk in trunks]


def _spans(parts: list[Track]) -> list[tuple[int, int]]:
    return [(int(part.frames[0]), int(part.frames[-1])) for part in parts]


def test_a_leap_through_the_picture_ends_a_track() -> None:
    """Half a body's height in 3 frames is more than a sprinter's; between the two is nobody."""
    walking = [(10.0 * t, 0.0, 10.0 * t + 50, 100.0) for t in range(6)]
    track = _track([*walking, *[(x0 + 110, y0, x1 + 110, y1) for x0, y0, x1, y1 in walking]])
    parts = split_at_jumps(track, _dressed(*[RED] * 12))
    assert _spans(parts) == [(0, 15), (18, 33)]
    assert sum(len(part.sightings) for part in parts) == 12


def test_a_person_who_grows_at_once_is_another() -> None:
    """From 100 to 180 pixels within 3 frames, in the same place."""
    track = _track([(0, 0, 50, 100)] * 4 + [(-20, -40, 70, 140)] * 4)
    assert _spans(split_at_jumps(track, _dressed(*[RED] * 8))) == [(0, 9), (12, 21)]


def test_other_clothes_are_another_person() -> None:
    """Red until a look, blue from there on: a cut that nobody noticed."""
    track = _track([(0, 0, 50, 100)] * 10)
    assert _spans(split_at_jumps(track, _dressed(*[RED] * 6, *[BLUE] * 4))) == [(0, 15), (18, 27)]


@pytest.mark.parametrize(
    "looks",
    [
        [RED, RED, RED, BLUE, RED, RED, RED, RED],  # a ball, an arm
        [RED, RED, RED, UNKNOWN, UNKNOWN, RED, RED, RED],
        [UNKNOWN] * 8,
        [tuple(np.array(RED) + 6.0 * t) for t in range(8)],  # out of the shade
    ],
)
def test_who_stays_themselves_keeps_the_track(looks: list[tuple[float, ...]]) -> None:
    """What passes in front, what is not seen, and light that changes slowly are no other person."""
    track = _track([(3.0 * t, 0, 50 + 3.0 * t, 100) for t in range(8)])
    (same,) = split_at_jumps(track, _dressed(*looks))
    assert same.sightings == track.sightings


@given(st.lists(st.sampled_from([RED, BLUE, UNKNOWN]), min_size=1, max_size=12))
def test_parts_are_the_track(looks: list[tuple[float, ...]]) -> None:
    """Whatever is seen: the parts hold every sighting once, in order."""
    track = _track([(0, 0, 50, 100)] * len(looks))
    parts = split_at_jumps(track, _dressed(*looks))
    assert tuple(at for part in parts for at in part.sightings) == track.sightings


def test_one_appearance_for_each_sighting() -> None:
    """Anything else is the caller's mistake."""
    with pytest.raises(ValueError, match="expected 2 appearances, got 1"):
        split_at_jumps(_track([(0, 0, 9, 9)] * 2), _dressed(RED))


def _person(height: float = 1.0) -> PersonBox:
    points = np.ones((23, 3), np.float32)
    for index, (x, y) in {5: (60, 20), 6: (20, 20), 11: (55, 60), 12: (25, 60)}.items():
        points[index, :2] = x, y * height
    points[13, :2], points[14, :2] = (55, 95 * height), (25, 95 * height)
    return PersonBox(box=np.array([10, 0, 70, 120], np.float32), score=1.0, points=points)


def test_clothes_are_seen_where_they_are() -> None:
    """A red shirt over blue trousers, whatever is around; hidden thighs are not known."""
    frame = np.full((130, 90, 3), 120, np.uint8)
    frame[20:60, 20:61], frame[60:100, 20:61] = (200, 30, 30), (30, 30, 200)
    shirt, trousers = appearance(frame, _person())
    assert shirt[1] > 40
    assert trousers[2] < -40
    hidden = _person()
    hidden.points[13, 2] = 0.1
    assert np.isnan(appearance(frame, hidden)[1]).all()
    assert np.isfinite(appearance(frame, hidden)[0]).all()
    assert np.isnan(appearance(frame[:2, :2], _person())).all()


def test_unlike_is_a_distance() -> None:
    """The mean of trunk and thighs, of what is known; nothing known is not unlike."""
    one, other = (np.array([[colour, colour]], np.float32) for colour in (RED, BLUE))
    apart = float(np.linalg.norm(np.array(RED) - np.array(BLUE)))
    assert unlike(one, other) == pytest.approx(apart)
    same_trousers = np.array([[BLUE, RED]], np.float32)
    assert unlike(one, same_trousers) == pytest.approx(apart / 2)
    assert unlike(one, np.full((3, 2, 3), np.nan, np.float32)) == 0.0

"""Scores of people: closed forms on people made of numbers, and what real ones show."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from curation.people.detector import PersonBox
from curation.scores.body_motion import body_motion
from curation.scores.clip import person_scores
from curation.scores.framing import framing_scores
from curation.scores.sharpness import sharpness
from curation.scores.sighting import Sighting


def _person(points: np.ndarray) -> PersonBox:
    return PersonBox(box=np.array([10, 20, 60, 120], np.float32), score=1.0, points=points)


def _walk(step: np.ndarray, *, frames: int = 5, stride: int = 3) -> list[Sighting]:
    """A person of 100 pixels whose points move by ``step`` (points x 2) from look to look."""
    rng = np.random.default_rng(0)
    start = np.column_stack([rng.uniform(10, 60, 23), rng.uniform(20, 120, 23), np.ones(23)])
    found = []
    for t in range(frames):
        points = start.copy()
        points[:, :2] += t * step
        found.append(
            Sighting(frame=t * stride, person=_person(points.astype(np.float32)), sharpness=100.0)
        )
    return found


def test_walking_through_is_not_motion() -> None:
    """A body that moves as one has no motion, however fast."""
    assert body_motion(_walk(np.full((23, 2), 8.0)), fps=30.0) == pytest.approx(0.0, abs=1e-5)


def test_motion_is_in_heights_a_second() -> None:
    """Points moving 2 pixels a look in opposite ways: 2 px / 100 px in 0.1 s is 0.2 a second."""
    step = np.zeros((23, 2))
    step[0:16:2, 0], step[1:16:2, 0] = 2.0, -2.0
    assert body_motion(_walk(step), fps=30.0) == pytest.approx(0.2, rel=1e-3)


def test_blur_lowers_sharpness() -> None:
    """A blurred picture is less sharp, and a flat one not at all."""
    frame = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    box = np.array([10, 10, 150, 190], np.float32)
    blurred = cv2.GaussianBlur(frame, (0, 0), 2.0)
    assert sharpness(frame, box) > 10 * sharpness(blurred, box)
    assert sharpness(np.full_like(frame, 90), box) == 0.0


def test_sharpness_of_an_empty_box_is_zero() -> None:
    """A box outside of the frame is no error."""
    frame = np.zeros((20, 20, 3), np.uint8)
    assert sharpness(frame, np.array([30, 30, 40, 40], np.float32)) == 0.0


def test_scores_of_a_clip() -> None:
    """Persons, coverage, share and full body as counted by hand."""
    sightings = _walk(np.zeros((23, 2)), frames=4)
    for sighting in sightings[:1]:
        sighting.person.points[[13, 14], 2] = 0.1  # both knees hidden once
    boxes = np.tile(np.array([10, 20, 60, 120], np.float32), (12, 1))
    persons = np.array([1] * 9 + [2] * 3)
    scores = person_scores(sightings, boxes, persons, looked_at=5, size=(200, 250), fps=30.0)
    assert scores["persons_mean"] == pytest.approx(1.25)
    assert scores["persons_max"] == 2
    assert scores["second_person_share"] == pytest.approx(0.25)
    assert scores["track_coverage"] == pytest.approx(0.8)
    assert scores["person_share"] == pytest.approx(50 * 100 / (200 * 250))
    assert scores["full_body_share"] == pytest.approx(0.75)
    assert scores["keypoint_confidence"] == pytest.approx(1 - 2 * 0.9 / 17 / 4, abs=1e-4)


def test_a_hidden_side_is_still_a_full_body() -> None:
    """Seen from the side one of each pair is enough; cut off at the knees is not."""
    (sighting,) = _walk(np.zeros((23, 2)), frames=1)
    sighting.person.points[[1, 3, 5, 11, 13, 15], 2] = 0.0
    boxes, persons = np.array([[10, 20, 60, 120]], np.float32), np.ones(1)

    def share(height: int) -> float:
        scores = person_scores(
            [sighting], boxes, persons, looked_at=1, size=(200, height), fps=30.0
        )
        return float(scores["full_body_share"])

    assert share(250) == 1.0
    assert share(22) == 0.0


def _standing() -> np.ndarray:
    """A front view: left is the person's, so at the right of the picture; all points seen."""
    points = np.ones((23, 3), np.float32)
    heights = [10, 8, 8, 9, 9, 25, 25, 45, 45, 60, 60, 55, 55, 75, 75, 95, 95, *[98] * 6]
    points[:, 1] = heights
    points[:, 0] = [50 if index == 0 else 60 if index % 2 else 40 for index in range(23)]
    return points


@pytest.mark.parametrize(
    ("bottom", "framing", "full", "upper"),
    [(100, "full_body", 1.0, 1.0), (60, "half_body", 0.0, 1.0), (40, "close_up", 0.0, 0.0)],
)
def test_framing_is_what_is_in_the_picture(
    bottom: int, framing: str, full: float, upper: float
) -> None:
    """Cut off below the feet, the hips, the shoulders."""
    found = framing_scores(np.stack([_standing()] * 4), (100, bottom))
    assert found["framing"] == framing
    assert (found["full_body_share"], found["upper_body_share"]) == (full, upper)


@pytest.mark.parametrize("full_looks", [1, 2])
def test_framing_goes_by_most_of_the_time(full_looks: int) -> None:
    """A full body in half of the looks is a full body, in a quarter it is not."""
    hidden = _standing()
    hidden[13:17, 2] = 0.0
    looks = np.stack([_standing()] * full_looks + [hidden] * (4 - full_looks))
    found = framing_scores(looks, (100, 100))
    assert found["framing"] == ("full_body" if full_looks == 2 else "half_body")


def test_who_turns_away_has_no_face() -> None:
    """From behind the person's left is at the left: whatever the confidence, no face is seen."""
    front, back, hidden = _standing(), _standing(), _standing()
    back[:, 0] = 100 - back[:, 0]
    hidden[1, 2] = 0.2
    found = framing_scores(np.stack([front, back, hidden, front]), (100, 100))
    assert found["face_visible_share"] == 0.5


def test_both_hands_are_to_be_seen() -> None:
    """One wrist behind the back, or out of the picture, is a hand missing."""
    front, behind, outside = _standing(), _standing(), _standing()
    behind[9, 2] = 0.2
    outside[10, 0] = -5
    found = framing_scores(np.stack([front, behind, outside, front]), (100, 100))
    assert found["hands_visible_share"] == 0.5


@given(
    hnp.arrays(np.float32, (3, 23, 2), elements=st.floats(-50, 150, width=32)),
    hnp.arrays(np.float32, (3, 23, 1), elements=st.floats(0, 1, width=32)),
)
def test_framing_shares_are_shares(places: np.ndarray, confidence: np.ndarray) -> None:
    """Wherever points are: 0 to 1, and who is seen whole is seen down to the hips."""
    found = framing_scores(np.concatenate([places, confidence], axis=2), (100, 100))
    shares = [value for value in found.values() if not isinstance(value, str)]
    assert all(0 <= share <= 1 for share in shares)
    assert found["full_body_share"] <= found["upper_body_share"]


def test_no_sighting_is_the_callers_mistake() -> None:
    """Scores of nobody cannot be asked for."""
    with pytest.raises(ValueError, match="sighting"):
        person_scores(
            [], np.zeros((1, 4), np.float32), np.ones(1), looked_at=1, size=(9, 9), fps=30.0
        )

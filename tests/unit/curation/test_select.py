"""Decisions: every threshold has its reason, and the first one against a clip is told."""

from __future__ import annotations

import pytest

from curation.select import SelectSettings, decide

_GOOD = {
    "start_seconds": 2.0,
    "end_seconds": 3.0,
    "width": 720,
    "height": 1280,
    "second_person_share": 0.0,
    "track_coverage": 1.0,
    "person_share": 0.2,
    "keypoint_confidence": 0.9,
    "full_body_share": 1.0,
    "sharpness": 300.0,
    "motion": 0.3,
}


def test_a_good_clip_is_selected() -> None:
    """Nothing against it: selected, without a reason."""
    assert decide(_GOOD, SelectSettings()) == (True, "")


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("second_person_share", 0.5, "select.second_person"),
        ("end_seconds", 2.5, "select.too_short"),
        ("width", 120, "select.too_small"),
        ("track_coverage", 0.4, "select.lost_track"),
        ("person_share", 0.001, "select.far_away"),
        ("keypoint_confidence", 0.3, "select.unclear_points"),
        ("full_body_share", 0.1, "select.not_full_body"),
        ("sharpness", 1.0, "select.blurred"),
        ("motion", 0.0, "select.still"),
        ("motion", 2.3, "select.erratic"),
    ],
)
def test_every_threshold_has_its_reason(column: str, value: float, reason: str) -> None:
    """One bad column is enough, and is named."""
    assert decide({**_GOOD, column: value}, SelectSettings()) == (False, reason)


def test_thresholds_are_settings() -> None:
    """A laxer profile takes what the default refuses."""
    half = {**_GOOD, "full_body_share": 0.0}
    assert decide(half, SelectSettings(min_full_body_share=0.0)) == (True, "")


def test_a_score_that_is_no_number_does_not_pass() -> None:
    """NaN fails every comparison, so it is rejected instead of slipping through."""
    assert decide({**_GOOD, "motion": float("nan")}, SelectSettings()) == (False, "select.still")

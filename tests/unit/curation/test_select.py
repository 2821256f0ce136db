"""Decisions: every threshold has its reason, and the first one against a clip is told."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.decisions import SCORE_COLUMNS, decide, first_reasons, unchecked
from curation.select import CHECKS, SelectSettings
from curation.selection import REASONS, select_clips
from dataset.schemas import SCHEMAS

GOOD = {
    "start_seconds": 2.0,
    "end_seconds": 3.0,
    "width": 720,
    "height": 1280,
    "effective_fps": 30.0,
    "second_person_share": 0.0,
    "track_coverage": 1.0,
    "person_share": 0.2,
    "framing": "full_body",
    "keypoint_confidence": 0.9,
    "full_body_share": 1.0,
    "upper_body_share": 1.0,
    "face_visible_share": 1.0,
    "hands_visible_share": 1.0,
    "sharpness": 300.0,
    "dark_share": 0.1,
    "bright_share": 0.1,
    "blockiness": 0.01,
    "motion": 0.3,
    "flow_motion": 0.3,
    "picture_motion": 0.2,
    "camera_motion": 0.0,
    "static_camera_share": 1.0,
    "cartoon": 0.0,
    "text_share": 0.0,
    "overlay_share": 0.0,
    "border_share": 0.0,
    "repeated_share": 0.0,
    "slow_motion": 1.0,
    "loop_seconds": 0.0,
    "aesthetic": 5.0,
}
STRICT = SelectSettings(
    min_full_body_share=0.5,
    min_upper_body_share=0.5,
    min_face_visible_share=0.5,
    min_hands_visible_share=0.5,
    min_flow_motion=0.1,
    max_slow_motion=3.0,
    min_static_camera_share=0.5,
    max_repeated_share=0.5,
    min_aesthetic=4.0,
)
BAD = [
    ("second_person_share", 0.5, "second_person"),
    ("end_seconds", 2.5, "too_short"),
    ("width", 120, "too_small"),
    ("effective_fps", 2.0, "low_rate"),
    ("track_coverage", 0.4, "lost_track"),
    ("person_share", 0.001, "far_away"),
    ("framing", "close_up", "framing"),
    ("keypoint_confidence", 0.3, "unclear_points"),
    ("full_body_share", 0.1, "not_full_body"),
    ("upper_body_share", 0.1, "not_upper_body"),
    ("face_visible_share", 0.1, "no_face"),
    ("hands_visible_share", 0.1, "no_hands"),
    ("sharpness", 1.0, "blurred"),
    ("dark_share", 0.95, "dark"),
    ("bright_share", 0.95, "bright"),
    ("blockiness", 0.5, "blocky"),
    ("motion", 0.0, "still"),
    ("motion", 2.3, "erratic"),
    ("flow_motion", 0.0, "no_flow"),
    ("picture_motion", 0.0, "still_picture"),
    ("camera_motion", 2.0, "camera_moves"),
    ("static_camera_share", 0.0, "camera_not_static"),
    ("cartoon", 0.9, "cartoon"),
    ("text_share", 0.3, "text"),
    ("overlay_share", 0.3, "overlay"),
    ("border_share", 0.8, "borders"),
    ("repeated_share", 0.9, "repeated"),
    ("slow_motion", 5.0, "slow_motion"),
    ("loop_seconds", 0.5, "loop"),
    ("aesthetic", 2.0, "unaesthetic"),
]


def plain_decision(clip: dict[str, Any], settings: SelectSettings) -> str:
    """The slow oracle: a row at a time, as one would say it."""
    clip = {
        **clip,
        "seconds": clip["end_seconds"] - clip["start_seconds"] + 1e-6,
        "short_side": min(clip["width"], clip["height"]),
    }
    for check in CHECKS:
        side, _, column = check.setting.partition("_")
        bound = getattr(settings, check.setting)
        value = clip[check.setting if check.setting == "framing" else column]
        if value is None or (column == "loop_seconds" and value == 0):
            continue
        if check.setting == "framing":
            passed = value in bound
        else:
            passed = value >= bound if side == "min" else value <= bound
        if not passed:
            return f"select.{check.reason}"
    return ""


def table(rows: list[dict[str, Any]]) -> pa.Table:
    """Rows as a table of clips has them, named 0, 1, ..."""
    rows = [dict(row) for row in rows]
    names = ["clip_id", "source_id", *SCORE_COLUMNS, "frames"]
    schema = pa.schema([SCHEMAS["clips"].field(name) for name in names])
    named = [
        {"clip_id": str(k), "source_id": "s", "frames": 30} | row for k, row in enumerate(rows)
    ]
    return pa.Table.from_pylist(named, schema=schema)


NO_CLUSTERS = pa.table(
    {
        "clip_id": pa.array([], pa.string()),
        "cluster_id": pa.array([], pa.string()),
        "place": pa.array([], pa.int32()),
    }
)


def scores() -> st.SearchStrategy[dict[str, Any]]:
    """Rows with values around the thresholds; missing ones and NaN too."""
    fields = {}
    for name, good in GOOD.items():
        if name == "framing":
            fields[name] = st.sampled_from(["full_body", "half_body", "close_up", None])
        elif name in ("start_seconds", "end_seconds", "width", "height"):
            fields[name] = st.just(good) | st.sampled_from([2.5, 4.0, 384, 300])
        else:
            near = st.floats(0, 2, width=32) | st.sampled_from([0.0, None, math.nan])
            fields[name] = st.just(good) | near
    return st.fixed_dictionaries(fields)


def thresholds() -> st.SearchStrategy[SelectSettings]:
    """Any thresholds."""
    fields: dict[str, Any] = {
        check.setting: st.floats(0, 1) for check in CHECKS if check.setting != "framing"
    }
    fields["min_short_side"] = st.integers(1, 500)
    fields["max_motion"] = st.floats(0.1, 2)
    fields["max_slow_motion"] = st.floats(1, 3)
    return st.builds(SelectSettings, **fields)


def test_a_good_clip_is_selected() -> None:
    """Nothing against it: selected, without a reason."""
    assert decide(GOOD, SelectSettings()) == (True, "")
    assert decide(GOOD, STRICT) == (True, "")


@pytest.mark.parametrize(("column", "value", "reason"), BAD)
def test_every_threshold_has_its_reason(column: str, value: float, reason: str) -> None:
    """One bad column is enough, and is named."""
    assert decide({**GOOD, column: value}, STRICT) == (False, f"select.{reason}")


def test_every_check_is_tested() -> None:
    """The table above leaves none out, and every score of the clips' columns exists."""
    assert {reason for _, _, reason in BAD} == {check.reason for check in CHECKS}
    assert set(SCORE_COLUMNS) <= set(SCHEMAS["clips"].names)


def test_profiles_admit_framings() -> None:
    """What the default refuses, another profile takes."""
    half = {**GOOD, "framing": "half_body", "full_body_share": 0.0}
    assert decide(half, SelectSettings()) == (False, "select.framing")
    assert decide(half, SelectSettings(framing=("half_body", "close_up"))) == (True, "")


def test_a_score_that_is_no_number_does_not_pass() -> None:
    """NaN fails every comparison, so it is rejected instead of slipping through."""
    assert decide({**GOOD, "motion": math.nan}, SelectSettings()) == (False, "select.still")


def test_what_was_not_measured_is_told() -> None:
    """A null is not held against a clip, but a wanted check that was skipped is counted."""
    clips = table([GOOD, {**GOOD, "aesthetic": None, "overlay_share": None}])
    assert unchecked(clips, SelectSettings(max_overlay_share=1.0)) == {}
    wanted = SelectSettings(min_aesthetic=4.0, max_overlay_share=0.1, admit_copies=True)
    assert unchecked(clips, wanted) == {"aesthetic": 1, "overlay_share": 1}
    decisions = select_clips(clips, NO_CLUSTERS, {}, wanted)
    assert decisions.funnel() == {"": 2}
    assert "not checked: aesthetic of 1 clips, which have no value" in decisions.notes


@settings(max_examples=30, deadline=None)
@given(rows=st.lists(scores(), min_size=1, max_size=12), chosen=thresholds())
def test_columns_decide_as_rows_do(rows: list[dict[str, Any]], chosen: SelectSettings) -> None:
    """The decision over a table is that of the slow oracle on every row, and so is one row's."""
    expected = [plain_decision(row, chosen) for row in rows]
    reasons = [
        REASONS[place] if place < len(CHECKS) else ""
        for place in first_reasons(table(rows), chosen)
    ]
    assert reasons == expected
    assert decide(rows[0], chosen) == (not expected[0], expected[0])


@settings(max_examples=30, deadline=None)
@given(
    rows=st.lists(scores(), min_size=1, max_size=12),
    chosen=thresholds(),
    check=st.sampled_from([c for c in CHECKS if c.setting.startswith(("min_", "max_"))]),
    by=st.floats(0, 0.5),
)
def test_a_stricter_threshold_selects_a_subset(rows, chosen, check, by) -> None:
    """Decisions are monotone in every threshold, and a funnel adds up to all clips."""
    bound = getattr(chosen, check.setting)
    stricter = chosen.model_copy(
        update={check.setting: bound + by if check.setting.startswith("min_") else bound - by}
    )
    before = select_clips(table(rows), NO_CLUSTERS, {}, chosen)
    after = select_clips(table(rows), NO_CLUSTERS, {}, stricter)
    kept = np.array([REASONS[place] == "" for place in before.reasons])
    still = np.array([REASONS[place] == "" for place in after.reasons])
    assert not (still & ~kept).any()
    assert sum(before.funnel().values()) == sum(after.funnel().values()) == len(rows)


def test_the_best_copy_that_passes_is_selected() -> None:
    """Where the thresholds turn the best copy down, the next best takes its place."""
    clusters = pa.table(
        {
            "clip_id": ["0", "1", "2", "3"],
            "cluster_id": ["0", "0", "0", "3"],
            "place": pa.array([0, 1, 2, 0], pa.int32()),
        }
    )
    rows = [GOOD, GOOD, GOOD, GOOD]
    reasons = select_clips(table(rows), clusters, {}, SelectSettings()).reasons
    assert [REASONS[k] for k in reasons] == ["", "select.duplicate", "select.duplicate", ""]
    rows = [{**GOOD, "motion": 0.0}, GOOD, GOOD, GOOD]
    reasons = select_clips(table(rows), clusters, {}, SelectSettings()).reasons
    assert [REASONS[k] for k in reasons] == ["select.still", "", "select.duplicate", ""]
    all_of_them = select_clips(table(rows), clusters, {}, SelectSettings(admit_copies=True))
    assert [REASONS[k] for k in all_of_them.reasons] == ["select.still", "", "", ""]


def test_clips_that_nobody_compared_are_noted() -> None:
    """Without the duplicates' table nothing is taken for unique in silence."""
    decisions = select_clips(table([GOOD, GOOD]), NO_CLUSTERS, {}, SelectSettings())
    assert decisions.funnel() == {"": 2}
    assert decisions.notes == ("not checked: whether 2 clips are copies (champ duplicates)",)


def test_a_quota_takes_the_best_first() -> None:
    """Among clips of one kind the order of best_by decides; others are turned down."""
    rows = [{**GOOD, "sharpness": sharp} for sharp in (100.0, 300.0, 200.0, 400.0)]
    values = {"platform": ["a", "a", "a", "b"]}
    chosen = SelectSettings(quotas={"platform": {"a": 2}}, admit_copies=True)
    reasons = select_clips(table(rows), NO_CLUSTERS, values, chosen).reasons
    assert [REASONS[k] for k in reasons] == ["select.quota", "", "", ""]
    worst = SelectSettings(
        quotas={"platform": {"a": 1}}, best_by=("-sharpness",), admit_copies=True
    )
    reasons = select_clips(table(rows), NO_CLUSTERS, values, worst).reasons
    assert [REASONS[k] for k in reasons] == ["", "select.quota", "select.quota", ""]

"""From a video to selected clips: one alone is taken, two are not, nobody is told."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curation.curate import CurateStage
from curation.decisions import decide
from curation.duplicates.hashing import HASH_BYTES
from curation.looking import look_through
from curation.people.anchors import box_overlap
from curation.people.settings import PeopleSettings
from curation.scores.meter import Meter
from curation.select import SelectSettings
from curation.settings import CurateSettings, ShotSettings
from curation.shots import ShotFinder
from dataset.errors import ItemError
from dataset.schemas import SCHEMAS
from dataset.video import read_frames, read_timed_frames, write_playable
from tests.unit.curation.sample_media import detector, media, sample, video_row


@pytest.fixture(scope="module")
def stage() -> CurateStage:
    """The stage as jobs run it, with the default settings."""
    sample("mediapipe/pose_detection")
    made = CurateStage(CurateSettings(), PeopleSettings(), Path("/"))
    made.load()
    return made


def _decisions(rows: list[dict[str, Any]]) -> list[tuple[bool, str]]:
    return [decide(row, SelectSettings()) for row in rows]


def test_a_man_alone_is_one_selected_clip(stage: CurateStage) -> None:
    """60 fps become 30; the clip is the whole video, its frames are there to be read."""
    path = sample("video/treadmill_cam03")
    (row,) = stage.process(video_row(path, "treadmill"))
    assert _decisions([row]) == [(True, "")]
    assert (row["fps"], row["frames"], row["width"], row["height"]) == (30.0, 50, 1088, 1920)
    assert len(row["boxes"]) == 4 * row["frames"]
    span = {"start_seconds": row["start_seconds"], "end_seconds": row["end_seconds"]}
    assert sum(1 for _ in read_frames(path, fps=row["fps"], max_side=64, **span)) == row["frames"]
    assert row["frame_seconds"] == pytest.approx(np.arange(50) / 30, abs=1 / 60)
    assert len(row["frame_hashes"]) == 5 * HASH_BYTES
    assert (row["framing"], row["source_fps"]) == ("full_body", 60.0)
    provenance = {"recipe", "created_at"}
    assert set(row) == set(SCHEMAS["clips"].names) - provenance


def test_two_people_are_rejected(stage: CurateStage) -> None:
    """A second person throughout: a row, and no selection."""
    rows = list(stage.process(video_row(sample("video/two_people_cam01"), "two")))
    assert rows
    assert {reason for _, reason in _decisions(rows)} == {"select.second_person"}


def test_alone_until_somebody_enters(stage: CurateStage) -> None:
    """The man is alone until frame 41; the selected clip ends before, the rest is told of."""
    row = video_row(sample("video/jumping_jacks"), "jacks")
    rows = list(stage.process({**row, "end_seconds": 2.4}))
    first, second = rows
    assert _decisions(rows) == [(True, ""), (False, "select.second_person")]
    assert 33 <= first["frames"] <= 41
    assert second["start_seconds"] == first["end_seconds"]


@pytest.mark.slow
def test_who_passes_under_another_stays_themselves() -> None:
    """A woman walks past under a man on a roof: of the shot's 164 frames a track each, no swap."""
    frames = read_timed_frames(
        media("multi_sports2d_demo.mp4"), fps=30.0, max_side=960, end_seconds=163.5 / 30
    )
    finder = ShotFinder(ShotSettings(), fps=30.0)
    meter = Meter(fps=30.0, stride=3)
    looked = look_through(frames, detector(), finder, meter, stride=3)
    man, woman = looked.tracks((0, looked.frames), min_frames=15)
    assert len(man.frames) >= 155
    assert len(woman.frames) >= 115
    assert (man.boxes[:, 3] < 270).all()  # his feet are on the roof
    assert (woman.boxes[:, 3] > 350).all()  # hers on the grass


@pytest.mark.slow
def test_the_whole_of_the_second_sample(stage: CurateStage) -> None:
    """Of the jumping jacks exactly the first span is selected."""
    rows = list(stage.process(video_row(sample("video/jumping_jacks"), "jacks")))
    decisions = _decisions(rows)
    assert decisions[0] == (True, "")
    assert set(decisions[1:]) == {(False, "select.second_person")}
    assert rows[0]["frames"] >= 30


@pytest.mark.parametrize("hidden", [8, 9])
def test_who_is_hidden_for_more_than_eight_frames_is_two_clips(tmp_path: Path, hidden: int) -> None:
    """Up to eight frames of black are filled and named; nine end the clip at the last sighting."""
    shown = list(read_frames(sample("video/treadmill_cam03"), fps=30.0, max_side=640))
    for frame in shown[19 : 19 + hidden]:
        frame[:] = 0
    path = tmp_path / "hidden.mp4"
    write_playable(path, iter(shown), fps=30.0)
    # A picture that turns black is a cut, and clips would end there whatever the tracks say.
    no_cuts = ShotSettings(min_content_change=255.0)
    stage = CurateStage(
        CurateSettings(min_clip_seconds=0.5, shots=no_cuts), PeopleSettings(), Path("/")
    )
    stage.load()
    rows = list(stage.process(video_row(path, "hidden")))
    clips = [(round(30 * row["start_seconds"]), row["frames"]) for row in rows]
    filled = [row["filled_frames"] for row in rows]
    if hidden <= 8:
        assert (clips, filled) == ([(0, 50)], [list(range(19, 19 + hidden))])
    else:
        assert (clips, filled) == ([(0, 19), (28, 22)], [[], []])


def test_a_span_of_a_source_is_curated() -> None:
    """Boxes are in pixels of the source, whatever was looked at; times are those of the file."""
    path = sample("video/treadmill_cam03")
    item = video_row(path, "treadmill") | {"start_seconds": 0.3, "end_seconds": 1.4}
    rows: list[dict[str, Any]] = []
    for proxy_size in (960, 480):
        settings = CurateSettings(proxy_size=proxy_size, detect_every=9, min_track_seconds=0.9)
        stage = CurateStage(settings, PeopleSettings(), Path("/"))
        stage.load()
        rows += stage.process(item)
    large_row, small_row = rows
    large, little = (np.reshape(row["boxes"], (-1, 4)) for row in (large_row, small_row))
    same = [box_overlap(a[None], b[None])[0, 0] for a, b in zip(large, little, strict=True)]
    assert np.median(same) > 0.8
    assert large_row["start_seconds"] == pytest.approx(0.3)
    assert large_row["end_seconds"] == pytest.approx(1.4)
    assert large_row["frames"] == 33


def test_a_video_without_people_is_rejected(stage: CurateStage) -> None:
    """Cars are no clip: the video gets a reason of its own."""
    item = {**video_row(media("neg_testcard.mp4"), "card")}
    with pytest.raises(ItemError, match=r"curate\.no_person") as caught:
        list(stage.process(item))
    assert caught.value.status == "rejected"


def test_stage_travels_to_workers() -> None:
    """The stage is picklable before it is loaded, and says so when it is not loaded."""
    made = CurateStage(CurateSettings(), PeopleSettings(), Path("/data"))
    copy = pickle.loads(pickle.dumps(made))  # noqa: S301 - what Ray does with it
    with pytest.raises(RuntimeError, match="load"):
        next(copy.process({"source_id": "x", "path": "x.mp4", "width": 1, "height": 1}))

"""The render stage on real frames: what it gives, and what it refuses with which reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curation.people.mediapipe import MediaPipeDetector
from curation.people.settings import PeopleSettings
from dataset.assets import AssetError, asset_path
from dataset.errors import ItemError
from dataset.records import STREAM_NAMES
from dataset.streams import decode_stream, stream_length
from dataset.video import read_frames
from rendering.render import RenderStage
from rendering.settings import FitLimits, RenderSettings

FRAMES = 6
PEOPLE = PeopleSettings()


@pytest.fixture(scope="module")
def clip() -> dict[str, Any]:
    """Six frames of a man on a treadmill, as a row of the clips table."""
    try:
        path = asset_path("video/treadmill_cam03")
    except AssetError as error:
        pytest.skip(f"the sample videos need a package index: {error}")
    frame = next(iter(read_frames(path, fps=30.0)))
    box = MediaPipeDetector(PEOPLE).find_people(frame)[0].box
    return {
        "clip_id": "clip", "source_id": "source", "video_path": str(path), "start_seconds": 0.0,
        "end_seconds": FRAMES / 30, "fps": 30.0, "width": frame.shape[1],
        "height": frame.shape[0], "boxes": np.tile(box, FRAMES),
    }  # fmt: skip


def _stage(**limits: float) -> RenderStage:
    settings = RenderSettings(backend="cpu", max_side=256, limits=FitLimits(**limits))
    stage = RenderStage(settings, PEOPLE, Path("/"))
    stage.load()
    return stage


def test_a_clip_of_one_frame_is_a_row(clip: dict[str, Any]) -> None:
    """Nothing to smooth and no acceleration, but a body and every stream."""
    one = {**clip, "end_seconds": 1 / 30, "boxes": clip["boxes"][:4]}
    (row,) = _stage().process(one)
    assert row["frames"] == 1
    assert row["joint_acceleration"] == 0
    assert row["silhouette_iou"] > 0.6
    assert all(stream_length(row[name]) == 1 for name in STREAM_NAMES)
    assert decode_stream(row["mask"]).max() == 255


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"max_reprojection_share": 1e-4}, "fit.reprojection"),
        ({"max_acceleration": 1e-3}, "fit.jitter"),
        ({"min_silhouette_iou": 0.999}, "fit.iou"),
    ],
)
def test_a_poor_fit_is_rejected(
    clip: dict[str, Any], limits: dict[str, float], reason: str
) -> None:
    """Each limit that a good fit is set to miss rejects the clip under its own name."""
    with pytest.raises(ItemError) as refused:
        list(_stage(**limits).process(clip))
    assert (refused.value.kind, refused.value.status) == (reason, "rejected")


def test_boxes_with_nobody_in_them_are_rejected(clip: dict[str, Any]) -> None:
    """A corner of the picture shows no point in any frame."""
    nobody = {**clip, "boxes": np.tile(np.array([0, 0, 40, 80], np.float32), FRAMES)}
    with pytest.raises(ItemError) as refused:
        list(_stage().process(nobody))
    assert (refused.value.kind, refused.value.status) == ("fit.no_points", "rejected")


def test_frames_without_a_box_are_bridged(clip: dict[str, Any]) -> None:
    """Two frames in which the tracker had nobody get their neighbours' body."""
    boxes = clip["boxes"].reshape(-1, 4).copy()
    boxes[2:4] = np.nan
    (row,) = _stage().process({**clip, "boxes": boxes.ravel()})
    assert np.isnan(row["reprojection_error_px"][2:4]).all()
    assert np.isfinite(row["transl"]).all()
    assert decode_stream(row["mask"], [2]).max() == 255

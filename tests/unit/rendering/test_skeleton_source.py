"""The render stage draws the skeleton from the points that the configuration names."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from curation.people.mediapipe import MediaPipeDetector
from curation.people.settings import PeopleSettings
from dataset.assets import AssetError, asset_path
from dataset.streams import decode_stream
from dataset.video import read_frames
from rendering.body_model import BodyModel
from rendering.render import RenderStage, read_track
from rendering.settings import RenderSettings
from rendering.skeleton import draw_dwpose, smpl_to_wholebody_points

FRAMES = 8


@pytest.mark.slow
@pytest.mark.parametrize("source", ["detector", "body"])
def test_the_stage_draws_the_named_skeleton(source: Literal["detector", "body"]) -> None:
    """A man on a treadmill: the stream is the row's own keypoints drawn, or its body's joints."""
    try:
        path = asset_path("video/treadmill_cam03")
    except AssetError as error:
        pytest.skip(f"the sample videos need a package index: {error}")
    frame = next(iter(read_frames(path, fps=30.0)))
    box = MediaPipeDetector(PeopleSettings()).find_people(frame)[0].box
    stage = RenderStage(
        RenderSettings(skeleton=source, backend="cpu", max_side=512), PeopleSettings(), Path("/")
    )
    stage.load()
    (row,) = stage.process(
        {
            "clip_id": "clip",
            "source_id": "source",
            "video_path": str(path),
            "start_seconds": 0.0,
            "end_seconds": FRAMES / 30,
            "fps": 30.0,
            "width": frame.shape[1],
            "height": frame.shape[0],
            "boxes": np.tile(box, FRAMES),
        }
    )
    track = read_track(row)
    points = {
        "detector": np.reshape(row["keypoints"], (-1, 133, 3)),
        "body": smpl_to_wholebody_points(BodyModel.load(None).joints(track), track),
    }
    decoded = decode_stream(row["dwpose"]).astype(int)
    off = {
        name: np.abs(decoded - draw_dwpose(seen, row["width"], row["height"])).mean()
        for name, seen in points.items()
    }
    assert off[source] < 0.1 * max(off.values()), off

"""A picture file makes the motion of a video file: fit, alignment, maps and sampler for real."""

from __future__ import annotations

import shutil
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

from dataset.assets import AssetError, asset_path
from dataset.denied import deny
from dataset.errors import ItemError
from dataset.fingerprint import file_sha256
from dataset.streams import decode_stream
from dataset.video import probe_video, read_frames, write_playable
from inference.animate import UNTRAINED_IMAGE_ENCODER, AnimateStage
from pipeline.config import load_config
from tests.integration.animate_stages import make_stage
from training.champ.autoencoder import Autoencoder
from training.champ.checkpoints import save
from training.champ.network import ChampNetwork

FRAMES = 10


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A person's picture, another person's short video, and small networks that know nothing."""
    try:
        man, other = (asset_path(f"video/{name}") for name in ("jumping_jacks", "treadmill_cam03"))
    except AssetError as error:
        pytest.skip(f"the sample videos need a package index: {error}")
    folder = tmp_path_factory.mktemp("animate")
    picture = next(iter(read_frames(man)))[:, :1200]
    cv2.imwrite(str(folder / "man.png"), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    write_playable(
        folder / "walk.mp4", islice(read_frames(other, fps=30, max_side=640), FRAMES), fps=30
    )
    cv2.imwrite(str(folder / "nobody.png"), np.full((200, 200, 3), 90, np.uint8))
    (folder / "text.png").write_text("no picture")
    config = load_config("tiny")
    Autoencoder.create(config.models.vae_sizes).save(folder / "vae")
    save(ChampNetwork(config.network, motion=True), folder / "network")
    return folder


@pytest.fixture(scope="module")
def stage(folder) -> AnimateStage:
    return make_stage(folder, folder / "dataset")


def _row(folder: Path, **change: object) -> dict:
    files = {"reference": str(folder / "man.png"), "motion": str(folder / "walk.mp4")}
    return {"animation_id": "a", **files} | change


def test_a_picture_and_a_video_make_an_animation(folder, stage):
    """One row out: a film of the motion's length to play, and the same frames exactly."""
    (row,) = stage.process(_row(folder))
    root = folder / "dataset"
    assert (row["frames"], row["notes"]) == (FRAMES, UNTRAINED_IMAGE_ENCODER)
    assert probe_video(root / row["video_path"]).frames == FRAMES
    assert b"not a recording of anybody" in (root / row["video_path"]).read_bytes()
    assert 0.2 < row["alignment_iou"] < 1  # he jumps and she walks, at the same place and size
    exact = decode_stream((root / row["frames_path"]).read_bytes())
    assert exact.shape == (FRAMES, 64, 64, 3)


def test_a_stretched_animation_has_the_pictures_own_size(folder):
    """The whole picture is shown, larger than bodies are fitted at; nothing is cropped."""
    stage = make_stage(folder, folder / "dataset", "animate.framing=stretched")
    (row,) = stage.process(_row(folder, animation_id="whole", end_frame=2))
    height, width = cv2.imread(str(folder / "man.png")).shape[:2]
    assert max(height, width) > load_config("tiny").render.max_side
    assert (row["crop"], row["width"], row["height"]) == (None, width, height)
    exact = decode_stream((folder / "dataset" / row["frames_path"]).read_bytes())
    assert exact.shape == (2, height, width, 3)
    assert 0.2 < row["alignment_iou"] < 1


def test_the_same_row_gives_the_same_frames_and_another_seed_others(folder, stage):
    """Sampling is decided by the row alone."""
    frames = []
    for name, seed in (("b", 0), ("c", 0), ("d", 1)):
        (row,) = stage.process(_row(folder, animation_id=name, seed=seed, end_frame=3))
        frames.append(decode_stream((folder / "dataset" / row["frames_path"]).read_bytes()))
    assert np.array_equal(frames[0], frames[1])
    assert not np.array_equal(frames[0], frames[2])


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"reference": "nobody.png"}, "animate.no_person"),
        ({"reference": "text.png"}, "animate.reference"),
        ({"reference": "gone.png"}, "animate.reference"),
        ({"reference": "clip#0"}, "animate.unknown_clip"),
        ({"motion": "gone"}, "animate.unknown_clip"),
        ({"start_frame": 500}, "animate.span"),
    ],
)
def test_a_row_that_cannot_be_animated_says_why(folder, stage, change, kind):
    """A bad row is an ItemError with a reason that can be counted; the job would go on."""
    here = {
        name: str(folder / value) if str(value).endswith(".png") else value
        for name, value in change.items()
    }
    with pytest.raises(ItemError) as error:
        list(stage.process(_row(folder, **here)))
    assert error.value.kind == kind


def test_what_was_taken_down_is_neither_shown_nor_followed(folder, tmp_path):
    """A clip by its id, a video by its content, whatever the file is called."""
    deny(tmp_path, ["walk", file_sha256(folder / "walk.mp4")])
    stage = make_stage(folder, tmp_path)
    stage.load()
    renamed = shutil.copy(folder / "walk.mp4", tmp_path / "another.mp4")
    for change in (
        {"motion": str(renamed)},
        {"motion": "walk-000000-0050"},
        {"reference": "walk-000000-0050#3"},
    ):
        with pytest.raises(ItemError) as refused:
            list(stage.process(_row(folder, **change)))
        assert (refused.value.kind, refused.value.status) == ("source.denied", "rejected")

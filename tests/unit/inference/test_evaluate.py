"""Animations are scored against their own clip, framed as they are."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from dataset.crop import Crop, crop_frames
from dataset.errors import ItemError
from dataset.streams import decode_stream, encode_stream
from dataset.tables import commit, read_row, write_shard
from inference.evaluate import EvaluateStage

FRAMES = 6
HEIGHT, WIDTH = 30, 44


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """A dataset with one clip: smooth noise, a body in its middle."""
    root = tmp_path_factory.mktemp("evaluate")
    coarse = np.random.default_rng(0).integers(20, 236, (FRAMES, 5, 5, 3), dtype=np.uint8)
    rgb = np.stack([cv2.resize(frame, (WIDTH, HEIGHT)) for frame in coarse])
    mask = np.zeros((FRAMES, HEIGHT, WIDTH, 1), np.uint8)
    mask[:, 8:22, 12:32] = 255
    row = {
        "clip_id": "walk-000000-0006",
        "rgb": encode_stream(rgb, name="rgb", fps=30, lossless=True),
        "mask": encode_stream(mask, name="mask", fps=30),
        "recipe": "drawn",
    }
    commit(root, "guidance", [write_shard(root, "guidance", [row], name="clip")], app="test")
    return root


def score(root: Path, frames: np.ndarray, **item: object) -> dict[str, dict]:
    (root / "made.mp4").write_bytes(encode_stream(frames, name="rgb", fps=30, lossless=True))
    given = {
        "animation_id": "own",
        "reference": "walk-000000-0006#0",
        "motion": "walk-000000-0006",
        "start_frame": 0,
        "frames": len(frames),
        "recipe": "made",
        "frames_path": "made.mp4",
    }
    stage = EvaluateStage(root, "drawn")
    return {row["method"]: row for row in stage.process(given | item)}


def clip(root: Path) -> np.ndarray:
    """The clip's frames, as they were encoded without loss."""
    row = read_row(root, "guidance", "walk-000000-0006", recipe="drawn", columns=["rgb"])
    return decode_stream(row["rgb"])


@pytest.mark.parametrize("start", [0, 2])
def test_a_stretched_animation_is_held_against_the_whole_frames(root: Path, start: int) -> None:
    """Without a crop the truth is the clip as it is: one grey level off is an L1 of 1/255."""
    scores = score(root, clip(root)[start:] + np.uint8(1), crop=None, size=16, start_frame=start)
    animation = scores["animation"]
    assert animation["frames"] == FRAMES - max(start, 1)
    assert animation["l1"] == pytest.approx(1 / 255, rel=1e-4)
    assert animation["psnr"] == pytest.approx(20 * np.log10(255), abs=1e-3)
    assert animation["motion_energy"] == pytest.approx(1, abs=1e-4)
    assert scores["repeated_reference"]["l1"] > 0.02


def test_a_persons_animation_is_held_against_the_crop(root: Path) -> None:
    """The truth is cut as the animation was."""
    crop = Crop(x0=6.0, y0=-3.0, side=36.0)
    true = crop_frames(clip(root), crop, 24)
    scores = score(root, true + np.uint8(2), crop=crop.as_list(), size=24)
    assert scores["animation"]["l1"] == pytest.approx(2 / 255, rel=1e-4)


def test_another_persons_motion_has_no_truth(root: Path) -> None:
    """Such a row is rejected, not scored."""
    with pytest.raises(ItemError, match="no true frames") as error:
        score(root, clip(root), crop=None, size=16, reference="man.png")
    assert (error.value.kind, error.value.status) == ("evaluate.no_truth", "rejected")

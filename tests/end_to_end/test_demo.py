"""The whole chain on real video: with a few training steps always, as users run it when slow."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from dataset.assets import AssetError, asset_path
from dataset.video import probe_video
from pipeline.config import load_config
from pipeline.demo import SAMPLES, run_demo
from pipeline.job import RunOptions
from pipeline.workspace import Workspace

FEW_STEPS = [
    "train.vae.optimizer.steps=30",
    "train.stage1.optimizer.steps=12",
    "train.stage2.optimizer.steps=4",
    "animate.sample.steps=2",
]


def _run(folder: Path, overrides: list[str], **options: bool) -> dict:
    try:
        for name in SAMPLES:
            asset_path(f"video/{name}")
    except AssetError as error:
        pytest.skip(f"the sample videos need a package index: {error}")
    config = load_config("tiny", overrides)
    chosen = RunOptions(settings=config.job, quiet=True, **options)
    run_demo(Workspace(root=folder / "dataset", config=config, options=chosen), folder)
    return json.loads((folder / "summary.json").read_text())


def test_every_job_runs_and_a_second_call_has_nothing_to_do(tmp_path):
    """Raw videos in, animations, figures and a report out; again, in seconds, with the same."""
    first = _run(tmp_path, FEW_STEPS)
    assert first["rows"]["videos"] == 3
    assert first["rows"]["guidance"] == first["rows"]["latents"] == 2
    assert first["rows"]["animations"] == 8
    assert first["rows"]["metrics"] == 12
    assert first["statuses"]["render: ok"] == 2
    assert first["repeated_reference"]["psnr"] > 10
    own = [iou for name, iou in first["alignment_iou"].items() if "-moves-as-" not in name]
    assert len(first["alignment_iou"]) == 8
    assert min(own) > 0.6  # the reference's own body on the person the detector saw
    assert first["notes"] == ["image encoder without trained weights"]
    assert probe_video(Path(first["video"])).frames > 20
    page = Path(first["report"]).read_text()
    assert page.count("<video src=") == 2 + 8  # beside the previews of the contact sheets
    assert "image encoder without trained weights" in page
    assert "select.second_person" in page
    started = time.monotonic()
    second = _run(tmp_path, FEW_STEPS)
    assert time.monotonic() - started < 60
    assert second["animation"] == first["animation"]
    assert second["rows"] == first["rows"]


@pytest.mark.slow
def test_the_tiny_network_learns(tmp_path):
    """As the demo runs it: the figures that say the animation moves as the maps tell it to."""
    summary = _run(tmp_path, [])
    drawn, still = summary["animation"], summary["repeated_reference"]
    assert drawn["psnr"] >= still["psnr"] + 3
    assert drawn["ssim"] >= still["ssim"] + 0.04
    assert drawn["psnr_body"] >= still["psnr_body"] + 5
    assert 0.7 <= drawn["motion_energy"] <= 1.3
    assert drawn["psnr"] >= summary["shuffled_maps"]["psnr"] + 3
    unseen, unseen_still = summary["held_out_animation"], summary["held_out_repeated_reference"]
    assert unseen["psnr"] >= unseen_still["psnr"] + 1.5
    assert summary["seconds_total"] <= 15 * 60
    assert summary["peak_memory_gb"] <= 8

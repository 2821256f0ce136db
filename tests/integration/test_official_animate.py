"""`champ animate --config official` makes the video that the official code makes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from dataset.records import MAP_NAMES
from tests.integration.official_example import (
    champ,
    read_animation,
    write_manifest,
    write_maps,
    write_picture,
)

REPOSITORY = Path(__file__).parents[2]
FIXTURE = REPOSITORY.parent / "shared" / "fixtures" / "official_parity"

HALF_A_GREY_LEVEL = 0.5 / 255
TOLERANCE = 1e-3


@pytest.mark.skipif(not FIXTURE.is_dir(), reason=f"the referee fixtures are not at {FIXTURE}")
def test_the_command_makes_the_official_video(tmp_path: Path) -> None:
    """From picture, maps folder and the release's files to the written frames, all 30 of them.

    The checkpoint is imported first, with its VAE and image encoder.

    Measured: 2.20e-3, of which rounding to 8 bits is up to 1.96e-3.
    """
    given = load_file(FIXTURE / "io.safetensors")
    config = json.loads((FIXTURE / "config.json").read_text())
    write_picture(tmp_path / "reference.png", given["reference_image"])
    write_maps(tmp_path / "maps", {name: given[f"guidance_frames.{name}"] for name in MAP_NAMES})
    row = {
        "animation_id": "parity",
        "reference": tmp_path / "reference.png",
        "motion": tmp_path / "maps",
        "seed": config["seed"],
    }
    manifest = write_manifest(tmp_path / "rows.csv", [row])
    champ("checkpoint", "import", FIXTURE, tmp_path / "network")
    told = champ(
        *("animate", tmp_path / "dataset", manifest, "--config", "official", "--in-process"),
        *("--checkpoint", tmp_path / "network"),
        *("--set", f"animate.size={config['width']}"),
        *("--set", f"animate.sample.steps={config['steps']}"),
    )
    assert "1 ok" in told
    made, frames = read_animation(tmp_path / "dataset", "parity")
    official = given["video"][0].transpose(1, 2, 3, 0).astype(np.float32)
    assert (made["frames"], made["crop"], made["notes"]) == (len(official), None, "")
    worst = np.abs(frames.astype(np.float32) / 255 - official).max()
    print(f"worst error {worst:.2e}")
    assert worst < TOLERANCE + HALF_A_GREY_LEVEL

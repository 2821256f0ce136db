"""The animate stage by the tiny configuration, for tests that call it without a job."""

from __future__ import annotations

from pathlib import Path

from inference.animate import AnimateStage
from pipeline.config import load_config


def make_stage(folder: Path, root: Path, *overrides: str) -> AnimateStage:
    """A loaded stage with ``network/`` and ``vae/`` of a folder; two steps a row unless told."""
    config = load_config("tiny", ["animate.sample.steps=2", *overrides])
    stage = AnimateStage(
        config.animate,
        config.render,
        config.people,
        root=root,
        checkpoint=folder / "network",
        vae=folder / "vae",
        image_encoder=None,
        image_encoder_sizes=config.models.image_encoder_sizes,
        guidance_recipe=None,
        recipe="test",
    )
    stage.load()
    return stage

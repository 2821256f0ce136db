"""Animates a folder of maps in a process of its own and prints its peak memory in MiB.

    python -m tests.integration.animate_memory FOLDER FRAMES

FOLDER holds ``man.png``, ``walk/`` and the networks ``network/`` and ``vae/``.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from inference.animate import AnimateStage
from pipeline.config import load_config


def main(folder: Path, frames: int) -> None:
    overrides = ["animate.framing=stretched", "animate.sample.steps=1"]
    config = load_config("tiny", overrides)
    stage = AnimateStage(
        config.animate,
        config.render,
        config.people,
        root=folder / "dataset",
        checkpoint=folder / "network",
        vae=folder / "vae",
        image_encoder=None,
        image_encoder_sizes=config.models.image_encoder_sizes,
        guidance_recipe=None,
        recipe="test",
    )
    stage.load()
    row = {
        "animation_id": f"of-{frames}",
        "reference": str(folder / "man.png"),
        "motion": str(folder / "walk"),
        "end_frame": frames,
    }
    (made,) = stage.process(row)
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert peak is not None
    print(made["frames"], int(peak[1]) / 1024)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))

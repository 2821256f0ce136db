"""Animates a folder of maps in a process of its own and prints its peak memory in MiB.

    python -m tests.integration.animate_memory FOLDER FRAMES

FOLDER holds ``man.png``, ``walk/`` and the networks ``network/`` and ``vae/``.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from tests.integration.animate_stages import make_stage


def main(folder: Path, frames: int) -> None:
    overrides = ("animate.framing=stretched", "animate.sample.steps=1")
    stage = make_stage(folder, folder / "dataset", *overrides)
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

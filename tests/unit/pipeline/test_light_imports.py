"""Commands that decide over tables start without the libraries of pictures and networks."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = (
    *("av", "cv2", "deepspeed", "diffusers", "numba", "ray", "scenedetect", "scipy", "torch"),
    "transformers",
)


@pytest.mark.parametrize(
    ("module", "own"),
    [
        ("pipeline.select_commands", ()),
        ("pipeline.jobs.select", ()),
        ("pipeline.jobs.duplicates", ("cv2", "numba", "scipy")),  # it compares hashes
    ],
)
def test_a_decision_loads_no_networks(module: str, own: tuple[str, ...]) -> None:
    """Importing a command's code leaves the heavy libraries alone, but for those it works with."""
    unwanted = [name for name in HEAVY if name not in own]
    check = f"import sys, {module}; print(*[name for name in {unwanted} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []

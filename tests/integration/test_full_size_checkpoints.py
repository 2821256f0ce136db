"""A release of full size comes in, loads and goes out with the network in memory at most once."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import torch

from training.champ.official_names import (
    MOTION_FILE,
    POSITIONS,
    POSITIONS_COPY,
    guidance_file,
    is_dead,
)
from training.champ.own_format import read_description
from training.champ.settings import NetworkSettings
from training.champ.weight_files import read_weights

KEYS = Path(__file__).parents[1] / "golden" / "official_parity" / "official_keys_sd15.json"
ENCODERS = "guidance_encoder_{depth,normal,semantic_map,dwpose}.pth"
LOAD = "from pathlib import Path; from training.champ.checkpoints import load; n = load(Path({!r}))"
NEEDED_DISK = 30e9
NEEDED_MEMORY = 14e9
LIBRARIES = 1.0e9  # what the process takes before it holds any weight


@dataclass(frozen=True, slots=True)
class Run:
    """Seconds of a process, and bytes it held at most: its own, and mapped files besides."""

    seconds: float
    own: int
    resident: int

    def __str__(self) -> str:
        return (
            f"{self.seconds:.0f} s, {self.own / 1e9:.2f} GB of its own, "
            f"{self.resident / 1e9:.2f} GB with mapped files"
        )


def write_release(folder: Path) -> None:
    """The seven files with every released name and shape in float16, the dead ones too."""
    keys = json.loads(KEYS.read_text())
    encoders = keys.pop(ENCODERS)
    keys |= {guidance_file(name): encoders for name in NetworkSettings().maps}
    generator = torch.Generator().manual_seed(0)
    folder.mkdir(parents=True)
    for file, shapes in keys.items():
        weights = {
            name: torch.empty(shape, dtype=torch.float16).uniform_(-1, 1, generator=generator)
            for name, shape in shapes.items()
        }
        for name in weights if file == MOTION_FILE else ():
            if name.endswith(POSITIONS_COPY):
                weights[name] = weights[name.replace(POSITIONS_COPY, POSITIONS)].clone()
        torch.save(weights, folder / file)


def watched(*arguments: str) -> Run:
    """Run Python, and look at its memory twenty times a second."""
    started = time.monotonic()
    process = subprocess.Popen([sys.executable, *arguments])
    seen, own, resident = psutil.Process(process.pid), 0, 0
    while process.poll() is None:
        try:
            memory = seen.memory_info()
        except psutil.NoSuchProcess:
            break
        own, resident = max(own, memory.rss - memory.shared), max(resident, memory.rss)
        time.sleep(0.05)
    assert process.wait() == 0
    return Run(time.monotonic() - started, own, resident)


@pytest.mark.slow
def test_full_size(tmp_path: Path) -> None:
    """Import, load and export of Stable Diffusion 1.5's sizes (4.3 GB in float16): neither holds
    more memory of its own than the network as it is made, and all weights come out as they were."""
    if shutil.disk_usage(tmp_path).free < NEEDED_DISK:
        pytest.skip(f"needs {NEEDED_DISK / 1e9:.0f} GB of free disk")
    if psutil.virtual_memory().available < NEEDED_MEMORY:
        pytest.skip(f"needs {NEEDED_MEMORY / 1e9:.0f} GB of free memory")
    write_release(tmp_path / "official")
    ours, out = tmp_path / "ours", tmp_path / "out"
    cli = ("-m", "pipeline.cli", "checkpoint")
    planned = watched(*cli, "import", str(tmp_path / "official"), str(ours), "--dry-run")
    imported = watched(*cli, "import", str(tmp_path / "official"), str(ours))
    loaded = watched("-c", LOAD.format(str(ours)))
    exported = watched(*cli, "export", str(ours), str(out), "--layout", "official")
    for name, run in (("dry run", planned), ("import", imported), ("load", loaded)):
        print(f"{name}: {run}")
    print(f"export: {exported}")
    size = sum(file.bytes for file in read_description(ours).files.values())
    assert 4.2e9 < size < 4.4e9
    assert planned.own < LIBRARIES + 0.1e9
    assert imported.own < LIBRARIES + 0.1 * size  # it goes from map to file
    assert loaded.own < LIBRARIES + 2 * size * 1.02  # the network in float32, once
    assert exported.own < LIBRARIES + 0.5 * size
    for path in sorted((tmp_path / "official").iterdir()):
        assert_same_used(path, out / "champ" / path.name)


def assert_same_used(first: Path, second: Path) -> None:
    """The same names and bits, but for those that the official code never runs."""
    theirs, ours = read_weights(first), read_weights(second)
    used = {n: w for n, w in theirs.items() if not is_dead(first.name, n, NetworkSettings())}
    assert used.keys() == ours.keys()
    assert all(torch.equal(value, ours[name]) for name, value in used.items())

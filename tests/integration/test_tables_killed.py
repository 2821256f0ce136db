"""A writer that is killed at any moment and started again loses nothing and doubles nothing."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from dataset.outcomes import finished_keys
from dataset.tables import live_files, read_row, read_table, sweep_orphans

REPOSITORY = Path(__file__).resolve().parents[2]
WRITER = """
import sys
from pathlib import Path
from dataset.outcomes import Outcome, append_outcomes, finished_keys
from dataset.tables import commit, read_table, write_shard

root, items = Path(sys.argv[1]), int(sys.argv[2])
done = set(read_table(root, "guidance", columns=["clip_id"], recipe="r").column(0).to_pylist())
told = finished_keys(root, "render", "r")
outcome = lambda key: Outcome(key=key, job="render", recipe="r", status="ok")
append_outcomes(root, [outcome(key) for key in sorted(done - told)])
for index in range(0, items, 2):
    keys = [f"clip-{i:04d}" for i in (index, index + 1) if f"clip-{i:04d}" not in done]
    if not keys:
        continue
    rows = ({"clip_id": key, "recipe": "r", "rgb": key.encode() * 20_000} for key in keys)
    shard = write_shard(root, "guidance", rows, name="-".join(keys))
    commit(root, "guidance", [shard], app=f"render-{keys[0]}")
    append_outcomes(root, [outcome(key) for key in keys])
    print(*keys, flush=True)
"""


def start(root: Path, items: int) -> subprocess.Popen[bytes]:
    """The writer, in a process of its own; it continues where the tables say."""
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(root), str(items)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def kill_after(process: subprocess.Popen[bytes], batches: int, seconds: float) -> set[str]:
    """Kill -9 some time after that many batches were acknowledged; the acknowledged keys."""
    assert process.stdout is not None
    acknowledged: set[str] = set()
    for line in process.stdout:
        acknowledged.update(line.decode().split())
        batches -= 1
        if batches <= 0:
            time.sleep(seconds)
            process.send_signal(signal.SIGKILL)
            break
    # What had been said before the kill still counts.
    acknowledged.update(process.stdout.read().decode().split())
    process.stdout.close()
    process.wait()
    return acknowledged


def check(root: Path, acknowledged: set[str]) -> None:
    """Nothing acknowledged is missing, nothing is there twice, every file is whole."""
    stored = Counter(read_table(root, "guidance").column("clip_id").to_pylist())
    assert acknowledged <= set(stored)
    assert set(stored.values()) <= {1}
    assert sum(pq.read_metadata(path).num_rows for path in live_files(root, "guidance")) == len(
        stored
    )


def run_schedule(root: Path, *, kills: int, items: int, seed: int) -> None:
    """Kill at random moments, then let the writer finish and compare with what it was to write."""
    chance = random.Random(seed)
    acknowledged: set[str] = set()
    for _ in range(kills):
        process = start(root, items)
        acknowledged |= kill_after(process, chance.randint(1, 4), chance.uniform(0.0, 0.05))
        check(root, acknowledged)
    last = start(root, items)
    assert last.communicate()[0] is not None
    assert last.returncode == 0
    keys = {f"clip-{i:04d}" for i in range(items)}
    check(root, keys)
    assert finished_keys(root, "render", "r") == keys
    for key in chance.sample(sorted(keys), 5):
        assert read_row(root, "guidance", key, columns=["rgb"])["rgb"] == key.encode() * 20_000
    sweep_orphans(root, "guidance", older_than_seconds=0)
    on_disk = sorted((root / "guidance").glob("*.parquet"))
    assert on_disk == live_files(root, "guidance")


def test_a_killed_writer_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """Three kills -9 at random moments of write and commit, then a run to the end."""
    run_schedule(tmp_path, kills=3, items=40, seed=7)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_many_kills_lose_and_double_nothing(tmp_path: Path, seed: int) -> None:
    """Twenty kills -9 in a row, five times over."""
    run_schedule(tmp_path, kills=20, items=200, seed=seed)

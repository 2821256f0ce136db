"""What Ray costs and what it brings: the same items in this process, on one worker, on two.

    python -m benchmarks.ray_overhead --items 40

An item is about a second of sorting in one thread, sized on this machine when it starts. Walls are
those of whole jobs, with the start of their workers and their commits; the start of Ray itself is
printed beside them. One worker against none is the overhead, two against one the speed-up.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.job import RunOptions, run_job
from pipeline.runner import ray_session
from pipeline.settings import JobSettings
from pipeline.stage import StageSpec

NUMBERS = np.random.default_rng(0).random(200_000)  # 1.6 MB: the work is the core's alone


class SortingStage:
    """Sorts the same numbers so many times an item."""

    name = "sorting"
    version = 1
    cpus = 1.0
    gpus = 0.0

    def __init__(self, rounds: int) -> None:
        self.rounds = rounds

    def load(self) -> None:
        """Nothing to load."""

    def process(self, item: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """One row, after the work."""
        _work(self.rounds)
        yield {"clip_id": item["clip_id"], "source_id": "benchmark", "selected": True}


def measure(items: int, seconds: float, rounds: int) -> dict[str, float]:
    """Walls in seconds of the three jobs, the least of some rounds in turn, and their ratios."""
    work = _rounds_of(seconds)
    started = time.monotonic()
    with ray_session(None):
        start = time.monotonic() - started
        walls = [
            [_wall(items, work, workers=workers) for workers in (0, 1, 2)] for _ in range(rounds)
        ]
    in_process, one_worker, two_workers = (min(column) for column in zip(*walls, strict=True))
    return {
        "items": items,
        "item_seconds": in_process / items,
        "in_process": in_process,
        "one_worker": one_worker,
        "two_workers": two_workers,
        "ray_start": start,
        "overhead_percent": 100 * (one_worker / in_process - 1),
        "speed_up": one_worker / two_workers,
    }


def _wall(items: int, rounds: int, *, workers: int) -> float:
    """Seconds of a job; no workers: in this process."""
    with tempfile.TemporaryDirectory(prefix="ray-overhead-") as folder:
        spec = StageSpec(
            make=partial(SortingStage, rounds),
            job="sorting",
            table="selection",
            key="clip_id",
            root=Path(folder),
            recipe="r1",
        )
        rows = [{"clip_id": f"k{number:04}"} for number in range(items)]
        settings = JobSettings(workers=workers, items_per_shard=4)
        options = RunOptions(settings=settings, in_process=workers == 0, quiet=True)
        started = time.monotonic()
        summary = run_job(spec, rows, options)
        if summary.statuses != {"ok": items}:
            raise RuntimeError(f"{items} items should be ok, got {summary}")
        return time.monotonic() - started


def _rounds_of(seconds: float) -> int:
    _work(3)
    started = time.monotonic()
    _work(50)
    return max(1, round(50 * seconds / (time.monotonic() - started)))


def _work(rounds: int) -> None:
    for _ in range(rounds):
        np.sort(NUMBERS)


def main() -> None:
    """Print the walls and ratios, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=1.0, help="of work an item")
    parser.add_argument("--rounds", type=int, default=2, help="the least wall of so many counts")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    found = measure(arguments.items, arguments.seconds, arguments.rounds)
    if arguments.json:
        print(json.dumps(found))
        return
    for name in ("in_process", "one_worker", "two_workers", "ray_start"):
        print(f"{name:12} {found[name]:7.1f} s")
    print(f"{arguments.items} items of {found['item_seconds']:.2f} s")
    print(f"Ray's overhead {found['overhead_percent']:+.1f} %   (goal: at most 5 %)")
    print(f"1 to 2 workers {found['speed_up']:.2f}x       (goal: at least 1.6x)")


if __name__ == "__main__":
    main()

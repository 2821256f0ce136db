"""What Ray costs and what it brings: the same items in this process, on one worker, on two.

    python -m benchmarks.ray_overhead --items 100

An item is about a second of sorting in one thread, sized on this machine when it starts. Walls are
those of whole jobs, with the start of their workers and their commits; the start of Ray itself is
printed beside them. One worker against none is the overhead, two against one the speed-up. Other
work on the machine makes items longer in one job and not in another; what it hardly touches is the
part of a job's wall that is not spent inside an item, so that is printed too.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from dataset.outcomes import read_outcomes
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


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds of a job, and those of them that its one worker spent inside items."""

    wall: float
    inside: float


def measure(items: int, seconds: float, rounds: int) -> dict[str, float]:
    """Seconds of the three jobs, of the round with the least wall, and their ratios."""
    work = _rounds_of(seconds)
    started = time.monotonic()
    with ray_session(None):
        start = time.monotonic() - started
        jobs = [[_job(items, work, workers=count) for count in (0, 1, 2)] for _ in range(rounds)]
    none, one, two = (min(column, key=lambda took: took.wall) for column in zip(*jobs, strict=True))
    return {
        "items": items,
        "item_seconds": none.inside / items,
        "in_process": none.wall,
        "one_worker": one.wall,
        "two_workers": two.wall,
        "in_process_outside": none.wall - none.inside,
        "one_worker_outside": one.wall - one.inside,
        "ray_start": start,
        "overhead_percent": 100 * (one.wall / none.wall - 1),
        "outside_percent": 100
        * ((one.wall - one.inside) - (none.wall - none.inside))
        / none.inside,
        "speed_up": one.wall / two.wall,
    }


def _job(items: int, rounds: int, *, workers: int) -> Took:
    """No workers: in this process."""
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
        wall = time.monotonic() - started
        if summary.statuses != {"ok": items}:
            raise RuntimeError(f"{items} items should be ok, got {summary}")
        return Took(wall, sum(row.seconds for row in read_outcomes(spec.root, spec.job)))


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
    parser.add_argument("--items", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=1.0, help="of work an item")
    parser.add_argument("--rounds", type=int, default=1, help="the least wall of so many counts")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    found = measure(arguments.items, arguments.seconds, arguments.rounds)
    if arguments.json:
        print(json.dumps(found))
        return
    for name in ("in_process", "one_worker", "two_workers", "ray_start"):
        outside = found.get(f"{name}_outside")
        beside = "" if outside is None else f", {outside:.2f} s of it outside the items"
        print(f"{name:12} {found[name]:7.1f} s{beside}")
    print(f"{arguments.items} items of {found['item_seconds']:.2f} s")
    print(f"Ray's overhead by walls       {found['overhead_percent']:+.1f} %  (goal: at most 5 %)")
    print(f"Ray's overhead outside items  {found['outside_percent']:+.1f} %")
    print(f"1 to 2 workers                {found['speed_up']:.2f}x  (goal: at least 1.6x)")


if __name__ == "__main__":
    main()

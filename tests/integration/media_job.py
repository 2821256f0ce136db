"""A small job whose clips' bytes follow from their names, so that every stored one can be checked.

``python -m tests.integration.media_job ROOT ITEMS SECONDS LOG [ray]`` runs it to its end.
"""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from deltalake import DeltaTable

from dataset.errors import ItemError
from dataset.object_store import client_options
from dataset.outcomes import read_outcomes
from dataset.storage import Location, files_in, location, parquet_source
from dataset.tables import live_files, read_table, sweep_orphans
from pipeline.job import RunOptions, run_job
from pipeline.settings import JobSettings
from pipeline.stage import StageSpec

RECIPE = "r1"


class MediaStage:
    """Yields a row of ``guidance`` for each item, and writes down that it took it up."""

    name = "media"
    version = 1
    cpus = 1.0
    gpus = 0.0

    def __init__(self, seconds: float, log: Path) -> None:
        self.seconds, self.log = seconds, log

    def load(self) -> None:
        pass

    def process(self, item: dict[str, Any]) -> Iterator[dict[str, Any]]:
        with self.log.open("a") as handle:
            handle.write(f"{item['clip_id']}\n")
        time.sleep(self.seconds)
        if item["clip_id"].endswith("7"):
            raise ItemError("test.seven", "sevens are not wanted", status="rejected")
        yield {"clip_id": item["clip_id"], "source_id": "s", "rgb": media(item["clip_id"])}


def media(name: str) -> bytes:
    """64 KiB that nobody else has."""
    return hashlib.sha256(name.encode()).digest() * 2048


def names(items: int) -> list[str]:
    """The items of the job."""
    return [f"clip-{number:03d}" for number in range(items)]


def run(root: Location, items: int, log: Path, *, seconds: float = 0.0, ray: bool = False) -> None:
    """Run the job, an item a shard, each committed as it comes."""
    spec = StageSpec(
        make=partial(MediaStage, seconds, log),
        job="media",
        table="guidance",
        key="clip_id",
        root=root,
        recipe=RECIPE,
    )
    settings = JobSettings(commit_seconds=0, workers=2)
    options = RunOptions(settings=settings, in_process=not ray, quiet=True)
    run_job(spec, [{"clip_id": name} for name in names(items)], options)


def check_valid(root: Location) -> set[str]:
    """The table opens, also for another reader, and holds every row once; the clips it has."""
    rows = read_table(root, "guidance", columns=["clip_id", "rgb"]).to_pylist()
    stored = [row["clip_id"] for row in rows]
    assert len(stored) == len(set(stored))
    for row in rows:
        expected = hashlib.sha256(media(row["clip_id"])).digest()
        assert hashlib.sha256(row["rgb"]).digest() == expected, row["clip_id"]
    if stored:
        other = DeltaTable(str(root / "guidance"), storage_options=client_options())
        assert other.count() == len(stored)
    return set(stored)


def check_complete(root: Location, items: int) -> None:
    """Every clip is there once with its bytes, every item has its outcome, no orphan is read."""
    wanted = {name for name in names(items) if not name.endswith("7")}
    assert check_valid(root) == wanted
    newest = {row.key: row.status for row in read_outcomes(root, "media", RECIPE)}
    expected = {name: "ok" if name in wanted else "rejected" for name in names(items)}
    assert newest == expected
    for table in ("guidance", "outcomes"):
        sweep_orphans(root, table, older_than_seconds=-60)
        live = live_files(root, table)
        assert [file.path for file in files_in(root / table)] == list(live)
        for path in live:
            assert pq.read_metadata(parquet_source(path)).num_rows > 0


if __name__ == "__main__":
    where, count, pause, taken = sys.argv[1:5]
    run(location(where), int(count), Path(taken), seconds=float(pause), ray="ray" in sys.argv[5:])

"""A manifest of short videos through fetch, curate and select on Ray, in bounded memory.

    python -m benchmarks.curation_job --media FOLDER --videos 300

The videos are cuts and re-encodings of the media (benchmarks/short_videos.py), made once and kept
in the work folder. Printed: walls and frames per second of each stage, what became of the videos,
and the most memory that the driver, the largest worker, the largest decoding process and all
workers with their decoders held, by tenths of each stage.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from benchmarks.memory_watch import memory_now, peaks
from benchmarks.short_videos import make_short_videos, write_manifest
from dataset.outcomes import read_outcomes
from dataset.tables import read_table
from pipeline.config import load_config
from pipeline.demo_memory import sampled
from pipeline.job import JobSummary, RunOptions
from pipeline.jobs.curate import curate
from pipeline.jobs.fetch import fetch
from pipeline.workspace import Workspace

MEMORY_PARTS = 10


def run(manifest: Path, root: Path, settings: list[str]) -> dict[str, Any]:
    """What the stages took and made of the manifest, in an empty dataset folder."""
    config = load_config(None, settings)
    workspace = Workspace(root=root, config=config, options=RunOptions(settings=config.job))
    stages = {
        "fetch": _stage(lambda: fetch(workspace, manifest)),
        "curate": _stage(lambda: curate(workspace)),
    }
    videos = read_table(root, "videos", columns=["duration_seconds", "frames"])
    frames = {
        "fetch": sum(videos["frames"].to_pylist()),
        "curate": config.curate.fps * sum(videos["duration_seconds"].to_pylist()),
    }
    for name, stage in stages.items():
        stage["frames_per_second"] = frames[name] / stage["seconds"]
        outcomes = (row.reason or row.status for row in read_outcomes(root, name))
        stage["outcomes"] = dict(Counter(outcomes).most_common())
    selection = read_table(root, "selection", columns=["selected"])
    chosen = selection.filter(pc.field("selected")).num_rows
    return stages | {"clips": selection.num_rows, "selected": chosen}


def _stage(job: Callable[[], JobSummary]) -> dict[str, Any]:
    with sampled(memory_now, every_seconds=0.5) as samples:
        summary = job()
    memory = [asdict(peak) for peak in peaks(samples, MEMORY_PARTS)]
    return {"items": summary.items, "seconds": summary.seconds, "memory_mb": memory}


def _print(found: dict[str, Any]) -> None:
    for name in ("fetch", "curate"):
        stage = found[name]
        print(
            f"{name}: {stage['items']} videos in {stage['seconds']:.0f} s, "
            f"{stage['frames_per_second']:.0f} frames/s; outcomes {stage['outcomes']}, "
            f"{sum(stage['outcomes'].values())} in all"
        )
        print("  MB by tenths of the time")
        for part in stage["memory_mb"][0] if stage["memory_mb"] else ():
            line = " ".join(f"{peak[part]:6.0f}" for peak in stage["memory_mb"])
            print(f"  {part:12}{line}")
    print(f"select: {found['selected']} of {found['clips']} clips")


def main() -> None:
    """Make the videos, run the jobs, print what they took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--media", type=Path, required=True, help="folder of sample videos")
    parser.add_argument("--videos", type=int, default=300)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "curation-job")
    parser.add_argument("--set", action="append", default=[], help="section.key=value")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    paths = make_short_videos(arguments.media, arguments.work / "videos", arguments.videos)
    root = arguments.work / "dataset"
    shutil.rmtree(root, ignore_errors=True)
    found = run(write_manifest(paths, arguments.work), root, arguments.set)
    if arguments.json:
        print(json.dumps(found))
    else:
        _print(found)


if __name__ == "__main__":
    main()

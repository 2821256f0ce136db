"""How long a new decision over many scored clips takes, with quotas and copies.

    python -m benchmarks.selection [--clips 100000] [--folder FOLDER] [--json]

A dataset is made in a temporary folder: a row a clip with boxes and hashes as large as real ones,
in shards of a thousand clips. Then every clip is decided over twice, by ``champ select`` as a
process of its own (``command``: with starting Python and loading the libraries) and in this
process (``job``). Other thresholds are used each time, so that nothing is there already.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dataset.tables import commit, write_shard
from pipeline.config import Config, load_config
from pipeline.job import RunOptions
from pipeline.jobs.duplicates import duplicates
from pipeline.jobs.select import select
from pipeline.recipes import curate_recipe, fetch_recipe
from pipeline.workspace import Workspace

CLIPS_A_SHARD = 1000
CLIPS_A_VIDEO = 5
FRAMES = 300
PLATFORMS = ("bilibili", "kuaishou", "tiktok", "youtube", "xiaohongshu")
SHARES = (
    "track_coverage",
    "keypoint_confidence",
    "person_share",
    "full_body_share",
    "upper_body_share",
)
MIX = "select.quotas={platform: {bilibili: 2540, kuaishou: 920, tiktok+youtube: 1438}}"


def make_dataset(root: Path, clips: int) -> None:
    """Videos and their scored clips; copies are every tenth clip, of another video."""
    config = Config()
    videos = [
        {
            "source_id": f"v{number:07d}",
            "content_sha256": f"{number:064x}",
            "platform": PLATFORMS[number % len(PLATFORMS)],
            "recipe": fetch_recipe(config),
        }
        for number in range(-(-clips // CLIPS_A_VIDEO))
    ]
    commit(root, "videos", [write_shard(root, "videos", videos, name="videos")], app="videos")
    random = np.random.default_rng(0)
    recipe = curate_recipe(config)
    shards = [
        write_shard(
            root,
            "clips",
            _clips(random, recipe, start, min(start + CLIPS_A_SHARD, clips)),
            name=f"clips-{start:08d}",
        )
        for start in range(0, clips, CLIPS_A_SHARD)
    ]
    commit(root, "clips", shards, app="clips")


def _clips(
    random: np.random.Generator, recipe: str, start: int, end: int
) -> Iterator[dict[str, Any]]:
    hashes = b""
    for number in range(start, end):
        if number % 10 != 9:
            hashes = random.bytes(8 * FRAMES // 10)
        yield {
            "clip_id": f"v{number // CLIPS_A_VIDEO:07d}-{number:09d}",
            "source_id": f"v{(number // CLIPS_A_VIDEO + (number % 10 == 9)):07d}",
            "start_seconds": 0.0,
            "end_seconds": 10.0,
            "fps": 30.0,
            "frames": FRAMES,
            "width": 1280,
            "height": 720,
            "boxes": random.random(4 * FRAMES, np.float32),
            "framing": "full_body",
            "frame_hashes": hashes,
            "sharpness": float(random.uniform(10, 500)),
            "motion": float(random.uniform(0, 1)),
            "second_person_share": 0.0,
            "effective_fps": 30.0,
            **{name: float(random.uniform(0.5, 1)) for name in SHARES},
            "recipe": recipe,
        }


def measure(root: Path, clips: int) -> dict[str, Any]:
    """Seconds of making the dataset, comparing its clips, and deciding over them."""
    seconds: dict[str, Any] = {"clips": clips}
    started = time.perf_counter()
    make_dataset(root, clips)
    seconds["make"] = time.perf_counter() - started
    options = RunOptions(quiet=True)
    seconds["duplicates"] = duplicates(Workspace(root=root, options=options)).seconds
    changed = load_config(None, ["select.min_person_share=0.1", MIX])
    summary = select(Workspace(root=root, config=changed, options=options))
    seconds |= {"job": summary.seconds, "statuses": summary.statuses}
    command = [sys.executable, "-m", "pipeline.cli", "select", str(root), "--set", MIX]
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    seconds["command"] = time.perf_counter() - started
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else "")
    parser.add_argument("--clips", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, help="Where the dataset is made; none: temporary")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        result = measure(Path(folder), options.clips)
    if options.json:
        print(json.dumps(result))
        return
    print(
        f"{result['clips']} clips decided over in {result['job']:.1f} s, "
        f"as a command in {result['command']:.1f} s (goal: 10 s): {result['statuses']}\n"
        f"  before that: made in {result['make']:.1f} s, compared in {result['duplicates']:.1f} s"
    )


if __name__ == "__main__":
    main()

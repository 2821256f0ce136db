"""How fast and how well people are found: times on one thread, and decisions on labelled footage.

    python -m benchmarks.people [--media FOLDER] [--json]

Times are of this process's CPU, so that a busy machine does not change them, on the sample videos
that the package index holds. With ``--media`` (a folder with ``index.csv``: columns ``file`` and
``cls``) every video there is curated and selected with the default settings, and counted by class.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from curation.curate import CurateStage
from curation.decisions import decide
from curation.people.mediapipe import MediaPipeDetector
from curation.people.settings import PeopleSettings
from curation.select import SelectSettings
from curation.settings import CurateSettings
from dataset.assets import asset_path
from dataset.errors import ItemError
from dataset.video import probe_video, read_frames

FRAMES = 30
SAMPLES = ("video/treadmill_cam03", "video/jumping_jacks")


def measure_speed(name: str) -> dict[str, float]:
    """CPU milliseconds a frame of one sample: all 133 points at full size, people at proxy size."""
    detector = MediaPipeDetector(PeopleSettings())
    path = asset_path(name)
    seconds = (FRAMES - 0.5) / 30
    frames = list(read_frames(path, fps=30.0, end_seconds=seconds))
    side = CurateSettings().proxy_size
    proxies = list(read_frames(path, fps=30.0, end_seconds=seconds, max_side=side))
    box = detector.find_people(frames[0])[0].box
    detector.keypoints(frames[:1], box[None])  # the first call prepares the networks
    start = time.process_time()
    detector.keypoints(frames, np.tile(box, (len(frames), 1)))
    points = time.process_time()
    for proxy in proxies[::3]:
        detector.find_people(proxy)
    end = time.process_time()
    return {
        "keypoints_ms": 1000 * (points - start) / len(frames),
        "find_people_ms": 1000 * (end - points) / len(proxies[::3]),
    }


def measure_decisions(folder: Path) -> dict[str, dict[str, int]]:
    """For every class of video: how many there are, gave candidates, and gave selected clips."""
    stage = CurateStage(CurateSettings(), PeopleSettings(), folder)
    stage.load()
    counts: dict[str, Counter[str]] = {}
    with (folder / "index.csv").open(newline="") as index:
        videos = [row for row in csv.DictReader(index) if float(row["fps"]) > 0]
    for video in videos:
        rows = _curated(stage, folder, video["file"])
        count = counts.setdefault(video["cls"], Counter(videos=0, candidates=0, selected=0))
        selected = sum(decide(row, SelectSettings())[0] for row in rows)
        count.update(videos=1, candidates=len(rows), selected=selected)
        count["videos_with_a_selected_clip"] += selected > 0
    return {name: dict(count) for name, count in sorted(counts.items())}


def _curated(stage: CurateStage, folder: Path, name: str) -> list[dict[str, Any]]:
    probe = probe_video(folder / name)
    item = {
        "source_id": name,
        "path": name,
        "width": probe.width,
        "height": probe.height,
        "fps": probe.fps,
    }
    try:
        return list(stage.process(item))
    except ItemError as error:
        if error.kind != "curate.no_person":
            raise
        return []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--media", type=Path, help="folder of labelled videos with index.csv")
    parser.add_argument("--json", action="store_true", help="one line of JSON and nothing else")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    result: dict[str, Any] = {"speed": {name: measure_speed(name) for name in SAMPLES}}
    if arguments.media:
        result["decisions"] = measure_decisions(arguments.media)
    if arguments.json:
        print(json.dumps(result))
        return
    for name, speed in result["speed"].items():
        print(f"{name}: {speed['keypoints_ms']:.0f} ms a frame for all points, ", end="")
        print(f"{speed['find_people_ms']:.0f} ms to search a frame for people")
    for name, count in result.get("decisions", {}).items():
        print(f"{name}: " + ", ".join(f"{key} {value}" for key, value in count.items()))


if __name__ == "__main__":
    main()

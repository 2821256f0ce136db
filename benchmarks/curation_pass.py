"""One pass of curation over a video without the search for people; run as a process to be timed.

    python -m benchmarks.curation_pass VIDEO [--no-scores] [--again]

Prints one line of JSON: shots, frames, sampled frames, seconds, CPU seconds by stage, peak memory.
With ``--again`` they are of a second pass, as in a worker that has been running for a while.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from pathlib import Path
from typing import Any

import cv2
import psutil

from curation.scores.meter import Meter
from curation.settings import CurateSettings, ShotSettings
from curation.shots import ShotFinder
from dataset.video import read_frames


def curation_pass(path: Path, *, scores: bool) -> dict[str, Any]:
    """Every frame goes through the shot finder, every third is handed on (or measured)."""
    settings = CurateSettings()
    finder = ShotFinder(ShotSettings(), fps=settings.fps)
    meter = Meter(fps=settings.fps, stride=settings.detect_every)
    seconds = {"shots": 0.0, "scores": 0.0}
    count = sampled = 0
    began, start_of_pass, decoded = time.process_time(), time.perf_counter(), _cpu_seconds()
    for count, frame in enumerate(
        read_frames(path, fps=settings.fps, max_side=settings.proxy_size), 1
    ):
        start = time.process_time()
        finder.add(frame)
        seconds["shots"] += time.process_time() - start
        looked_at = (count - 1) % settings.detect_every == 0
        sampled += looked_at
        if scores:
            start = time.process_time()
            meter.add(frame)
            if looked_at:
                meter.look(count - 1, frame, [])
            seconds["scores"] += time.process_time() - start
    seconds["hand over"] = time.process_time() - began - sum(seconds.values())
    children = psutil.Process().children(recursive=True)
    seconds["decode"] = _cpu_seconds() - decoded
    return {
        "seconds": time.perf_counter() - start_of_pass,
        "shots": finder.shots(),
        "frames": count,
        "sampled": sampled,
        "cpu_seconds": seconds,
        "peak_mb": _peak_mb(psutil.Process()),
        "decoder_peak_mb": sum(_peak_mb(child) for child in children),
    }


def _cpu_seconds() -> float:
    """Of all child processes so far: the decoder."""
    times = [child.cpu_times() for child in psutil.Process().children(recursive=True)]
    return sum(one.user + one.system for one in times)


def _peak_mb(process: psutil.Process) -> float:
    status = Path(f"/proc/{process.pid}/status").read_text()
    peak = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(peak.group(1)) / 1024 if peak else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("video", type=Path)
    parser.add_argument("--no-scores", action="store_true", help="shots and sampled frames alone")
    parser.add_argument("--again", action="store_true", help="pass over it twice")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    if arguments.again:
        curation_pass(arguments.video, scores=not arguments.no_scores)
    print(json.dumps(curation_pass(arguments.video, scores=not arguments.no_scores)))


if __name__ == "__main__":
    main()

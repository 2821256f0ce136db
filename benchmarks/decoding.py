"""Decoding in the supervised child process against the same decoding in this process.

``python -m benchmarks.decoding [VIDEO...]`` prints frames a second and the ratio, at the size that
curation looks at and at full size. Without arguments it writes a 1080p film of moving noise.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import psutil

from dataset.decoding import Wanted, decoded_pictures
from dataset.video import read_frames, write_playable

_THREADS = int(os.environ.get("OMP_NUM_THREADS", "1"))
_ROUNDS = 5


def moving_noise(frames: int) -> Iterator[np.ndarray]:
    """1080p pictures of coarse noise that moves: about 8 Mbit/s of H.264."""
    random = np.random.default_rng(0)
    wide = cv2.resize(random.integers(0, 255, (68, 160, 3), np.uint8), (2560, 1088))
    for number in range(frames):
        yield wide[:1080, 4 * number : 4 * number + 1920]


def seconds_in_process(path: Path, side: int | None) -> tuple[int, float]:
    """Decode here, keeping each picture as the child's reader does; frames and seconds."""
    started, count = time.perf_counter(), 0
    with path.open("rb") as file:
        wanted = Wanted(max_side=side)
        for _, picture in decoded_pictures(
            file.fileno(), path.name, wanted, threads=_THREADS, alive=lambda: None
        ):
            np.ascontiguousarray(picture).sum(dtype=np.int64)
            count += 1
    return count, time.perf_counter() - started


def seconds_in_child(path: Path, side: int | None) -> tuple[int, float]:
    """Decode in the child; frames and seconds."""
    started, count = time.perf_counter(), 0
    for picture in read_frames(path, max_side=side):
        picture.sum(dtype=np.int64)
        count += 1
    return count, time.perf_counter() - started


def cpu_seconds() -> float:
    """CPU time of this process and of the decoders it runs."""
    here = psutil.Process()
    return sum(sum(process.cpu_times()[:2]) for process in (here, *here.children()))


def compare(path: Path) -> None:
    """Print a line for each size; the rounds of both alternate, the least of each counts."""
    for side in (960, None):
        walls: dict[str, list[float]] = {"here": [], "child": []}
        costs: dict[str, list[float]] = {"here": [], "child": []}
        counts: set[int] = set()
        for _ in range(_ROUNDS + 1):  # the first is not counted: the child starts
            for name, measure in (("here", seconds_in_process), ("child", seconds_in_child)):
                before = cpu_seconds()
                frames, seconds = measure(path, side)
                walls[name].append(seconds)
                costs[name].append(cpu_seconds() - before)
                counts.add(frames)
        if len(counts) != 1:
            raise AssertionError(f"{path}: the numbers of frames differ: {counts}")
        frames = counts.pop()
        wall = {name: min(seconds[1:]) for name, seconds in walls.items()}
        cost = {name: min(seconds[1:]) for name, seconds in costs.items()}
        print(
            f"{path.name} at {side or 'full size'}: in process {frames / wall['here']:.0f} "
            f"frames/s, child {frames / wall['child']:.0f} frames/s; child/in process: wall time "
            f"{wall['child'] / wall['here']:.2f}, CPU time of both "
            f"{cost['child'] / cost['here']:.2f} "
            f"({_THREADS} decoder threads, least of {_ROUNDS})"
        )


def main() -> None:
    """Compare on the videos named, else on one made here."""
    if sys.argv[1:]:
        for name in sys.argv[1:]:
            compare(Path(name))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "noise_1080p.mp4"
        write_playable(path, moving_noise(150), fps=30.0)
        compare(path)


if __name__ == "__main__":
    main()

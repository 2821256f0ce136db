"""What each score costs beside the search for people, on one thread.

    python -m benchmarks.scores [VIDEO] [--seconds N] [--json]

Frames of a video are decoded at proxy size first; then people are searched in every third one as
`champ curate` does, and each score is measured as often as the job measures it. Times are of this
process's processor, in milliseconds per frame of video; the last column is relative to the search.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from curation.duplicates.hashing import HASHES_PER_SECOND, frame_hash
from curation.people.appearance import appearance
from curation.people.detector import PersonBox
from curation.people.mediapipe import MediaPipeDetector
from curation.people.settings import PeopleSettings
from curation.scores import cartoon, overlay, text
from curation.scores.blockiness import blockiness
from curation.scores.borders import find_borders
from curation.scores.camera import follow
from curation.scores.clip import picture_scores
from curation.scores.exposure import exposure
from curation.scores.flow import flow_speed
from curation.scores.meter import Meter, fitted
from curation.scores.sharpness import sharpness
from curation.scores.slow_motion import blend_residual
from curation.scores.stillness import picture_change
from curation.settings import CurateSettings
from dataset.assets import asset_path
from dataset.video import read_frames

DEFAULT_VIDEO = "video/jumping_jacks"


def search(frames: list[np.ndarray], stride: int) -> tuple[float, dict[int, list[PersonBox]]]:
    """Processor seconds for the looked-at frames, and who is in each."""
    detector = MediaPipeDetector(PeopleSettings())
    detector.find_people(frames[0])  # the first call prepares the networks
    people: dict[int, list[PersonBox]] = {}
    before: list[PersonBox] = []
    begun = time.process_time()
    for number in range(0, len(frames), stride):
        before = people[number] = detector.find_people(frames[number], before)
    return time.process_time() - begun, people


def measure_all(
    frames: list[np.ndarray], people: dict[int, list[PersonBox]], settings: CurateSettings
) -> float:
    """Processor seconds of all there is besides the search: the meter, people, a clip's row."""
    begun = time.process_time()
    meter = Meter(fps=settings.fps, stride=settings.detect_every)
    for number, frame in enumerate(frames):
        meter.add(frame)
        if number in people:
            meter.look(number, frame, people[number])
            for person in people[number]:
                sharpness(frame, person.box)
                appearance(frame, person)
    picture_scores(meter.measures(), 0, len(frames), fps=settings.fps, source_fps=settings.fps)
    return time.process_time() - begun


def measure_each(
    frames: list[np.ndarray], people: dict[int, list[PersonBox]], settings: CurateSettings
) -> dict[str, float]:
    """Milliseconds per frame of video for each score alone, at the rate it is measured."""
    greys = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    looks = list(people)
    small = {number: fitted(greys[number], 320) for number in looks}
    pairs = list(pairwise(looks))
    scale = 320 / max(greys[0].shape)
    boxes = {n: [one.box * np.float32(scale) for one in found] for n, found in people.items()}
    motions = {
        pair: follow(small[pair[0]], small[pair[1]], boxes[pair[0]], seconds=0.1) for pair in pairs
    }
    half = [fitted(grey, 480) for grey in greys]
    rare = looks[:: round(0.5 * settings.fps / settings.detect_every)]
    hashed = range(0, len(frames), round(settings.fps / HASHES_PER_SECOND))
    whole = range(1, len(frames) - 1)
    runs: dict[str, list[Callable[[], object]]] = {
        "repeats, loops": [lambda n=n: _thumbnails(frames[n]) for n in whole],
        "slow motion": [lambda n=n: blend_residual(*half[n - 1 : n + 2]) for n in whole],
        "frame hash": [lambda n=n: frame_hash(frames[n]) for n in hashed],
        "exposure": [lambda n=n: exposure(greys[n]) for n in looks],
        "borders": [lambda n=n: find_borders(half[n]) for n in looks],
        "blockiness": [lambda n=n: blockiness(greys[n]) for n in looks],
        "camera": [
            lambda p=p: follow(small[p[0]], small[p[1]], boxes[p[0]], seconds=0.1) for p in pairs
        ],
        "flow": [lambda p=p: [flow_speed(motions[p], box) for box in boxes[p[1]]] for p in pairs],
        "stillness": [
            lambda p=p: picture_change(small[p[0]], small[p[1]], motions[p]) for p in pairs
        ],
        "sharpness": [
            lambda n=n: [sharpness(frames[n], one.box) for one in people[n]] for n in looks
        ],
        "appearance": [
            lambda n=n: [appearance(frames[n], one) for one in people[n]] for n in looks
        ],
        "text": [lambda n=n: text.text_share(fitted(greys[n], text.SIDE)) for n in rare],
        "overlay": [lambda n=n: overlay.edge_map(fitted(greys[n], overlay.SIDE)) for n in rare],
        "cartoon": [
            lambda n=n: cartoon.cartoon_features(fitted(frames[n], cartoon.SIDE)) for n in rare
        ],
    }
    return {name: 1000 * _seconds(calls) / len(frames) for name, calls in runs.items()}


def _thumbnails(frame: np.ndarray) -> np.ndarray:
    half = fitted(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), 480)
    return cv2.resize(half, (64, 64), interpolation=cv2.INTER_AREA).astype(np.float32)


def _seconds(calls: list[Callable[[], object]]) -> float:
    calls[0]()
    begun = time.process_time()
    for call in calls:
        call()
    return time.process_time() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("video", type=Path, nargs="?", help="default: a sample that is fetched")
    parser.add_argument("--seconds", type=float, default=4.0, help="how much of it")
    parser.add_argument("--json", action="store_true", help="one line of JSON and nothing else")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    settings = CurateSettings()
    path = arguments.video or asset_path(DEFAULT_VIDEO)
    frames = list(
        read_frames(
            path, fps=settings.fps, end_seconds=arguments.seconds, max_side=settings.proxy_size
        )
    )
    searched, people = search(frames, settings.detect_every)
    each = measure_each(frames, people, settings)
    total = 1000 * measure_all(frames, people, settings) / len(frames)
    per_frame = 1000 * searched / len(frames)
    if arguments.json:
        print(json.dumps({"search_ms": per_frame, "scores_ms": total, "each_ms": each}))
        return
    print(f"{len(frames)} frames of {frames[0].shape[1]} x {frames[0].shape[0]}, ms per frame")
    for name, cost in [("search for people", per_frame), *each.items(), ("all scores", total)]:
        print(f"{name:20} {cost:8.2f} {100 * cost / per_frame:7.1f} %")


if __name__ == "__main__":
    main()

"""Short videos for a job to work on: cuts and re-encodings of sample media, the same every time."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from dataset.video import probe_video, read_frames

FPS = 25
MEDIA = (".mp4", ".mkv", ".mov", ".webm")


def make_short_videos(media: Path, folder: Path, count: int, *, seed: int = 0) -> list[Path]:
    """H.264 cuts of 1 to 2 s and 320 to 480 pixels, dealt from every video of ``media`` in turn.

    What is in ``folder`` from an earlier call is kept; half are mirrored, all differ in length,
    size and rate factor.

    Raises:
        ValueError: No video of a second or more in ``media``.
    """
    sources = [path for path in sorted(media.iterdir()) if path.suffix in MEDIA]
    sources = [path for path in sources if probe_video(path).duration_seconds >= 1]
    if not sources:
        raise ValueError(f"expected videos of at least a second in {media}, found none")
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"short_{number:04d}.mp4" for number in range(count)]
    for first, source in enumerate(sources):
        mine = [path for path in paths[first :: len(sources)] if not path.is_file()]
        if mine:
            frames = list(read_frames(source, fps=FPS, max_side=480))
            for path in mine:
                _cut(frames, path, np.random.default_rng([seed, int(path.stem[-4:])]))
    return paths


def write_manifest(paths: Sequence[Path], folder: Path) -> Path:
    """A manifest of the files for ``champ fetch``."""
    target = folder / "short_videos.csv"
    with target.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["source_id", "path", "platform", "licence", "consent"])
        writer.writerows([path.stem, path, "local", "test media", "unknown"] for path in paths)
    return target


def _cut(frames: Sequence[np.ndarray], path: Path, dice: np.random.Generator) -> None:
    length = min(int(dice.integers(FPS, 2 * FPS + 1)), len(frames))
    start = int(dice.integers(0, len(frames) - length + 1))
    height, width = frames[0].shape[:2]
    scale = dice.integers(320, 481) / max(height, width)
    options = {"crf": str(dice.integers(18, 35)), "preset": "veryfast"}
    mirrored = bool(dice.integers(2))
    temporary = path.with_suffix(".part")
    with av.open(str(temporary), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(FPS), options=options)
        stream.width, stream.height = (2 * round(side * scale / 2) for side in (width, height))
        stream.pix_fmt = "yuv420p"
        for frame in itertools.islice(frames, start, start + length):
            picture = np.ascontiguousarray(frame[:, ::-1] if mirrored else frame)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    temporary.replace(path)

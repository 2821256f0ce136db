"""Our shard against the official folder: bytes of a clip, and the time to read a sample of it.

    python -m benchmarks.stream_reading --pictures FOLDER [--frames 120] [--json]

``FOLDER`` is a clip of at least 93 frames in the official layout (``images/ depth/ normal/
semantic_map/ dwpose/ mask/``); it is copied as OpenCV writes PNG by default, and its frames become
a row of a real ``guidance`` table. A sample is 24 frames of all six streams, every 4th or one after
the other, from anywhere. The folder is read as the official dataset reads it (PIL, three channels
each) and as fast as it can be (OpenCV, depth and mask as PNG of one channel); the shard as training
reads it (``read_row``, ``decode_stream``), a stream at a time, and with one ``read_row``, which the
ratios are against. Everything is in the page cache; times are the
processor's, all threads together, the shortest of several rounds.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from PIL import Image

from benchmarks.stream_clips import FOLDERS, Clip, read_folder, write_folder
from dataset.records import STREAM_NAMES
from dataset.streams import GREY_STREAMS, decode_stream, encode_stream, stream_channels
from dataset.tables import commit, read_row, write_shard

Sample = Mapping[str, np.ndarray | list[np.ndarray]]
Reader = Callable[[Sequence[int]], Sample]
FRAMES = 24
SPANS = {"every 4th": 4, "consecutive": 1}


def read_official(folder: Path, indices: Sequence[int]) -> Sample:
    """As the official dataset opens the pictures, before it crops and scales them."""
    sample = {}
    for name in STREAM_NAMES:
        files = [folder / FOLDERS[name] / f"{index:04d}.png" for index in indices]
        sample[name] = [np.asarray(Image.open(file).convert("RGB")) for file in files]
    return sample


def read_fastest(folder: Path, indices: Sequence[int]) -> Sample:
    """By OpenCV, each stream with the channels that it needs."""
    sample = {}
    for name in STREAM_NAMES:
        grey = name in GREY_STREAMS
        flag = cv2.IMREAD_GRAYSCALE if grey else cv2.IMREAD_COLOR_RGB
        files = [folder / FOLDERS[name] / f"{index:04d}.png" for index in indices]
        sample[name] = [np.asarray(cv2.imread(str(file), flag)) for file in files]
    return sample


def read_shard(root: Path, indices: Sequence[int]) -> Sample:
    """All streams of the row at once."""
    row = read_row(root, "guidance", "clip", recipe="benchmark", columns=STREAM_NAMES)
    return {
        name: decode_stream(row[name], indices, channels=stream_channels(name))
        for name in STREAM_NAMES
    }


def read_streams(root: Path, indices: Sequence[int]) -> Sample:
    """A stream at a time, as training does (``training.clips.read_frames_cut``)."""
    sample = {}
    for name in STREAM_NAMES:
        row = read_row(root, "guidance", "clip", recipe="benchmark", columns=[name])
        sample[name] = decode_stream(row[name], indices, channels=stream_channels(name))
    return sample


def write_dataset(root: Path, clip: Clip) -> dict[str, float]:
    """A ``guidance`` table with the clip as its row; KiB a frame of every stream."""
    frames, height, width = clip["mask"].shape[:3]
    streams = {name: encode_stream(clip[name], name=name, fps=30.0) for name in STREAM_NAMES}
    row = {"clip_id": "clip", "source_id": "benchmark", "recipe": "benchmark", "fps": 30.0}
    row |= {"frames": frames, "width": width, "height": height, **streams}
    commit(root, "guidance", [write_shard(root, "guidance", [row], name="part")], app="benchmark")
    return {name: len(data) / frames / 1024 for name, data in streams.items()}


def folder_sizes(folder: Path, frames: int) -> dict[str, float]:
    """KiB a frame of every stream, the files' contents alone."""
    return {
        name: sum(f.stat().st_size for f in (folder / FOLDERS[name]).iterdir()) / frames / 1024
        for name in STREAM_NAMES
    }


def read_milliseconds(read: Reader, frames: int, stride: int, rounds: int) -> float:
    """Processor time of a sample, the mean over its beginnings of the shortest of the rounds."""
    span = (FRAMES - 1) * stride + 1
    begins = np.linspace(0, frames - span, 4, dtype=int).tolist()
    times = np.empty((rounds, len(begins)))
    for round_ in range(rounds):
        for place, begin in enumerate(begins):
            began = time.process_time()
            read(range(begin, begin + span, stride))
            times[round_, place] = time.process_time() - began
    return float(times.min(0).mean() * 1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one way of keeping and reading the clip costs."""

    subject: str
    kib_per_frame: dict[str, float]  # by stream
    milliseconds: dict[str, float]  # by span

    def row(self, ours: Figures) -> str:
        """A line of the table, with the ratios to our figures."""
        total, base = sum(self.kib_per_frame.values()), sum(ours.kib_per_frame.values())
        cells = [self.subject, f"{total:.1f} ({total / base:.1f}x)"]
        for span, mine in ours.milliseconds.items():
            cells.append(f"{self.milliseconds[span]:.0f} ({self.milliseconds[span] / mine:.1f}x)")
        cells += [f"{size:.1f}" for size in self.kib_per_frame.values()]
        return f"| {' | '.join(cells)} |"


def compare(clip: Clip, rounds: int) -> list[Figures]:
    """The figures of the folder and of the shard, read in different ways; ours is the last."""
    frames = len(clip["mask"])
    with TemporaryDirectory() as name:
        root, official, grey = (Path(name) / part for part in ("dataset", "official", "grey"))
        write_folder(official, clip)
        write_folder(grey, clip, grey=GREY_STREAMS)
        ours = write_dataset(root, clip)
        theirs, smaller = folder_sizes(official, frames), folder_sizes(grey, frames)
        readers: dict[str, tuple[dict[str, float], Reader]] = {
            "folder, PIL": (theirs, lambda i: read_official(official, i)),
            "folder, OpenCV": (theirs, lambda i: read_fastest(official, i)),
            "folder with grey PNG, OpenCV": (smaller, lambda i: read_fastest(grey, i)),
            "shard, stream by stream": (ours, lambda i: read_streams(root, i)),
            "shard, the row at once": (ours, lambda i: read_shard(root, i)),
        }
        return [
            Figures(
                subject=subject,
                kib_per_frame=sizes,
                milliseconds={
                    span: read_milliseconds(read, frames, stride, rounds)
                    for span, stride in SPANS.items()
                },
            )
            for subject, (sizes, read) in readers.items()
        ]


def main() -> None:
    """Print the figures and the ratios, or with ``--json`` a line of JSON for each subject."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pictures", type=Path, required=True, help="a clip, official layout")
    parser.add_argument("--frames", type=int, default=120)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    figures = compare(read_folder(options.pictures, options.frames), options.rounds)
    if options.json:
        print("\n".join(json.dumps(asdict(each)) for each in figures))
        return
    head = ["kept and read", "KiB a frame", *(f"{span}, ms" for span in SPANS), *STREAM_NAMES]
    print(f"| {' | '.join(head)} |", "|---" * len(head) + "|", sep="\n")
    print(*(each.row(figures[-1]) for each in figures), sep="\n")


if __name__ == "__main__":
    main()

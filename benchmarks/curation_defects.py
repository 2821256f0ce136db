"""Footage with one known defect each: what a filter on pictures is to find, and what it is not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from benchmarks import curation_edits as edits
from benchmarks.curation_films import Film, write_film
from benchmarks.curation_labels import Half, Label
from benchmarks.curation_sources import Sources

_SECONDS = 3.0
_FPS = 30.0
_SIZE = 640
_LOOP = 36
_DEFAULT_CRF = 23

Edit = Callable[[edits.Frames], edits.Frames]


def _darkened(frames: edits.Frames) -> edits.Frames:
    return [(frame * 0.08).astype(np.uint8) for frame in frames]


def _overexposed(frames: edits.Frames) -> edits.Frames:
    return [np.clip(frame * 2.2 + 90.0, 0, 255).astype(np.uint8) for frame in frames]


def _repeated(frames: edits.Frames) -> edits.Frames:
    return [frames[index // 3 * 3] for index in range(len(frames))]


def _slowed(frames: edits.Frames) -> edits.Frames:
    """A third of the speed: two blends between any two pictures, as editors do it."""
    count = len(frames) // 3
    return [
        edits.blended(frames[index], frames[index + 1], step / 3)
        for index in range(count)
        for step in range(3)
    ]


def _looped(frames: edits.Frames) -> edits.Frames:
    return [frames[index % _LOOP] for index in range(len(frames))]


def _titled(frames: edits.Frames) -> edits.Frames:
    return edits.captioned(frames, "NEW EPISODE EVERY DAY", 0, len(frames))


def _swung(frames: edits.Frames) -> edits.Frames:
    """A camera that pans to and fro by a third of the picture every second and a half."""
    height, width = frames[0].shape[:2]
    x = 0.5 + 0.17 * np.sin(2 * np.pi * np.arange(len(frames)) / (1.5 * _FPS))
    path = np.stack([x, np.full(len(frames), 0.5), np.full(len(frames), 0.65)], axis=1)
    pairs = zip(frames, path, strict=True)
    return [edits.panned(frame, (width, height), at[None])[0] for frame, at in pairs]


def _coarse(frames: edits.Frames) -> edits.Frames:
    """What is left of a picture that was once sent as JPEG of the lowest quality."""
    result = []
    for frame in frames:
        _, data = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, 6])
        result.append(cv2.imdecode(data, cv2.IMREAD_COLOR))
    return result


DEFECTS: dict[str, tuple[Edit, str]] = {
    "plain": (lambda frames: frames, ""),
    "dark": (_darkened, "dark_share"),
    "bright": (_overexposed, "bright_share"),
    "blocky": (_coarse, "blockiness"),
    "repeated": (_repeated, "repeated_share"),
    "slowed": (_slowed, "slow_motion"),
    "looped": (_looped, "loop_seconds"),
    "titled": (_titled, "text_share"),
    "marked": (lambda frames: edits.watermarked(frames, "@champion"), "overlay_share"),
    "bordered": (lambda frames: edits.bordered(frames, 0.12), "border_share"),
    "swung": (_swung, "camera_motion"),
}
"""An edit, and the column of ``clips`` that is to tell it."""


def defect_films(sources: Sources, folder: Path, half: Half) -> Iterator[Film]:
    """Every span of 3 s and 24 frames a second, plain and with each defect.

    Slower sources are left out: they consist of repeated frames before any edit.
    """
    for label in sources.films(half):
        long_enough = label.end_seconds - label.start_seconds >= _SECONDS - 0.1
        if label.kind != "real" or not long_enough or sources.own_rate(label.file) < 23:
            continue
        start = label.start_seconds
        frames = sources.read(label.file, _FPS, start, start + _SECONDS)
        frames = [_shrunk(frame) for frame in frames]
        for name, (edit, _) in DEFECTS.items():
            path = folder / f"defect-{name}-{Path(label.file).stem}.mp4"
            write_film(path, edit(frames), fps=_FPS, codec="libx264", crf=_DEFAULT_CRF)
            yield _film(path, label, name)


def _film(path: Path, label: Label, edit: str) -> Film:
    return Film(
        name=path.stem,
        path=str(path),
        half=label.half,
        purpose="defects",
        footage=label.file,
        edit=edit,
        fps=_FPS,
    )


def _shrunk(frame: np.ndarray) -> np.ndarray:
    height, width = frame.shape[:2]
    scale = min(1.0, _SIZE / max(height, width))
    size = round(width * scale / 2) * 2, round(height * scale / 2) * 2
    return cv2.resize(frame, size, interpolation=cv2.INTER_AREA)

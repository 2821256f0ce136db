"""Half bodies and heads cut out of footage of whole ones: framings that the media has little of."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from pydantic import TypeAdapter

from benchmarks.curation_films import Film, Seen, write_film
from benchmarks.curation_labels import Half
from benchmarks.curation_sources import Sources
from curation.select import Framing

_TABLE = Path(__file__).parent / "data" / "curation_crops.csv"
_SHORT_SIDE = 480


@dataclass(frozen=True, slots=True, kw_only=True)
class Crop:
    """A part of the picture, as shares of its width and height, and what is seen in it."""

    file: str
    left: float
    top: float
    right: float
    bottom: float
    start_seconds: float
    end_seconds: float
    framing: Framing

    def of(self, frame: np.ndarray) -> np.ndarray:
        """The part, its shorter side at 480 pixels and both sides even."""
        height, width = frame.shape[:2]
        rows = slice(round(self.top * height), round(self.bottom * height))
        part = frame[rows, round(self.left * width) : round(self.right * width)]
        scale = _SHORT_SIDE / min(part.shape[:2])
        size = round(part.shape[1] * scale / 2) * 2, round(part.shape[0] * scale / 2) * 2
        return cv2.resize(part, size, interpolation=cv2.INTER_CUBIC)


def crop_films(sources: Sources, folder: Path, half: Half) -> Iterator[Film]:
    """A film of every crop of a half's sources, at the source's own rate."""
    with _TABLE.open(newline="") as table:
        crops = TypeAdapter(list[Crop]).validate_python(list(csv.DictReader(table)))
    for crop in crops:
        label = next(label for label in sources.labels if label.file == crop.file)
        if label.half == half:
            yield _film(sources, folder, crop, label.scene, half)


def _film(sources: Sources, folder: Path, crop: Crop, scene: str, half: Half) -> Film:
    fps = sources.own_rate(crop.file)
    frames = sources.read(crop.file, fps, crop.start_seconds, crop.end_seconds)
    path = folder / f"crop-{crop.framing}-{Path(crop.file).stem}.mp4"
    write_film(path, [crop.of(frame) for frame in frames], fps=fps, codec="libx264", crf=20)
    seen = Seen(
        start_seconds=0.0,
        end_seconds=len(frames) / fps,
        scene=scene,
        persons=1,
        framing=crop.framing,
        kind="real",
    )
    return Film(
        name=path.stem,
        path=str(path),
        half=half,
        purpose="people",
        footage=path.stem,
        edit="crop",
        fps=fps,
        seen=(seen,),
    )

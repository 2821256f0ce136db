"""The sample media that the labelled set is made from."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from benchmarks.curation_edits import Frames
from benchmarks.curation_labels import Half, Label
from dataset.video import probe_video, read_frames

_MAX_SIDE = 960


class Sources:
    """Labelled spans by half, and their frames.

    Raises:
        ValueError: A labelled file that is not in the folder.
    """

    def __init__(self, folder: Path, labels: list[Label]) -> None:
        missing = [label.file for label in labels if not (folder / label.file).is_file()]
        if missing:
            raise ValueError(f"expected the labelled media in {folder}, missing are {missing}")
        self.folder = folder
        self.labels = labels

    def films(self, half: Half) -> list[Label]:
        """Spans of moving pictures of 1.2 s and more."""
        return [
            label
            for label in self.labels
            if label.half == half and label.end_seconds - label.start_seconds >= 1.2
        ]

    def photos(self, half: Half) -> list[Label]:
        return [label for label in self.labels if label.half == half and label.is_photo]

    def read(self, file: str, fps: float, start: float, end: float) -> Frames:
        """RGB frames of a span, the longer side at most 960 pixels."""
        frames = read_frames(
            self.folder / file,
            fps=fps,
            start_seconds=start,
            end_seconds=end,
            max_side=_MAX_SIDE,
        )
        return list(frames)

    def own_rate(self, file: str) -> float:
        return probe_video(self.folder / file).fps

    def photo(self, file: str) -> np.ndarray:
        """An RGB picture, the longer side at most 1920 pixels."""
        picture = cv2.imread(str(self.folder / file), cv2.IMREAD_COLOR_RGB)
        if picture is None:
            raise ValueError(f"expected a picture, got {file}")
        scale = min(1.0, 1920 / max(picture.shape[:2]))
        size = round(picture.shape[1] * scale), round(picture.shape[0] * scale)
        return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)

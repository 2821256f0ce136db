"""Where a video goes from one shot to the next, found on frames that are decoded anyway."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import pairwise

import cv2
import numpy as np
from jaxtyping import UInt8
from scenedetect import AdaptiveDetector, FrameTimecode

from curation.settings import ShotSettings
from curation.transitions import (
    Recent,
    Thumbnails,
    changed_share,
    faded_frames,
    gradual_change,
    is_blank,
    thumbnail,
)

_SMALL_WIDTH = 200
_NEIGHBOURS = 8
"""Frames before and after a change that are compared: longer than a camera's flash."""
_WINDOWS = (16, 28, 46)
"""Frames over which gradual changes are looked for; a longer one is found in parts."""
_MAX_FADE_FRAMES = 45
_REPEATED = 0.6
"""Mean difference in grey levels under which a frame repeats the one before; coding makes 0.3."""
_MAX_PASSED_OVER = 6  # more repetitions are a picture at rest, not a source of 5 frames a second


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    """Frames ``start`` to ``end`` (exclusive) lie between two shots; at a cut there are none."""

    start: int
    end: int
    before: Thumbnails
    after: Thumbnails


class ShotFinder:
    """Takes a video's frames one by one and says in the end which spans are shots.

    Frames of fades and dissolves belong to no shot. A frame that repeats the one before is passed
    over: a slow source brought to a higher rate consists of repetitions, between which every new
    frame would look like a cut. Memory grows with the number of changes, not with that of frames.
    """

    def __init__(self, settings: ShotSettings, *, fps: float) -> None:
        self._settings = settings
        self._fps = fps
        self._detector = AdaptiveDetector(
            adaptive_threshold=settings.adaptive_threshold,
            min_scene_len=1,  # a flash just before must not hide a cut
            window_width=settings.window_frames,
            min_content_val=settings.min_content_change,
        )
        self._recent = Recent(max(_WINDOWS) + 2 * _NEIGHBOURS)
        self._previous: np.ndarray | None = None
        self._passed_over = 0
        self._blank: _Change | None = None
        self._blank_level = 0.0
        self._waiting: list[_Change] = []
        self._changes: list[_Change] = []

    def add(self, frame: UInt8[np.ndarray, "height width 3"]) -> None:
        """The next RGB frame; all of one size."""
        small = _small(frame)
        self._recent.add(thumbnail(small))
        self._note_blank()
        self._note_gradual()
        for cut in self._cuts(small):
            self._note(cut, cut)
        self._settle()

    def shots(self) -> list[tuple[int, int]]:
        """First frame and frame after the last of every shot, of all frames so far."""
        count = self._recent.count
        changes = [*self._changes, *(self._seen_after(change) for change in self._waiting)]
        if self._blank is not None:
            changes.append(replace(self._blank, end=count))
        changes += [self._change(cut, cut) for cut in self._last_cuts()]
        gaps = [(gap.start, gap.end) for gap in _joined(changes) if self._is_another_shot(gap)]
        spans = [(one[1], other[0]) for one, other in pairwise([(0, 0), *gaps, (count, count)])]
        least = self._settings.min_shot_frames if gaps else 1
        return [(start, end) for start, end in spans if end - start >= least]

    def _cuts(self, small: np.ndarray) -> list[int]:
        """What the adaptive detector says to a new picture, about some frames ago."""
        if self._previous is not None and self._passed_over < _MAX_PASSED_OVER:
            difference = cv2.mean(cv2.absdiff(small, self._previous))
            if sum(difference[:3]) / 3 < _REPEATED:
                self._passed_over += 1
                return []
        self._passed_over = 0
        self._previous = small
        at = FrameTimecode(self._recent.count - 1, self._fps)
        picture = cv2.cvtColor(small, cv2.COLOR_RGB2BGR)
        return [cut.frame_num for cut in self._detector.process_frame(at, picture)]

    def _last_cuts(self) -> list[int]:
        """Those that the detector would report if the last picture stayed."""
        if self._previous is None:
            return []
        detector = deepcopy(self._detector)
        picture = cv2.cvtColor(self._previous, cv2.COLOR_RGB2BGR)
        later = range(self._recent.count, self._recent.count + self._settings.window_frames)
        times = [FrameTimecode(number, self._fps) for number in later]
        found = [cut.frame_num for at in times for cut in detector.process_frame(at, picture)]
        return [cut for cut in found if cut < self._recent.count]

    def _note_blank(self) -> None:
        """Open a change at the first blank frame; close it where the next shot has faded in."""
        now = self._recent.count - 1
        newest = self._recent.frames(now, now + 1)
        if is_blank(newest[0]):
            if self._blank is None:
                earlier = self._recent.frames(now - _MAX_FADE_FRAMES, now)
                start = now - faded_frames(earlier[::-1], float(newest.mean()))
                self._blank = self._change(start, now + 1)
            self._blank = replace(self._blank, end=now + 1)
            self._blank_level = float(newest.mean())
        elif self._blank is not None:
            since = self._recent.frames(self._blank.end, now + 1)
            faded = faded_frames(since, self._blank_level)
            if faded < len(since) - 1 or len(since) > _MAX_FADE_FRAMES:
                self._waiting.append(replace(self._blank, end=self._blank.end + faded))
                self._blank = None

    def _note_gradual(self) -> None:
        count = self._recent.count
        for length in _WINDOWS:
            if length <= count:
                mixed = gradual_change(
                    self._recent.frames(count - length, count),
                    min_contrast=self._settings.min_gradual_contrast,
                    max_residual=self._settings.max_gradual_residual,
                )
                if mixed is not None:
                    self._note(count - length + mixed[0], count - length + mixed[1] + 1)

    def _note(self, start: int, end: int) -> None:
        self._waiting.append(self._change(start, end))

    def _settle(self) -> None:
        """Take what follows a change from the recent frames, as soon as enough have come."""
        waiting, self._waiting = self._waiting, []
        for change in waiting:
            if change.end + _NEIGHBOURS <= self._recent.count:
                self._changes.append(self._seen_after(change))
            else:
                self._waiting.append(change)

    def _change(self, start: int, end: int) -> _Change:
        before = self._recent.frames(start - _NEIGHBOURS, start).copy()
        return self._seen_after(_Change(start=start, end=end, before=before, after=before[:0]))

    def _seen_after(self, change: _Change) -> _Change:
        after = self._recent.frames(change.end, change.end + _NEIGHBOURS).copy()
        return replace(change, after=after)

    def _is_another_shot(self, gap: _Change) -> bool:
        """Whether no picture from before comes back afterwards, as it does after a flash."""
        least = self._settings.min_changed_share
        return all(changed_share(one, other) >= least for one in gap.before for other in gap.after)


def _joined(changes: list[_Change]) -> list[_Change]:
    """In order of time; those that touch are one, from the first's start to the last's end."""
    joined: list[_Change] = []
    for change in sorted(changes, key=lambda one: one.start):
        last = joined[-1] if joined else None
        if last is None or change.start > last.end:
            joined.append(change)
        elif change.end > last.end:
            joined[-1] = replace(last, end=change.end, after=change.after)
    return joined


def _small(frame: UInt8[np.ndarray, "height width 3"]) -> UInt8[np.ndarray, "small_height width 3"]:
    """A frame halved until it is under 200 pixels wide: four pixels a time are quickly averaged."""
    while frame.shape[1] >= _SMALL_WIDTH and frame.shape[0] >= 2:
        width, height = frame.shape[1] // 2, frame.shape[0] // 2
        even = frame[: 2 * height, : 2 * width]
        frame = np.asarray(cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA))
    return frame


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

"""What a change of shot looks like on thumbnails: blank frames, gradual changes, other scenes.

A thumbnail is a frame at a few dozen pixels of width: what makes a scene is in there, and noise,
compression and small movements are not.
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

THUMBNAIL = (64, 36)
"""Width and height; the same for every shape of frame, as only like is compared with like."""

Thumbnail = UInt8[np.ndarray, "36 64 3"]
Thumbnails = UInt8[np.ndarray, "frames 36 64 3"]

_VALUES = THUMBNAIL[0] * THUMBNAIL[1] * 3
_DARK, _BRIGHT = 20.0, 235.0
_FLAT = 5.0  # grey levels of standard deviation; noise and compression of a black frame are under 2
_BLACK_BAR = 24
_CHANGED = 24.0  # grey levels at a standard deviation of 48, of the colour that differs most
_FADING = 1.01  # of its distance from black a second's fade adds 3 % and more a frame
_ALIKE = 0.5  # a correlation that other scenes stay under, and a pan by a few pixels does not
_MAX_STEP = 0.4  # a larger part of the way in one frame is a cut
_MAX_BACKWARDS = 0.05
_MIXED = 0.06  # of the other picture, which nobody sees
_REST = 3  # frames without mixture; of a blank picture one will do


class Recent:
    """The thumbnails of the newest ``length`` frames of a video, by their numbers."""

    def __init__(self, length: int) -> None:
        self._length = length
        self._ring = np.zeros((2 * length, THUMBNAIL[1], THUMBNAIL[0], 3), np.uint8)
        self.count = 0

    def add(self, small: Thumbnail) -> None:
        """The next frame; written twice, so that every stretch of them lies in one piece."""
        place = self.count % self._length
        self._ring[place] = self._ring[place + self._length] = small
        self.count += 1

    def frames(self, start: int, end: int) -> Thumbnails:
        """A view of the frames from ``start`` to ``end`` (exclusive) that are still there."""
        start = max(start, self.count - self._length, 0)
        length = max(0, min(end, self.count) - start)
        return self._ring[start % self._length :][:length]


def thumbnail(frame: UInt8[np.ndarray, "height width 3"]) -> Thumbnail:
    """An RGB frame at 64 x 36 pixels, each the mean of what it covers."""
    return np.asarray(cv2.resize(frame, THUMBNAIL, interpolation=cv2.INTER_AREA))


def is_blank(small: Thumbnail) -> bool:
    """Whether a frame is all black or all white, as in the middle of a fade."""
    means, deviations = cv2.meanStdDev(small)
    return float(deviations.max()) < _FLAT and not (means.max() >= _DARK and means.min() <= _BRIGHT)


def faded_frames(pictures: Thumbnails, level: float) -> int:
    """How many pictures, going away from a blank one of a grey level, are still fading.

    Each is further from the blank than the one nearer to it, until they keep their distance.
    """
    values = pictures.reshape(len(pictures), _VALUES).astype(np.float32)
    away = np.sqrt(((values - level) ** 2).mean(axis=1))
    grows = away[1:] > _FADING * away[:-1]
    return len(grows) if grows.all() else int(grows.argmin())


def changed_share(first: Thumbnail, second: Thumbnail) -> float:
    """Share of the picture that shows something else, black bars in both left out.

    Brightness is matched first, so that a flash or a lamp that is switched on changes little.
    """
    bars = (first.max(axis=2) < _BLACK_BAR) & (second.max(axis=2) < _BLACK_BAR)
    if bars.all():
        return 0.0
    one, other = _matched(first[~bars]), _matched(second[~bars])
    return float((np.abs(one - other).max(axis=1) > _CHANGED).mean())


def gradual_change(
    window: Thumbnails, *, min_contrast: float, max_residual: float
) -> tuple[int, int] | None:
    """First and last mixed frame, if the window's end comes out of its beginning by mixing.

    Every picture of a dissolve or fade is ``(1 - a) first + a last`` with a growing ``a``: a line
    through the space of pictures, which things that move do not follow. Before and after it the
    mixture rests, which tells it from a slow pan over less than a thumbnail's pixel. ``None`` for
    anything else.

    Args:
        window: Thumbnails in order; their green is looked at.
        min_contrast: Root mean square between the ends, in grey levels, that makes a change.
        max_residual: How far pictures may lie off the line, relative to its length.
    """
    ends = window[[0, -1], :, :, 1].reshape(2, -1).astype(np.float32)
    line = ends[1] - ends[0]
    length = float(np.sqrt((line**2).mean()))
    if length < min_contrast or _likeness(ends[0], ends[1]) > _ALIKE:
        return None
    offsets = window[..., 1].reshape(len(window), -1).astype(np.float32) - ends[0]
    share = offsets @ line / float(line @ line)
    steps = np.diff(share)
    if steps.max() > _MAX_STEP or steps.min() < -_MAX_BACKWARDS:
        return None
    off = np.sqrt(((offsets - share[:, None] * line) ** 2).mean(axis=1)) / length
    mixed = np.flatnonzero((share > _MIXED) & (share < 1 - _MIXED))
    if off.max() > max_residual or len(mixed) == 0:
        return None
    first, last = int(mixed[0]), int(mixed[-1])
    rests = (first, window[0]), (len(window) - 1 - last, window[-1])
    if any(count < (1 if is_blank(end) else _REST) for count, end in rests):
        return None
    return first, last


def _likeness(first: Float32[np.ndarray, " pixels"], last: Float32[np.ndarray, " pixels"]) -> float:
    """The correlation of two pictures; one of a single grey is like nothing."""
    spread = float(first.std() * last.std())
    return float(((first - first.mean()) * (last - last.mean())).mean()) / max(spread, 1.0)


def _matched(pixels: UInt8[np.ndarray, "pixels 3"]) -> Float32[np.ndarray, "pixels 3"]:
    values = pixels.astype(np.float32)
    return (values - values.mean()) * (48.0 / max(float(values.std()), 8.0))

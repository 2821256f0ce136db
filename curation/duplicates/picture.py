"""What of a picture is compared: its content without borders, as a few low frequencies."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

_GREY_SIDE = 240  # borders are found to within 1/240 of the longer side
_SIDE = 32  # of the square that is transformed: four samples a period of the highest frequency
_LIKE = 8  # grey levels that encoding may put between two pixels of one border
_STEP = 12  # grey levels between a border and the picture beside it
_LEAST = 0.2  # of a side: what is left of it inside borders, or there is no picture

Grey = UInt8[np.ndarray, "height width"]


def grey_thumbnail(frame: UInt8[np.ndarray, "height width 3"]) -> Grey:
    """A frame in grey, its longer side 240 to 479 pixels (smaller frames stay as they are)."""
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    factor = max(grey.shape) // _GREY_SIDE  # whole: several times faster than any other
    if factor <= 1:
        return grey
    size = (max(1, grey.shape[1] // factor), max(1, grey.shape[0] // factor))
    return cv2.resize(grey, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def inside_borders(grey: Grey) -> Grey | None:
    """The part of a picture inside bars of one colour; None when it is less than a fifth."""
    left, top, right, bottom = plain_bars(grey)
    inside = grey[top : grey.shape[0] - bottom, left : grey.shape[1] - right]
    height, width = inside.shape
    return inside if height >= _LEAST * grey.shape[0] and width >= _LEAST * grey.shape[1] else None


def plain_bars(grey: Grey) -> tuple[int, int, int, int]:
    """Widths in pixels of the bars of one colour left of, above, right of and below a picture.

    A bar's lines are alike (a logo may cover a fifth of one), and it ends in a step along at least
    half of its length: a wall or the sky, which somebody stands before, does not.
    """
    height, width = grey.shape
    left = top = right = bottom = 0
    for _ in range(4):  # bars beside bars: a letterboxed film in a portrait frame
        inside = grey[top : height - bottom, left : width - right]
        above, below = _bars(inside)
        before, after = _bars(inside.T) if not above + below else (0, 0)
        left, top, right, bottom = left + before, top + above, right + after, bottom + below
        small = left + right > (1 - _LEAST) * width or top + bottom > (1 - _LEAST) * height
        if small or not above + below + before + after:
            break
    return left, top, right, bottom


def low_frequencies(grey: Grey) -> Float32[np.ndarray, "32 32"]:
    """The cosine transform of a picture shrunk to a square, orthonormal; rows are vertical."""
    square = cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    return cv2.dct(square.astype(np.float32)).astype(np.float32, copy=False)


def _bars(grey: Grey) -> tuple[int, int]:
    """How many lines at the top and at the bottom are a bar."""
    return _bar(grey), _bar(grey[::-1])


def _bar(lines: Grey) -> int:
    colour = int(np.partition(lines[0], lines.shape[1] // 2)[lines.shape[1] // 2])
    if not _alike(lines[:1], colour)[0]:
        return 0
    alike = _alike(lines, colour)
    if alike.all():
        return 0
    bar = int(alike.argmin())
    # The line after the last one of a bar is a blend of both, so the step is one further on. It
    # lasts for several lines, as letters on a wall are a step too, but end soon.
    beyond = lines[bar + 1 : bar + 1 + max(1, len(lines) // 12)].astype(np.int16) - colour
    stepped = abs(beyond) > _STEP
    return bar if beyond.size and min(stepped[0].mean(), stepped.mean()) >= 0.5 else 0


def _alike(lines: Grey, colour: int) -> Bool[np.ndarray, " lines"]:
    """Which lines are of one colour, but for a fifth of each."""
    apart = np.abs(lines.astype(np.int16) - colour)
    return np.count_nonzero(apart <= _LIKE, axis=1) >= 0.8 * lines.shape[1]

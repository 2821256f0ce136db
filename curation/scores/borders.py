"""Bars beside the picture: plain ones, and a blurred copy of the picture itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float64, UInt8

_PLAIN = 2.5  # grey levels, standard deviation along a line: what compression leaves of one colour
_SAME = 4.0  # grey levels between the lines of a bar
_BLURRED = 0.2  # of the middle's fine detail
_MIN_DETAIL = 1.0  # grey levels: a middle without detail tells nothing
_MIN_BAR = 0.02  # of the side: thinner ones are a codec's or a scaler's edge
_MAX_BAR = 0.45


@dataclass(frozen=True, slots=True, kw_only=True)
class Borders:
    """Widths of the bars, as shares of the picture's width (left, right) and height."""

    left: float = 0.0
    top: float = 0.0
    right: float = 0.0
    bottom: float = 0.0

    @property
    def share(self) -> float:
        """Of the picture's area, 0 to 1."""
        return 1.0 - (1.0 - self.left - self.right) * (1.0 - self.top - self.bottom)

    def inside(self, picture: np.ndarray) -> np.ndarray:
        """The picture without its bars (a view)."""
        height, width = picture.shape[:2]
        rows = slice(round(self.top * height), height - round(self.bottom * height))
        return picture[rows, round(self.left * width) : width - round(self.right * width)]


def find_borders(grey: UInt8[np.ndarray, "height width"]) -> Borders:
    """Bars of one grey level along the sides, else a blurred pair at two opposite sides.

    A bar is plain where every line of it, along the side, has one grey level, the same for all. A
    blurred pair has two nearly equal widths and less than a fifth of the middle's detail. A person
    before a plain backdrop seems to have bars in a single frame: `border_share` asks for bars that
    are always there, and a backdrop with nothing ever before its edges remains one.
    """
    if min(grey.shape) < 16 or _deviation(grey).max() <= _PLAIN:
        return Borders()
    top, bottom = _plain_bars(grey)
    left, right = _plain_bars(grey.T)
    found = Borders(left=left, top=top, right=right, bottom=bottom)
    if found.share:
        return found
    detail = np.abs(cv2.Laplacian(grey, cv2.CV_16S))
    side = _blurred_bars(detail.mean(axis=0))
    if side:
        return Borders(left=side, right=side)
    side = _blurred_bars(detail.mean(axis=1))
    return Borders(top=side, bottom=side)


def border_share(borders: Sequence[Borders]) -> float:
    """The share of the area that is bar in all of the looks; 0 to 1."""
    always = Borders(
        left=min(b.left for b in borders),
        top=min(b.top for b in borders),
        right=min(b.right for b in borders),
        bottom=min(b.bottom for b in borders),
    )
    return always.share


def _deviation(lines: UInt8[np.ndarray, "lines pixels"]) -> Float64[np.ndarray, " lines"]:
    return lines.std(axis=1, dtype=np.float64)


def _plain_bars(grey: UInt8[np.ndarray, "lines pixels"]) -> tuple[float, float]:
    """Shares of the lines at the beginning and at the end that are plain and of one level."""
    plain = _deviation(grey) <= _PLAIN
    level = grey.mean(axis=1)
    first = _run(plain & (np.abs(level - level[0]) <= _SAME))
    last = _run((plain & (np.abs(level - level[-1]) <= _SAME))[::-1])
    return _bar(first / len(grey)), _bar(last / len(grey))


def _blurred_bars(detail: Float64[np.ndarray, " lines"]) -> float:
    """The width of each of two equal bars with little detail around a middle with much; 0: none."""
    quarter = len(detail) // 4
    middle = float(np.median(detail[quarter : len(detail) - quarter]))
    if middle < _MIN_DETAIL:
        return 0.0
    blurred = detail < _BLURRED * middle
    first, last = _run(blurred), _run(blurred[::-1])
    if abs(first - last) > 0.03 * len(detail):
        return 0.0
    return _bar(min(first, last) / len(detail))


def _run(flags: Bool[np.ndarray, " n"]) -> int:
    """How many are true from the beginning on."""
    return len(flags) if flags.all() else int(flags.argmin())


def _bar(share: float) -> float:
    return share if _MIN_BAR <= share <= _MAX_BAR else 0.0

"""Bars beside the picture: plain ones, and a blurred copy of the picture itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import UInt8

from curation.duplicates.picture import plain_bars

_BLURRED = 0.3  # of the middle's fine detail
_MIN_DETAIL = 1.0  # grey levels: a middle without detail tells nothing
_SMOOTH = 9  # lines that detail is averaged over
_STEP = 4.0  # grey levels across the edge between a blurred bar and the picture
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

    Plain bars are those of `curation.duplicates.picture.plain_bars`. A blurred pair has two nearly
    equal widths, less than 0.3 of the middle's detail, and a step along half of each edge. A wall
    and the out-of-focus background of a portrait have no such step.
    """
    height, width = grey.shape
    if min(height, width) < 16:
        return Borders()
    left, top, right, bottom = plain_bars(grey)
    found = Borders(
        left=_bar(left / width),
        top=_bar(top / height),
        right=_bar(right / width),
        bottom=_bar(bottom / height),
    )
    if found.share:
        return found
    side = _blurred_bars(grey.T)
    if side:
        return Borders(left=side, right=side)
    side = _blurred_bars(grey)
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


def _blurred_bars(lines: UInt8[np.ndarray, "lines pixels"]) -> float:
    """Share of each of two equal bars with little detail around a middle with much; 0: none."""
    detail = np.abs(cv2.Laplacian(lines, cv2.CV_16S)).mean(axis=1)
    detail = cv2.blur(detail[None], (_SMOOTH, 1))[0]
    count = len(detail)
    middle = float(np.median(detail[count // 4 : count - count // 4]))
    blurred = detail < _BLURRED * middle
    if middle < _MIN_DETAIL or blurred.all():
        return 0.0
    first, last = int(blurred.argmin()), int(blurred[::-1].argmin())
    if abs(first - last) > 0.03 * count or not (_steps(lines, first) and _steps(lines[::-1], last)):
        return 0.0
    return _bar(min(first, last) / count)


def _steps(lines: UInt8[np.ndarray, "lines pixels"], at: int) -> bool:
    """Whether grey levels jump along half of a line near ``at``."""
    near = lines[max(0, at - _SMOOTH) : at + _SMOOTH].astype(np.int16)
    if len(near) < 2:
        return False
    return bool((np.abs(np.diff(near, axis=0)) > _STEP).mean(axis=1).max() >= 0.5)


def _bar(share: float) -> float:
    return share if _MIN_BAR <= share <= _MAX_BAR else 0.0

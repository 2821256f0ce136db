"""Turned squares of a frame: cutting them out for a network and bringing its points back.

Frame positions are pixels with (0, 0) at the corner of the first pixel; positions inside a region
are fractions of its side, (0, 0) at its top left corner, (1, 1) at its bottom right one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, Float32, UInt8


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A square of ``size_px`` about a centre, turned by ``angle`` radians (clockwise as seen)."""

    x: float
    y: float
    size_px: float
    angle: float = 0.0

    def to_frame(self, points: Float[np.ndarray, "*n 2"]) -> Float[np.ndarray, "*n 2"]:
        """Fractions of the region -> pixels of the frame."""
        return (points - 0.5) * self.size_px @ _turn(self.angle).T + (self.x, self.y)

    def to_region(self, points: Float[np.ndarray, "*n 2"]) -> Float[np.ndarray, "*n 2"]:
        """Pixels of the frame -> fractions of the region; the inverse of ``to_frame``."""
        return (points - (self.x, self.y)) @ _turn(self.angle) / self.size_px + 0.5

    def scaled(self, factor: float, *, up: float = 0.0) -> Region:
        """Grown about its centre, then moved by ``up`` of the old side along its upward axis."""
        dx, dy = _turn(self.angle) @ (0.0, -up * self.size_px)
        return Region(x=self.x + dx, y=self.y + dy, size_px=self.size_px * factor, angle=self.angle)

    @property
    def box(self) -> tuple[float, float, float, float]:
        """The upright square of the same centre and side: x0, y0, x1, y1."""
        half = self.size_px / 2
        return (self.x - half, self.y - half, self.x + half, self.y + half)


def upright_region(
    start: Float[np.ndarray, " 2"], end: Float[np.ndarray, " 2"], *, factor: float
) -> Region:
    """The region centred at ``start`` in which ``end`` lies straight above the centre.

    Its side is ``factor`` times twice their distance.
    """
    dx, dy = float(end[0] - start[0]), float(end[1] - start[1])
    angle = math.atan2(dx, -dy)
    size = 2.0 * factor * math.hypot(dx, dy)
    return Region(x=float(start[0]), y=float(start[1]), size_px=max(size, 1.0), angle=angle)


def cut_out(
    frame: UInt8[np.ndarray, "height width 3"], region: Region, size: int
) -> Float32[np.ndarray, "size size 3"]:
    """The region as a ``size`` x ``size`` picture in [0, 1]; black outside of the frame.

    Where the region is much larger than ``size`` the frame is first averaged down, as plain
    bilinear sampling would alias.
    """
    shrink = max(1, int(region.size_px / size))
    reach = region.size_px * 0.75  # more than half a diagonal
    x0, y0 = max(0, int(region.x - reach)), max(0, int(region.y - reach))
    x1 = min(frame.shape[1], int(region.x + reach) + 1)
    y1 = min(frame.shape[0], int(region.y + reach) + 1)
    if x1 <= x0 or y1 <= y0:
        return np.zeros((size, size, 3), np.float32)
    part = frame[y0:y1, x0:x1]
    width, height = max(1, (x1 - x0) // shrink), max(1, (y1 - y0) // shrink)
    if shrink > 1:
        part = cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA)
    corners = region.to_frame(np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
    corners = (corners - (x0, y0)) * (width / (x1 - x0), height / (y1 - y0))
    to_part = _pixel_affine(corners, size)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(part, to_part, (size, size), flags=flags).astype(np.float32) / 255.0


def paste_back(
    picture: Float32[np.ndarray, "size size"], region: Region, *, width: int, height: int
) -> Float32[np.ndarray, "height width"]:
    """A picture of the region brought back into the frame; 0 outside of the region."""
    corners = region.to_frame(np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
    to_frame = _pixel_affine(corners, picture.shape[0])
    return cv2.warpAffine(picture, to_frame, (width, height), flags=cv2.INTER_LINEAR)


def _pixel_affine(corners: Float[np.ndarray, "3 2"], size: int) -> Float[np.ndarray, "2 3"]:
    """Index of a cut-out's pixel -> index of the picture whose positions the corners are.

    OpenCV counts from the centre of the first pixel, hence the halves.
    """
    axes = np.stack([corners[1] - corners[0], corners[2] - corners[0]], axis=1) / size
    offset = corners[0] + axes @ (0.5, 0.5) - 0.5
    return np.concatenate([axes, offset[:, None]], axis=1)


def _turn(angle: float) -> Float[np.ndarray, "2 2"]:
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[c, -s], [s, c]])

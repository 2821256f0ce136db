"""Depth: its range in each frame, which way it runs, and whether it is linear.

A body's surface recedes towards its silhouette, so nearness must fall there. Its slope is the
normal's (``d nearness / d x = -R / B``) times one factor for the whole frame; a curve makes that
factor depend on the grey level.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from jaxtyping import Bool, Float32

from rendering.lint.findings import Symptom
from rendering.lint.frame import Frame, grown, shrunk
from rendering.lint.normals import outline

TOLERANCE = 3
"""Grey levels by which a frame's nearest may miss 255 and its farthest 0."""

TOLERANCE_LOSSY = 16
FALL = 0.4
"""Share by which falls outweigh rises towards the silhouette; 0.8 to 1 is usual."""

BEND = 0.9
"""Change of the log of the slopes from black to white; 0.3 at most when linear, 1.5 when not."""

_BIN = 45  # grey levels that share a slope
_LEAST_SPAN = 90  # grey levels that a frame must have to tell
_LEAST_BIN_PIXELS = 100
_LEAST_PIXELS = 100


def check_depth(frame: Frame) -> Iterator[Symptom]:
    """What is off with the depth map of a frame; nothing where too little of it is seen."""
    picture = frame.pictures.get("depth")
    if picture is None or int(frame.body.sum()) < _LEAST_PIXELS:
        return
    nearness = picture.astype(np.float32)
    inverted = _falls_inwards(nearness, frame.body)
    if inverted is not None and inverted > FALL:
        yield Symptom(
            check="depth.direction",
            map="depth",
            cause="depth_inverted",
            measured=f"brighter towards the silhouette ({inverted:+.2f})",
            expected=f"darker: under {FALL}",
        )
    yield from _check_range(frame, picture)


def _check_range(frame: Frame, picture: np.ndarray) -> Iterator[Symptom]:
    values = picture[frame.body & shrunk_if_known(frame)]
    if not len(values):
        return
    nearest, farthest = int(values.max()), int(values.min())
    limit = TOLERANCE_LOSSY if "depth" in frame.lossy else TOLERANCE
    if nearest < 255 - limit or farthest > limit:
        yield Symptom(
            check="depth.range",
            map="depth",
            cause="depth_not_per_frame",
            measured=f"{farthest} to {nearest} on the body",
            expected="0 to 255 in each frame",
        )


def shrunk_if_known(frame: Frame) -> Bool[np.ndarray, "height width"]:
    """Where the depth map itself has a body: what another silhouette adds is not looked at."""
    if not frame.silhouettes:
        return frame.body
    return grown(frame.pictures["depth"] > 0, 1)


def _falls_inwards(
    nearness: Float32[np.ndarray, "height width"], body: Bool[np.ndarray, "height width"]
) -> float | None:
    """+1 where nearness rises towards the silhouette everywhere, -1 where it falls."""
    ring, out_x, out_y = outline(body, inset=2)
    if int(ring.sum()) < _LEAST_PIXELS:
        return None
    x, y = _slopes(nearness)
    rise = (x * out_x + y * out_y)[ring]
    total = float(np.abs(rise).sum())
    return float(rise.sum()) / total if total > 0 else None


def _slopes(nearness: Float32[np.ndarray, "height width"]) -> tuple[np.ndarray, np.ndarray]:
    """Grey levels a pixel, to the right and downwards."""
    across = cv2.Sobel(nearness, cv2.CV_32F, 1, 0, ksize=1, scale=0.5)
    return across, cv2.Sobel(nearness, cv2.CV_32F, 0, 1, ksize=1, scale=0.5)


def check_depth_curve(frame: Frame) -> Iterator[Symptom]:
    """Whether depth is linear, by normals and a silhouette in which nothing else was found."""
    depth, normal = frame.pictures.get("depth"), frame.pictures.get("normal")
    if depth is None or normal is None or frame.lossy & {"depth", "normal"}:
        return
    nearness = depth.astype(np.float32)
    factor, usable = _slope_factor(frame, normal, nearness)
    levels, factors = [], []
    for low in range(15, 240, _BIN):
        inside = usable & (nearness >= low) & (nearness < low + _BIN)
        if int(inside.sum()) >= _LEAST_BIN_PIXELS:
            levels.append(low + _BIN / 2)
            factors.append(np.log(float(np.median(factor[inside]))))
    if len(levels) < 2 or levels[-1] - levels[0] < _LEAST_SPAN:
        return
    bend = float(np.polyfit(levels, factors, 1)[0]) * 255
    if abs(bend) > BEND:
        yield Symptom(
            check="depth.curve",
            map="depth",
            cause="depth_curve",
            measured=f"slopes change by a factor of {np.exp(abs(bend)):.1f} from dark to bright",
            expected="the same factor to the normals' slopes everywhere",
        )


def _slope_factor(
    frame: Frame, normal: np.ndarray, nearness: Float32[np.ndarray, "height width"]
) -> tuple[np.ndarray, Bool[np.ndarray, "height width"]]:
    """The depth's slope by the normal's, and where both are steep and of one direction."""
    normals = normal.astype(np.float32) / 127.5 - 1
    away = np.maximum(normals[..., 2], 0.05)
    across, down = -normals[..., 0] / away, normals[..., 1] / away
    tilt = np.maximum(np.hypot(across, down), 0.05)
    x, y = _slopes(nearness)
    along, steep = (x * across + y * down) / tilt, np.hypot(x, y)
    usable = shrunk(frame.body & frame.silhouettes["normal"], 3)
    usable &= (tilt > 0.3) & (tilt < 2) & (steep < 12) & (along > 0.7 * steep)
    return along / tilt, usable & (along > 0)

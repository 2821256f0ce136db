"""Mask, normals, semantic map and depth must show one silhouette; how one differs tells why."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from jaxtyping import Bool

from rendering.lint.findings import Symptom
from rendering.lint.frame import Frame, grown, shrunk

LEAST_IOU = 0.98
"""Overlap of a map's silhouette with the body; drawings that agree have over 0.999."""

_SOFT_EDGE = 1.5  # pixels by which a lossy or resampled silhouette may be off all around
_MOST_GROWTH = 12
_LEAST_PIXELS = 100
_EXPLAINED = 0.93  # IoU after undoing a change that then is the cause

Shape = Bool[np.ndarray, "height width"]


def check_silhouettes(frame: Frame) -> Iterator[Symptom]:
    """Maps whose silhouette is not the body's, named with how they differ."""
    if int(frame.body.sum()) < _LEAST_PIXELS:
        return
    shapes = dict(frame.silhouettes)
    if shapes and "depth" in frame.pictures:
        # The farthest pixels of a depth map are 0 like the background: there the body decides.
        depth = frame.pictures["depth"]
        threshold = 12 if "depth" in frame.lossy else 0
        shapes["depth"] = (depth > threshold) | (frame.body & (depth <= threshold) & _dark(depth))
    edge = float((frame.body & ~shrunk(frame.body, 1)).sum()) / float(frame.body.sum())
    for name, shape in shapes.items():
        if not shape.any():
            continue  # nothing is drawn: that is another finding
        least = min(LEAST_IOU, 1 - _SOFT_EDGE * edge) if frame.lossy else LEAST_IOU
        overlap = iou(shape, frame.body)
        if overlap < least:
            cause, how = _explain(shape, frame.body, name)
            yield Symptom(
                check="silhouette",
                map=name,
                cause=cause,
                measured=f"IoU {overlap:.3f}{how}",
                expected=f"the other maps' silhouette, IoU over {least:.2f}",
            )


def iou(one: Shape, other: Shape) -> float:
    """Intersection over union; 1 for two empty shapes."""
    union = int((one | other).sum())
    return int((one & other).sum()) / union if union else 1.0


def _dark(depth: np.ndarray) -> Shape:
    """Where the depth runs into 0 smoothly: next to values that are nearly 0 themselves."""
    return grown((depth > 0) & (depth <= 8), 2)


def _explain(shape: Shape, body: Shape, name: str) -> tuple[str, str]:
    """The cause that turns the body into this shape, and by how much; the best that is enough."""
    candidates = [(_EXPLAINED, "other_silhouette", ""), _shift(shape, body)]
    if name == "mask":
        candidates += [_growth(shape, body, "dilated"), _growth(~shape, ~body, "eroded")]
    return max(candidates)[1:]


def _growth(shape: Shape, body: Shape, cause: str) -> tuple[float, str, str]:
    """How well growing explains a shape; the other way round a shape's outside grows."""
    best, pixels = 0.0, 0
    for metric in (cv2.DIST_L2, cv2.DIST_C):  # round or square brush
        distance = cv2.distanceTransform((~body).astype(np.uint8), metric, 5)
        for reach in range(1, _MOST_GROWTH + 1):
            grown_body = distance <= reach + 0.3
            overlap = iou(shape, grown_body) if cause == "dilated" else iou(~shape, ~grown_body)
            best, pixels = max((best, pixels), (overlap, reach))
    return best, cause, f", {cause} by {pixels} px"


def _shift(shape: Shape, body: Shape) -> tuple[float, str, str]:
    """The whole-pixel shift, near that of the centroids, that brings a shape onto the body."""
    apart = np.argwhere(shape).mean(axis=0) - np.argwhere(body).mean(axis=0)
    best = (0.0, 0, 0)
    for dy in range(round(apart[0]) - 2, round(apart[0]) + 3):
        for dx in range(round(apart[1]) - 2, round(apart[1]) + 3):
            moved = np.roll(body, (dy, dx), axis=(0, 1))
            best = max(best, (iou(shape, moved), dx, dy))
    return best[0], "shifted", f", shifted by ({best[1]}, {best[2]}) px"

"""The pinhole camera: where a point in metres lands in the picture, and back from a box camera.

Axes are OpenCV's: x right, y down, z forward, metres (conventions: Camera and axes). Image
positions have (0, 0) at the top left corner of the top left pixel, so the centre of pixel (row i,
column j) is (j + 0.5, i + 0.5) and the principal point is (width / 2, height / 2).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from dataset.records import Camera

FOCAL_LENGTH_PER_SIDE = 5000.0 / 256.0
"""Focal length over the longer side of the picture, as 4D-Humans assumes for unknown cameras."""


def default_focal_length_px(width: int, height: int) -> float:
    """The focal length in pixels to assume where nothing better is known.

    Source: 4D-Humans, ``5000 / 256 * max(width, height)``.

    Raises:
        ValueError: a side is smaller than one pixel.
    """
    if width < 1 or height < 1:
        raise ValueError(f"expected a picture of at least 1 x 1 pixels, got {width} x {height}")
    return FOCAL_LENGTH_PER_SIDE * max(width, height)


def default_camera(width: int, height: int) -> Camera:
    """The camera to assume for a picture of this size when its own is unknown."""
    focal_length_px = default_focal_length_px(width, height)
    return Camera(focal_length_px=focal_length_px, width=width, height=height)


def check_camera(camera: Camera) -> None:
    """Refuse a camera without a picture or without a focal length.

    Raises:
        ValueError: a side under one pixel, or a focal length that is not positive and finite.
    """
    if camera.width < 1 or camera.height < 1:
        raise ValueError(
            f"expected a camera of at least 1 x 1 pixels, got {camera.width} x {camera.height}"
        )
    if not (np.isfinite(camera.focal_length_px) and camera.focal_length_px > 0):
        raise ValueError(
            f"expected a positive finite focal length in pixels, got {camera.focal_length_px}"
        )


def project(points: Float[np.ndarray, "*batch 3"], camera: Camera) -> Float[np.ndarray, "*batch 2"]:
    """Project camera-space points (metres) to image positions (pixels).

    A point at or behind the camera plane (z <= 0) has no image: both its coordinates are NaN.

    Raises:
        ValueError: the last axis is not of length 3, or the camera is not usable.
    """
    check_camera(camera)
    points = np.asarray(points)
    if points.shape[-1:] != (3,):
        raise ValueError(f"expected points of shape (..., 3), got {points.shape}")
    z = points[..., 2:]
    in_front = np.where(z > 0, z, np.nan)
    centre = np.array((camera.width / 2, camera.height / 2), dtype=points.dtype)
    return points[..., :2] / in_front * points.dtype.type(camera.focal_length_px) + centre


def weak_perspective_to_translation(
    weak: Float[np.ndarray, "*batch 3"], boxes: Float[np.ndarray, "*batch 3"], camera: Camera
) -> Float[np.ndarray, "*batch 3"]:
    """Turn the weak-perspective camera of a person's square box into a translation in metres.

    ``weak`` is (s, tx, ty) as body regressors predict it; ``boxes`` is (centre x, centre y, side)
    in pixels. With the box side b: ``z = 2 f / (b s)``, ``x = tx + 2 (cx - W/2) / (b s)``,
    ``y = ty + 2 (cy - H/2) / (b s)`` (conventions: Camera and axes).

    Raises:
        ValueError: a box side or a scale is not positive.
    """
    check_camera(camera)
    weak, boxes = np.asarray(weak, dtype=np.float64), np.asarray(boxes, dtype=np.float64)
    pixels_per_unit = boxes[..., 2] * weak[..., 0] / 2
    if not np.all(pixels_per_unit > 0):
        raise ValueError("expected positive scales and positive box sides, got a product <= 0")
    x = weak[..., 1] + (boxes[..., 0] - camera.width / 2) / pixels_per_unit
    y = weak[..., 2] + (boxes[..., 1] - camera.height / 2) / pixels_per_unit
    return np.stack((x, y, camera.focal_length_px / pixels_per_unit), axis=-1)

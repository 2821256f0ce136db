"""Which rectangle of the picture a body may cover, so that no more than it is read or visited."""

from __future__ import annotations

import math

import numba
import numpy as np
from jaxtyping import Float32

from dataset.records import Camera
from rendering.rasterizer import NEAR_METRES


def covered_rectangle(
    positions: Float32[np.ndarray, "vertices 3"], camera: Camera
) -> tuple[int, int, int, int] | None:
    """(left, top, width, height) of the pixels the body may cover, None where there are none."""
    left, right, top, bottom = _bounds(positions, camera.focal_length_px)
    x, y = camera.width / 2, camera.height / 2
    first_column, end_column = max(left + x, 0), min(right + x, camera.width)
    first_row, end_row = max(top + y, 0), min(bottom + y, camera.height)
    if first_column >= end_column or first_row >= end_row:
        return None
    column, row = math.floor(first_column), math.floor(first_row)
    return column, row, math.ceil(end_column) - column, math.ceil(end_row) - row


@numba.njit(cache=True, nogil=True)
def _bounds(positions, focal_length_px):
    """Smallest and largest x, then y, in pixels from the principal point."""
    left, right, top, bottom = np.inf, -np.inf, np.inf, -np.inf
    in_front = 0
    for v in range(positions.shape[0]):
        z = positions[v, 2]
        if z >= NEAR_METRES:
            in_front += 1
            x, y = positions[v, 0] * focal_length_px / z, positions[v, 1] * focal_length_px / z
            left, right, top, bottom = min(left, x), max(right, x), min(top, y), max(bottom, y)
    if 0 < in_front < positions.shape[0]:  # it reaches behind the camera: it may be anywhere
        return -np.inf, np.inf, -np.inf, np.inf
    return left, right, top, bottom

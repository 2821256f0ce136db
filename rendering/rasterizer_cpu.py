"""The CPU rasteriser: a z-buffer without a graphics library, with the result OpenGL gives."""

from __future__ import annotations

import numba
import numpy as np
from jaxtyping import Float32, Int32

from dataset.records import Camera
from rendering.buffers import NEAR_METRES
from rendering.coverage import NEAREST, VOLUME, Candidates

_HIGHEST_INVERSE = np.float32(1 / NEAR_METRES)
_JUST_OUTSIDE = np.nextafter(0.0, -1.0)


class CpuVisibility:
    """Draws on one CPU thread, without holding the interpreter lock; keeps its pictures."""

    name = "cpu"

    def __init__(self) -> None:
        self._inverse = np.empty(0, np.float32)
        self._owner = np.empty(0, np.int32)

    def find_owners(
        self,
        candidates: Candidates,
        positions: Float32[np.ndarray, "vertices 3"],  # noqa: ARG002 they are in the planes
        camera: Camera,
    ) -> Int32[np.ndarray, "height width"]:
        """The nearest candidate of each pixel of their rectangle, -1 for none; until called again.

        Of candidates at the same depth the first counts.
        """
        left, top, width, height = candidates.rectangle
        if self._owner.size < width * height:
            self._inverse = np.empty(width * height, np.float32)
            self._owner = np.empty(width * height, np.int32)
        inverse = self._inverse[: width * height].reshape(height, width)
        owner = self._owner[: width * height].reshape(height, width)
        inverse.fill(0.0)
        owner.fill(-1)
        x = np.arange(left, left + width) + 0.5 - camera.width / 2
        y = np.arange(top, top + height) + 0.5 - camera.height / 2
        triangles = (candidates.bounds, candidates.planes, (left, top))
        _draw(triangles, 0, candidates.outside, (x, y, inverse, owner))
        _draw_hidden(triangles, candidates.outside, (x, y, inverse, owner))
        return owner

    def close(self) -> None:
        """Let go of the pictures."""
        self._inverse, self._owner = np.empty(0, np.float32), np.empty(0, np.int32)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _draw(triangles, first, end, pictures):
    """Draw candidates ``first`` to ``end`` over what is there.

    Each pixel keeps the highest 1 / z and whose it is.
    """
    bounds, planes, (first_column, first_row) = triangles
    x, y, inverse, owner = pictures
    for k in range(first, end):
        p = planes[k]
        least = (_least(p[0], p[1]), _least(p[3], p[4]), _least(p[6], p[7]))
        per_volume = 1.0 / p[VOLUME]
        left = np.uintp(bounds[k, 0] - first_column)
        columns = np.uintp(bounds[k, 1] - bounds[k, 0] + 1)
        for i in range(np.uintp(bounds[k, 2] - first_row), np.uintp(bounds[k, 3] - first_row + 1)):
            row0 = p[1] * y[i] + p[2]
            row1 = p[4] * y[i] + p[5]
            row2 = p[7] * y[i] + p[8]
            xs, inverses, owners = x[left:], inverse[i, left:], owner[i, left:]
            # Without a branch, so that the compiler handles several pixels at a time.
            for j in range(columns):
                e0, e1, e2 = p[0] * xs[j] + row0, p[3] * xs[j] + row1, p[6] * xs[j] + row2
                new, old = np.float32((e0 + e1 + e2) * per_volume), inverses[j]
                inside = (e0 > least[0]) & (e1 > least[1]) & (e2 > least[2])
                seen = inside & (new > old) & (new <= _HIGHEST_INVERSE)
                inverses[j] = new if seen else old
                owners[j] = np.int32(k) if seen else owners[j]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _draw_hidden(triangles, first, pictures):
    """Draw the candidates from ``first`` on, leaving out those behind what is there."""
    planes = triangles[1]
    for k in range(first, planes.shape[0]):
        if not _is_covered(pictures[2], triangles, k, np.float32(1.0 / planes[k, NEAREST])):
            _draw(triangles, k, k + 1, pictures)


@numba.njit(cache=True, nogil=True)
def _is_covered(inverse, triangles, k, nearest):
    """Whether all that candidate ``k`` may cover is nearer than its nearest corner, as 1 / z."""
    bounds, _, (first_column, first_row) = triangles
    left = np.uintp(bounds[k, 0] - first_column)
    columns = np.uintp(bounds[k, 1] - bounds[k, 0] + 1)
    for i in range(np.uintp(bounds[k, 2] - first_row), np.uintp(bounds[k, 3] - first_row + 1)):
        inverses = inverse[i, left:]
        for j in range(columns):
            if inverses[j] < nearest:
                return False
    return True


@numba.njit(cache=True, nogil=True, inline="always")
def _least(a, b):
    """What an edge's plane must exceed: a sample on it belongs to a top or left edge alone.

    Two triangles that share an edge see the same plane with opposite sign, to the last bit, so
    that each sample on it is drawn once.
    """
    return _JUST_OUTSIDE if a > 0.0 or (a == 0.0 and b > 0.0) else 0.0

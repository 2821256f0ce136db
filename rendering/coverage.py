"""Which triangles of a body may cover the centre of a pixel, and their edges as planes.

Everything is in homogeneous coordinates (Olano and Greer 1997): a pixel's ray is tested against the
planes through the camera and each triangle's edges. So a triangle needs no clipping (a sample
nearer than ``NEAR_METRES`` just does not count), and what the ray hits is exact under perspective.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from jaxtyping import Float32, Float64, Int32

from dataset.records import Camera
from rendering.buffers import NEAR_METRES
from rendering.mesh import Mesh

VOLUME, NEAREST, FARTHEST, SIDE = 9, 10, 11, 12
"""Columns of ``Candidates.planes`` after the nine of the edges."""

_COLUMNS = 13
_ROUNDING = 1e-6
"""By how much, relatively, a depth may leave its triangle's corners' by rounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """The triangles of one frame that may be seen, those that show their outside first.

    ``outside`` is how many those are. ``triangles`` are indices into the mesh, ``corners`` their
    vertices, ``bounds`` the first and last column, first and last row of the samples they may
    cover. ``planes`` holds for each the three planes (a, b, c) through the camera and the edge
    opposite to a corner, positive inside; the volume that corners and camera span; bounds of its
    depth; and -1 where the outside is seen, else 1. For the ray (x, y, 1) of a pixel, x and y
    counted from the principal point, the planes' values over their sum are the barycentric
    coordinates of what it hits, and the volume over their sum is its depth.
    """

    rectangle: tuple[int, int, int, int]  # left, top, width, height of what all may cover
    outside: int
    triangles: Int32[np.ndarray, " candidates"]
    corners: Int32[np.ndarray, "candidates 3"]
    bounds: Int32[np.ndarray, "candidates 4"]
    planes: Float64[np.ndarray, "candidates 13"]


class CandidateFinder:
    """Finds the candidates of a mesh, in arrays that it keeps: each call overwrites the last."""

    def __init__(self, mesh: Mesh) -> None:
        triangles = len(mesh.triangles)
        self._mesh = np.ascontiguousarray(mesh.triangles)
        self._points = np.empty((mesh.vertices, 5), np.float64)
        self._triangles = np.empty(triangles, np.int32)
        self._later = np.empty(triangles, np.int32)
        self._corners = np.empty((triangles, 3), np.int32)
        self._bounds = np.empty((triangles, 4), np.int32)
        self._planes = np.empty((triangles, _COLUMNS), np.float64)

    def find(
        self, positions: Float32[np.ndarray, "vertices 3"], camera: Camera
    ) -> Candidates | None:
        """The triangles that may be seen of vertices in camera space; None where there are none."""
        size = (float(camera.width), float(camera.height))
        _project(positions, camera.focal_length_px, size, self._points)
        arrays = (self._triangles, self._corners, self._bounds, self._planes)
        outside, found = _find(self._points, self._mesh, size, arrays, self._later)
        if not found:
            return None
        left, right, top, bottom = _union(self._bounds[:found])
        return Candidates(
            rectangle=(left, top, right - left + 1, bottom - top + 1),
            outside=outside,
            triangles=self._triangles[:found],
            corners=self._corners[:found],
            bounds=self._bounds[:found],
            planes=self._planes[:found],
        )


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _project(positions, focal_length_px, size, points):
    """Per vertex x f, y f and z, then where it is in samples: 0 is the first sample's centre."""
    for v in range(positions.shape[0]):
        z = np.float64(positions[v, 2])
        for axis in range(2):
            points[v, axis] = positions[v, axis] * np.float64(focal_length_px)
            points[v, 3 + axis] = points[v, axis] / z + size[axis] / 2 - 0.5
        points[v, 2] = z


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _find(points, mesh, size, arrays, later):
    """Fill ``arrays``; how many show their outside and how many there are in all."""
    found, postponed = 0, 0
    for t in range(mesh.shape[0]):
        a, b, c = mesh[t, 0], mesh[t, 1], mesh[t, 2]
        bounds = _pixel_bounds(points, (a, b, c), size)
        if bounds[0] > bounds[1] or bounds[2] > bounds[3]:
            continue
        ux, vx = points[b, 3] - points[a, 3], points[c, 3] - points[a, 3]
        uy, vy = points[b, 4] - points[a, 4], points[c, 4] - points[a, 4]
        if ux * vy > uy * vx:  # its inside is seen: what covers it most likely comes first
            later[postponed] = t
            postponed += 1
        else:
            found += _set_up(points, (a, b, c), (t, found), bounds, arrays)
    outside = found
    for t in later[:postponed]:
        corners = (mesh[t, 0], mesh[t, 1], mesh[t, 2])
        bounds = _pixel_bounds(points, corners, size)
        found += _set_up(points, corners, (t, found), bounds, arrays)
    return outside, found


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _set_up(points, corners, names, bounds, arrays):
    """Write a triangle as candidate; 1, or 0 where it is none, being seen exactly from its edge.

    ``names``: its index in the mesh and among the candidates.
    """
    a, b, c = corners
    t, k = names
    triangles, all_corners, all_bounds, planes = arrays
    h0 = (points[a, 0], points[a, 1], points[a, 2])
    h1 = (points[b, 0], points[b, 1], points[b, 2])
    h2 = (points[c, 0], points[c, 1], points[c, 2])
    a0, b0, c0 = _cross(h1, h2)
    a1, b1, c1 = _cross(h2, h0)
    a2, b2, c2 = _cross(h0, h1)
    volume = h0[0] * a0 + h0[1] * b0 + h0[2] * c0
    s = -1.0 if volume < 0.0 else 1.0
    triangles[k] = t
    all_corners[k, 0], all_corners[k, 1], all_corners[k, 2] = a, b, c
    all_bounds[k, 0], all_bounds[k, 1], all_bounds[k, 2], all_bounds[k, 3] = bounds
    planes[k, 0], planes[k, 1], planes[k, 2] = s * a0, s * b0, s * c0
    planes[k, 3], planes[k, 4], planes[k, 5] = s * a1, s * b1, s * c1
    planes[k, 6], planes[k, 7], planes[k, 8] = s * a2, s * b2, s * c2
    planes[k, VOLUME], planes[k, SIDE] = s * volume, s
    planes[k, NEAREST] = max(min(h0[2], h1[2], h2[2]), NEAR_METRES) * (1 - _ROUNDING)
    planes[k, FARTHEST] = max(h0[2], h1[2], h2[2]) * (1 + _ROUNDING)
    return 1 if volume != 0.0 else 0


@numba.njit(cache=True, nogil=True, inline="always")
def _cross(a, b):
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _pixel_bounds(points, corners, size):
    """First and last column, first and last row whose samples the triangle may cover."""
    a, b, c = corners
    if min(points[a, 2], points[b, 2], points[c, 2]) >= NEAR_METRES:
        low_x, high_x = _extent(points[a, 3], points[b, 3], points[c, 3])
        low_y, high_y = _extent(points[a, 4], points[b, 4], points[c, 4])
    else:
        low_x, high_x, low_y, high_y = _clipped_bounds(points, corners, size)
    # Clamped before they become integers: what is nearly behind the camera lands far outside.
    return (
        np.int32(np.ceil(min(max(low_x, 0.0), size[0]))),
        np.int32(np.floor(max(min(high_x, size[0] - 1.0), -1.0))),
        np.int32(np.ceil(min(max(low_y, 0.0), size[1]))),
        np.int32(np.floor(max(min(high_y, size[1] - 1.0), -1.0))),
    )


@numba.njit(cache=True, nogil=True, inline="always")
def _extent(a, b, c):
    return min(a, b, c), max(a, b, c)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _clipped_bounds(points, corners, size):
    """Smallest and largest column and row, in samples, of what lies in front of the near plane."""
    low_x, high_x, low_y, high_y = np.inf, -np.inf, np.inf, -np.inf
    for k in range(3):
        a, b = points[corners[k]], points[corners[(k + 1) % 3]]
        if a[2] >= NEAR_METRES:
            low_x, high_x = min(low_x, a[3]), max(high_x, a[3])
            low_y, high_y = min(low_y, a[4]), max(high_y, a[4])
        if (a[2] >= NEAR_METRES) != (b[2] >= NEAR_METRES):
            along = (NEAR_METRES - a[2]) / (b[2] - a[2])
            x = (a[0] + along * (b[0] - a[0])) / NEAR_METRES + size[0] / 2 - 0.5
            y = (a[1] + along * (b[1] - a[1])) / NEAR_METRES + size[1] / 2 - 0.5
            low_x, high_x = min(low_x, x), max(high_x, x)
            low_y, high_y = min(low_y, y), max(high_y, y)
    if low_x > high_x:
        return 1.0, 0.0, 1.0, 0.0
    return low_x, high_x, low_y, high_y


@numba.njit(cache=True, nogil=True)
def _union(bounds):
    left, right, top, bottom = bounds[0, 0], bounds[0, 1], bounds[0, 2], bounds[0, 3]
    for k in range(1, bounds.shape[0]):
        left, right = min(left, bounds[k, 0]), max(right, bounds[k, 1])
        top, bottom = min(top, bounds[k, 2]), max(bottom, bounds[k, 3])
    return left, right, top, bottom

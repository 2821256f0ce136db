"""The triangle mesh of a body and the smooth normals of its vertices."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from jaxtyping import Float32, Int32

from dataset.records import SMPL_JOINTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Mesh:
    """What stays the same of a body from frame to frame.

    ``triangles`` are vertex indices, counter-clockwise seen from outside the body, so that
    ``cross(v1 - v0, v2 - v0)`` points outwards. ``vertex_parts`` is the SMPL joint each vertex
    belongs to: the argmax of its skinning weights (conventions: Body model).

    Raises:
        ValueError: wrong shapes, an index without a vertex, or a part that is no SMPL joint.
    """

    triangles: Int32[np.ndarray, "triangles 3"]
    vertex_parts: Int32[np.ndarray, " vertices"]

    def __post_init__(self) -> None:
        _check_indices("triangles", self.triangles, limit=len(self.vertex_parts), ndim=2)
        _check_indices("vertex_parts", self.vertex_parts, limit=len(SMPL_JOINTS), ndim=1)
        if self.triangles.shape[1] != 3:
            raise ValueError(f"expected triangles of shape (T, 3), got {self.triangles.shape}")

    @property
    def vertices(self) -> int:
        """How many vertices the mesh has."""
        return len(self.vertex_parts)

    def triangle_parts(self) -> Int32[np.ndarray, " triangles"]:
        """The part each triangle belongs to: that of most of its vertices, else of its first."""
        first, second, third = self.vertex_parts[self.triangles].T
        return np.where(second == third, second, first).astype(np.int32)


def _check_indices(name: str, indices: np.ndarray, *, limit: int, ndim: int) -> None:
    if indices.dtype != np.int32 or indices.ndim != ndim:
        raise ValueError(
            f"expected {name} as int32 with {ndim} axes, got {indices.dtype} of {indices.shape}"
        )
    if indices.size and not (indices.min() >= 0 and indices.max() < limit):
        raise ValueError(f"expected {name} in [0, {limit}), got [{indices.min()}, {indices.max()}]")


def vertex_normals(
    vertices: Float32[np.ndarray, "frames vertices 3"], triangles: Int32[np.ndarray, "triangles 3"]
) -> Float32[np.ndarray, "frames vertices 3"]:
    """Smooth unit normals: the mean of the normals of a vertex's triangles, weighted by angle.

    The weight of a triangle is its angle at the vertex (Thürmer and Wüthrich 1998), which does not
    depend on how a surface happens to be cut into triangles. Triangles without area do not count; a
    vertex without triangles gets the zero vector. Same axes as ``vertices``, pointing outwards.
    """
    normals = np.empty(vertices.shape, np.float32)
    for frame in range(len(vertices)):
        _frame_normals(np.ascontiguousarray(vertices[frame]), triangles, normals[frame])
    return normals


@numba.njit(cache=True, nogil=True)
def _frame_normals(vertices: np.ndarray, triangles: np.ndarray, normals: np.ndarray) -> None:
    sums = np.zeros(vertices.shape, np.float64)
    edges = np.empty((3, 3), np.float64)  # edge k runs from corner k to corner k + 1
    for t in range(triangles.shape[0]):
        for k in range(3):
            start, end = triangles[t, k], triangles[t, (k + 1) % 3]
            for axis in range(3):
                edges[k, axis] = float(vertices[end, axis]) - float(vertices[start, axis])
        nx = edges[0, 1] * edges[1, 2] - edges[0, 2] * edges[1, 1]
        ny = edges[0, 2] * edges[1, 0] - edges[0, 0] * edges[1, 2]
        nz = edges[0, 0] * edges[1, 1] - edges[0, 1] * edges[1, 0]
        doubled_area = np.sqrt(nx * nx + ny * ny + nz * nz)
        if doubled_area == 0.0:
            continue
        last_angle = np.pi  # the angles of a triangle sum to pi: two arctangents are enough
        for k in range(3):
            if k < 2:
                a, b = edges[k], edges[(k + 2) % 3]
                dot = -(a[0] * b[0] + a[1] * b[1] + a[2] * b[2])
                angle = np.arctan2(doubled_area, dot)
                last_angle -= angle
            else:
                angle = last_angle
            weight = angle / doubled_area
            vertex = triangles[t, k]
            sums[vertex, 0] += weight * nx
            sums[vertex, 1] += weight * ny
            sums[vertex, 2] += weight * nz
    for v in range(vertices.shape[0]):
        length = np.sqrt(sums[v, 0] ** 2 + sums[v, 1] ** 2 + sums[v, 2] ** 2)
        scale = 1.0 / length if length > 0.0 else 0.0
        for axis in range(3):
            normals[v, axis] = sums[v, axis] * scale

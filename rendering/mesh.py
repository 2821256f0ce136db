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
        frame_normals(np.ascontiguousarray(vertices[frame]), triangles, normals[frame])
    return normals


_BLOCK = 256
_NO_AREA = np.float32(1e-18)  # square metres; smaller ones have no direction in float32
_PI = np.float32(np.pi)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def frame_normals(
    vertices: Float32[np.ndarray, "vertices 3"],
    triangles: Int32[np.ndarray, "triangles 3"],
    normals: Float32[np.ndarray, "vertices 3"],
) -> None:
    """``vertex_normals`` of one frame, written into ``normals``."""
    normals[:] = 0.0
    # A block of triangles at a time, component by component: the compiler then does the angles of
    # eight triangles at once, and a block stays in the cache.
    cross, weights = np.empty((3, _BLOCK), np.float32), np.empty((3, _BLOCK), np.float32)
    for start in range(0, triangles.shape[0], _BLOCK):
        block = triangles[start : start + _BLOCK]
        _cross_and_dots(vertices, block, cross, weights)
        _dots_to_weights(cross, weights)
        for t in range(block.shape[0]):
            for corner in range(3):
                for axis in range(3):
                    normals[block[t, corner], axis] += weights[corner, t] * cross[axis, t]
    for v in range(normals.shape[0]):
        x, y, z = normals[v, 0], normals[v, 1], normals[v, 2]
        length = np.sqrt(x * x + y * y + z * z)
        scale = np.float32(1.0) / length if length > 0.0 else np.float32(0.0)
        for axis in range(3):
            normals[v, axis] *= scale


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _cross_and_dots(vertices, triangles, cross, dots):
    """Per triangle the cross product of its edges, and at each corner the edges' dot product."""
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ux, vx = vertices[b, 0] - vertices[a, 0], vertices[c, 0] - vertices[a, 0]
        uy, vy = vertices[b, 1] - vertices[a, 1], vertices[c, 1] - vertices[a, 1]
        uz, vz = vertices[b, 2] - vertices[a, 2], vertices[c, 2] - vertices[a, 2]
        cross[0, t] = uy * vz - uz * vy
        cross[1, t] = uz * vx - ux * vz
        cross[2, t] = ux * vy - uy * vx
        dot = ux * vx + uy * vy + uz * vz
        dots[0, t] = dot
        dots[1, t] = ux * ux + uy * uy + uz * uz - dot
        dots[2, t] = vx * vx + vy * vy + vz * vz - dot


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _dots_to_weights(cross, weights):
    """Turn the dot products at the corners into angle over doubled area, in place."""
    for t in range(weights.shape[1]):
        x, y, z = cross[0, t], cross[1, t], cross[2, t]
        doubled_area = np.sqrt(x * x + y * y + z * z)
        scale = np.float32(1.0) / doubled_area if doubled_area > _NO_AREA else np.float32(0.0)
        first = _angle(doubled_area, weights[0, t])
        second = _angle(doubled_area, weights[1, t])
        weights[0, t], weights[1, t] = first * scale, second * scale
        weights[2, t] = (_PI - first - second) * scale  # the angles of a triangle sum to pi


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _angle(sine, cosine):
    """The angle in [0, pi] of a sine and a cosine times the same length, to 1e-6, without branches.

    Source: the polynomial of the arctangent on [0, 1], Abramowitz and Stegun 4.4.49.
    """
    size = abs(cosine)
    q = min(size, sine) / max(max(size, sine), np.float32(1e-30))
    s = q * q
    angle = np.float32(0.0028662257)
    for factor in (
        -0.0161657367, 0.0429096138, -0.0752896400, 0.1065626393, -0.1420889944, 0.1999355085,
        -0.3333314528, 1.0,
    ):  # fmt: skip
        angle = angle * s + np.float32(factor)
    angle *= q
    acute = _PI / np.float32(2.0) - angle if sine > size else angle
    return _PI - acute if cosine < 0.0 else acute

"""The CPU rasteriser: a z-buffer without a graphics library, with the result OpenGL gives.

It rasterises in homogeneous coordinates (Olano and Greer 1997): a pixel's ray is tested against the
planes through the camera and each triangle's edges. So a triangle needs no clipping (a sample
nearer than ``NEAR_METRES`` just does not count), and what the ray hits is exact under perspective.
"""

from __future__ import annotations

import numba
import numpy as np
from jaxtyping import Float32

from dataset.records import Camera
from rendering.colours import vertex_colours
from rendering.mesh import Mesh, vertex_normals
from rendering.rasterizer import NEAR_METRES, Buffers, check_scene, empty_buffers


class CpuRasterizer:
    """Draws on one CPU thread, without holding the interpreter lock."""

    name = "cpu"

    def rasterize(
        self, vertices: Float32[np.ndarray, "frames vertices 3"], mesh: Mesh, camera: Camera
    ) -> Buffers:
        """Draw every frame of ``vertices``: camera space, metres, translation added.

        Raises:
            ValueError: vertices of another mesh, not finite, or a camera without a picture.
        """
        check_scene(vertices, mesh, camera)
        buffers = empty_buffers(len(vertices), camera)
        normals = vertex_normals(vertices, mesh.triangles)
        colours = vertex_colours(mesh.vertex_parts)
        parts = mesh.triangle_parts().astype(np.int8)
        owner = np.empty((camera.height, camera.width), np.int32)
        for frame, z in enumerate(buffers.z):
            corners = _homogeneous(vertices[frame], camera.focal_length_px)
            _find_nearest(corners, mesh.triangles, z, owner)
            _interpolate(
                (corners, normals[frame], colours),
                (mesh.triangles, parts),
                owner,
                (buffers.normal[frame], buffers.semantic[frame]),
                (buffers.mask[frame], buffers.part[frame]),
            )
        return buffers

    def close(self) -> None:
        """Nothing is held between calls."""


def _homogeneous(vertices: np.ndarray, focal_length_px: float) -> np.ndarray:
    """(x f, y f, z) in float64: pixels from the principal point, once divided by z."""
    return vertices.astype(np.float64) * (focal_length_px, focal_length_px, 1.0)


@numba.njit(cache=True, nogil=True)
def _find_nearest(
    corners: np.ndarray, triangles: np.ndarray, z: np.ndarray, owner: np.ndarray
) -> None:
    """Write the depth of the nearest triangle of each pixel, and its index (-1: none)."""
    height, width = z.shape
    owner[:] = -1
    for t in range(triangles.shape[0]):
        h0 = _corner(corners, triangles[t, 0])
        h1 = _corner(corners, triangles[t, 1])
        h2 = _corner(corners, triangles[t, 2])
        left, right, top, bottom = _pixel_bounds((h0, h1, h2), width, height)
        if left > right or top > bottom:
            continue
        p0, p1, p2, volume = _edge_planes(h0, h1, h2)
        volume = abs(volume)
        if volume == 0.0:
            continue
        for i in range(top, bottom + 1):
            y = i + 0.5 - height / 2
            for j in range(left, right + 1):
                x = j + 0.5 - width / 2
                e0, e1, e2 = _at(p0, x, y), _at(p1, x, y), _at(p2, x, y)
                if not (_owns(e0, p0) and _owns(e1, p1) and _owns(e2, p2)):
                    continue
                total = e0 + e1 + e2
                if 0.0 < total * NEAR_METRES <= volume and (
                    owner[i, j] < 0 or volume < np.float64(z[i, j]) * total
                ):
                    z[i, j] = volume / total
                    owner[i, j] = t


@numba.njit(cache=True, nogil=True)
def _interpolate(vertex_data, triangle_data, owner, values, labels) -> None:
    """Fill in what each pixel's triangle says there.

    ``vertex_data``: homogeneous corners, normals, colours. ``triangle_data``: corners, parts.
    ``values``: normal and semantic pictures. ``labels``: mask and part pictures.
    """
    corners, normals, colours = vertex_data
    triangles, parts = triangle_data
    normal, semantic = values
    mask, part = labels
    height, width = owner.shape
    for i in range(height):
        y = i + 0.5 - height / 2
        for j in range(width):
            t = owner[i, j]
            if t < 0:
                continue
            a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
            p0, p1, p2, volume = _edge_planes(
                _corner(corners, a), _corner(corners, b), _corner(corners, c)
            )
            x = j + 0.5 - width / 2
            w0, w1, w2 = _at(p0, x, y), _at(p1, x, y), _at(p2, x, y)
            side = -1.0 if volume > 0.0 else 1.0  # the inside is seen: its normal is the opposite
            n0 = side * (w0 * normals[a, 0] + w1 * normals[b, 0] + w2 * normals[c, 0])
            n1 = side * (w0 * normals[a, 1] + w1 * normals[b, 1] + w2 * normals[c, 1])
            n2 = side * (w0 * normals[a, 2] + w1 * normals[b, 2] + w2 * normals[c, 2])
            length = np.sqrt(n0 * n0 + n1 * n1 + n2 * n2)
            if length > 0.0:
                normal[i, j, 0], normal[i, j, 1] = n0 / length, n1 / length
                normal[i, j, 2] = n2 / length
            total = w0 + w1 + w2
            for k in range(3):
                blend = w0 * colours[a, k] + w1 * colours[b, k] + w2 * colours[c, k]
                semantic[i, j, k] = blend / total
            mask[i, j] = True
            part[i, j] = parts[t]


@numba.njit(cache=True, nogil=True, inline="always")
def _corner(corners, vertex):
    return corners[vertex, 0], corners[vertex, 1], corners[vertex, 2]


@numba.njit(cache=True, nogil=True, inline="always")
def _edge_planes(h0, h1, h2):
    """The planes through the camera and the edge opposite to each corner, positive inside.

    Also the signed volume that corners and camera span: negative where the outside is seen. For a
    ray (x, y, 1), the planes' values over their sum are the barycentric coordinates of what it
    hits, and the volume over their sum is its depth.
    """
    a0, b0, c0 = _cross(h1, h2)
    a1, b1, c1 = _cross(h2, h0)
    a2, b2, c2 = _cross(h0, h1)
    volume = h0[0] * a0 + h0[1] * b0 + h0[2] * c0
    s = -1.0 if volume < 0.0 else 1.0
    return (s * a0, s * b0, s * c0), (s * a1, s * b1, s * c1), (s * a2, s * b2, s * c2), volume


@numba.njit(cache=True, nogil=True, inline="always")
def _cross(a, b):
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


@numba.njit(cache=True, nogil=True, inline="always")
def _at(plane, x, y):
    return plane[0] * x + (plane[1] * y + plane[2])


@numba.njit(cache=True, nogil=True, inline="always")
def _owns(distance, plane):
    """Whether a sample is inside an edge; one exactly on it belongs to a top or left edge alone.

    Two triangles that share an edge see the same plane with opposite sign, to the last bit, so
    that each sample on it is drawn once.
    """
    return distance > 0.0 or (
        distance == 0.0 and (plane[0] > 0.0 or (plane[0] == 0.0 and plane[1] > 0.0))
    )


@numba.njit(cache=True, nogil=True)
def _pixel_bounds(corners, width, height):
    """First and last column, first and last row whose samples the triangle may cover.

    Of a triangle that reaches behind the near plane, only what lies in front of it counts.
    """
    low_x, high_x, low_y, high_y = np.inf, -np.inf, np.inf, -np.inf
    for k in range(3):
        a, b = corners[k], corners[(k + 1) % 3]
        if a[2] >= NEAR_METRES:
            x, y = a[0] / a[2], a[1] / a[2]
            low_x, high_x, low_y, high_y = _grow(low_x, high_x, low_y, high_y, x, y)
        if (a[2] >= NEAR_METRES) != (b[2] >= NEAR_METRES):
            along = (NEAR_METRES - a[2]) / (b[2] - a[2])
            x = (a[0] + along * (b[0] - a[0])) / NEAR_METRES
            y = (a[1] + along * (b[1] - a[1])) / NEAR_METRES
            low_x, high_x, low_y, high_y = _grow(low_x, high_x, low_y, high_y, x, y)
    if low_x > high_x:
        return 0, -1, 0, -1
    # Clamped before they become integers: what is nearly behind the camera lands far outside.
    return (
        int(np.ceil(max(low_x + width / 2 - 0.5, 0.0))),
        int(np.floor(min(high_x + width / 2 - 0.5, width - 1.0))),
        int(np.ceil(max(low_y + height / 2 - 0.5, 0.0))),
        int(np.floor(min(high_y + height / 2 - 0.5, height - 1.0))),
    )


@numba.njit(cache=True, nogil=True, inline="always")
def _grow(low_x, high_x, low_y, high_y, x, y):
    return min(low_x, x), max(high_x, x), min(low_y, y), max(high_y, y)

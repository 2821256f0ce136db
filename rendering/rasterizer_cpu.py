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
    planes = np.empty((3, 3))
    for t in range(triangles.shape[0]):
        h0, h1, h2 = corners[triangles[t, 0]], corners[triangles[t, 1]], corners[triangles[t, 2]]
        x0, x1, y0, y1 = _pixel_bounds(h0, h1, h2, width, height)
        if x0 > x1 or y0 > y1:
            continue
        volume = abs(_edge_planes(h0, h1, h2, planes))
        if volume == 0.0:
            continue
        for i in range(y0, y1 + 1):
            y = i + 0.5 - height / 2
            for j in range(x0, x1 + 1):
                x = j + 0.5 - width / 2
                e0 = planes[0, 0] * x + planes[0, 1] * y + planes[0, 2]
                e1 = planes[1, 0] * x + planes[1, 1] * y + planes[1, 2]
                e2 = planes[2, 0] * x + planes[2, 1] * y + planes[2, 2]
                if not (_owns(e0, planes[0]) and _owns(e1, planes[1]) and _owns(e2, planes[2])):
                    continue
                total = e0 + e1 + e2
                if total * NEAR_METRES <= volume and (
                    owner[i, j] < 0 or volume < np.float64(z[i, j]) * total
                ):
                    z[i, j] = volume / total
                    owner[i, j] = t


@numba.njit(cache=True, nogil=True, inline="always")
def _owns(distance: float, plane: np.ndarray) -> bool:
    """Whether a sample is inside an edge; one exactly on it belongs to a top or left edge alone.

    Two triangles that share an edge see the same plane with opposite sign, to the last bit, so
    that each sample on it is drawn once.
    """
    if distance != 0.0:
        return distance > 0.0
    return plane[0] > 0.0 or (plane[0] == 0.0 and plane[1] > 0.0)


@numba.njit(cache=True, nogil=True, inline="always")
def _edge_planes(h0: np.ndarray, h1: np.ndarray, h2: np.ndarray, planes: np.ndarray) -> float:
    """The planes through the camera and the edges opposite to each corner, positive inside.

    Returns the signed volume that corners and camera span: negative where the outside is seen. For
    a ray (x, y, 1), the planes' values over their sum are the barycentric coordinates of what it
    hits, and the volume over their sum is its depth.
    """
    _cross(h1, h2, planes[0])
    _cross(h2, h0, planes[1])
    _cross(h0, h1, planes[2])
    volume = h0[0] * planes[0, 0] + h0[1] * planes[0, 1] + h0[2] * planes[0, 2]
    if volume < 0.0:
        for k in range(3):
            for axis in range(3):
                planes[k, axis] = -planes[k, axis]
    return volume


@numba.njit(cache=True, nogil=True, inline="always")
def _cross(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
    out[0] = a[1] * b[2] - a[2] * b[1]
    out[1] = a[2] * b[0] - a[0] * b[2]
    out[2] = a[0] * b[1] - a[1] * b[0]


@numba.njit(cache=True, nogil=True)
def _pixel_bounds(
    h0: np.ndarray, h1: np.ndarray, h2: np.ndarray, width: int, height: int
) -> tuple[int, int, int, int]:
    """First and last column, first and last row whose samples the triangle may cover.

    Of a triangle that reaches behind the near plane, only what lies in front of it counts.
    """
    low_x, high_x, low_y, high_y = np.inf, -np.inf, np.inf, -np.inf
    for k in range(3):
        a = h0 if k == 0 else (h1 if k == 1 else h2)
        b = h1 if k == 0 else (h2 if k == 1 else h0)
        if a[2] >= NEAR_METRES:
            x, y = a[0] / a[2], a[1] / a[2]
            low_x, high_x = min(low_x, x), max(high_x, x)
            low_y, high_y = min(low_y, y), max(high_y, y)
        if (a[2] >= NEAR_METRES) != (b[2] >= NEAR_METRES):
            along = (NEAR_METRES - a[2]) / (b[2] - a[2])
            x = (a[0] + along * (b[0] - a[0])) / NEAR_METRES
            y = (a[1] + along * (b[1] - a[1])) / NEAR_METRES
            low_x, high_x = min(low_x, x), max(high_x, x)
            low_y, high_y = min(low_y, y), max(high_y, y)
    if low_x > high_x:
        return 0, -1, 0, -1
    # Clamped before they become integers: what is nearly behind the camera lands far outside.
    return (
        int(np.ceil(max(low_x + width / 2 - 0.5, 0.0))),
        int(np.floor(min(high_x + width / 2 - 0.5, width - 1.0))),
        int(np.ceil(max(low_y + height / 2 - 0.5, 0.0))),
        int(np.floor(min(high_y + height / 2 - 0.5, height - 1.0))),
    )


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
    planes = np.empty((3, 3))
    for i in range(height):
        y = i + 0.5 - height / 2
        for j in range(width):
            t = owner[i, j]
            if t < 0:
                continue
            a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
            volume = _edge_planes(corners[a], corners[b], corners[c], planes)
            x = j + 0.5 - width / 2
            w0 = planes[0, 0] * x + planes[0, 1] * y + planes[0, 2]
            w1 = planes[1, 0] * x + planes[1, 1] * y + planes[1, 2]
            w2 = planes[2, 0] * x + planes[2, 1] * y + planes[2, 2]
            total = w0 + w1 + w2
            side = -1.0 if volume > 0.0 else 1.0  # the inside is seen: its normal is the opposite
            w0, w1, w2 = w0 / total, w1 / total, w2 / total
            squared = 0.0
            for k in range(3):
                n = side * (w0 * normals[a, k] + w1 * normals[b, k] + w2 * normals[c, k])
                squared += n * n
                normal[i, j, k] = n
                semantic[i, j, k] = w0 * colours[a, k] + w1 * colours[b, k] + w2 * colours[c, k]
            if squared > 0.0:
                for k in range(3):
                    normal[i, j, k] /= np.sqrt(squared)
            mask[i, j] = True
            part[i, j] = parts[t]

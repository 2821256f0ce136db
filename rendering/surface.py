"""What is where each pixel's ray meets the body: as numbers, or straight as 8-bit maps.

Both read the same picture: which triangle owns a pixel. A value v in [0, 1] becomes the grey level
``floor(255 v + 0.5)``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from jaxtyping import Float32, Int8, Int32, UInt8

from dataset.records import Camera
from rendering.buffers import Buffers
from rendering.colours import PART_COLOURS, srgb_table, vertex_colours
from rendering.coverage import FARTHEST, NEAREST, SIDE, VOLUME, Candidates
from rendering.mesh import Mesh


@dataclass(frozen=True, slots=True, kw_only=True)
class Skin:
    """The parts of a mesh: of each triangle, and the colour of each vertex in linear light.

    ``plain`` is the part of a triangle whose corners all belong to it, -1 where parts meet.
    """

    parts: Int8[np.ndarray, " triangles"]
    plain: Int8[np.ndarray, " triangles"]
    colours: Float32[np.ndarray, "vertices 3"]

    @classmethod
    def of(cls, mesh: Mesh) -> Skin:
        """What the parts of a mesh say."""
        first, second, third = mesh.vertex_parts[mesh.triangles].T
        alike = (first == second) & (second == third)
        return cls(
            parts=mesh.triangle_parts().astype(np.int8),
            plain=np.where(alike, first, -1).astype(np.int8),
            colours=vertex_colours(mesh.vertex_parts),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """One frame's body as a camera sees it: the candidate that owns each pixel of a rectangle.

    ``owner`` is -1 where there is no body; ``normals`` are those of the mesh's vertices; ``z`` is
    room to work in.
    """

    candidates: Candidates
    owner: Int32[np.ndarray, "height width"]
    z: Float32[np.ndarray, "height width"]
    normals: Float32[np.ndarray, "vertices 3"]
    skin: Skin
    camera: Camera

    def fill(self, buffers: Buffers, frame: int) -> None:
        """Write a frame of buffers in which there is no body yet."""
        window = (frame, *self._window())
        values = (buffers.z, buffers.normal, buffers.semantic, buffers.mask, buffers.part)
        _fill_buffers(
            self._arrays(),
            (self.skin.parts, self.skin.colours),
            self._rays(),
            tuple(value[window] for value in values),
        )

    def draw(
        self,
        depth: UInt8[np.ndarray, "height width"],
        normal: UInt8[np.ndarray, "height width 3"],
        semantic_map: UInt8[np.ndarray, "height width 3"],
        mask: UInt8[np.ndarray, "height width"],
    ) -> None:
        """Draw the frame's maps into pictures that are all 0."""
        window = self._window()
        extent = _draw_maps(
            self._arrays(),
            (self.skin.plain, self.skin.colours, PART_COLOURS, srgb_table()),
            self._rays(),
            (self.z, normal[window], semantic_map[window], mask[window]),
        )
        encode_depth(self.z, self.owner, extent, depth[window])

    def _window(self) -> tuple[slice, slice]:
        left, top, width, height = self.candidates.rectangle
        return slice(top, top + height), slice(left, left + width)

    def _rays(self) -> tuple[np.ndarray, np.ndarray]:
        """x of each column and y of each row, in pixels from the principal point."""
        left, top, width, height = self.candidates.rectangle
        x = np.arange(left, left + width) + 0.5 - self.camera.width / 2
        return x, np.arange(top, top + height) + 0.5 - self.camera.height / 2

    def _arrays(self) -> tuple[np.ndarray, ...]:
        candidates = self.candidates
        return (
            self.owner, candidates.triangles, candidates.corners, candidates.planes, self.normals
        )  # fmt: skip


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _draw_maps(arrays, skin, rays, pictures):
    """Draw normal, semantic map and mask, and put z aside; the nearest and farthest z."""
    owner, triangles, corners, planes, normals = arrays
    plain, colours, palette, table = skin
    z, normal, semantic, mask = pictures
    nearest, farthest = np.inf, -np.inf
    for i in range(owner.shape[0]):
        for j in range(owner.shape[1]):
            k = owner[i, j]
            if k < 0:
                continue
            weights, depth = _hit(planes, k, rays[0][j], rays[1][i])
            z[i, j] = depth
            nearest, farthest = min(nearest, depth), max(farthest, depth)
            mask[i, j] = 255
            x, y, toward = _normal(normals, corners, k, weights, planes[k, SIDE])
            normal[i, j, 0] = normal_grey(x)
            normal[i, j, 1] = normal_grey(-y)  # y is down, G is up
            normal[i, j, 2] = normal_grey(-toward)
            part = plain[triangles[k]]
            for c in range(3):
                if part >= 0:
                    semantic[i, j, c] = palette[part, c]
                else:
                    semantic[i, j, c] = light_grey(_light(colours, corners, k, weights, c), table)
    return float(nearest), float(farthest)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _fill_buffers(arrays, skin, rays, buffers):
    """Write z, normal, colour, mask and part."""
    owner, triangles, corners, planes, normals = arrays
    parts, colours = skin
    z, normal, semantic, mask, part = buffers
    for i in range(owner.shape[0]):
        for j in range(owner.shape[1]):
            k = owner[i, j]
            if k < 0:
                continue
            weights, z[i, j] = _hit(planes, k, rays[0][j], rays[1][i])
            normal[i, j] = _normal(normals, corners, k, weights, planes[k, SIDE])
            for c in range(3):
                semantic[i, j, c] = _light(colours, corners, k, weights, c)
            mask[i, j] = True
            part[i, j] = parts[triangles[k]]


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _hit(planes, k, x, y):
    """The barycentric coordinates of what a ray hits of a candidate, and its depth.

    A rasteriser that rounds corners to parts of a pixel may give a sample to a triangle that it
    misses by so much: it has the colours of the edge, at a depth that the triangle has.
    """
    w0 = planes[k, 0] * x + (planes[k, 1] * y + planes[k, 2])
    w1 = planes[k, 3] * x + (planes[k, 4] * y + planes[k, 5])
    w2 = planes[k, 6] * x + (planes[k, 7] * y + planes[k, 8])
    z = planes[k, VOLUME] / max(w0 + w1 + w2, 1e-300)
    z = min(max(z, planes[k, NEAREST]), planes[k, FARTHEST])
    w0, w1, w2 = max(w0, 0.0), max(w1, 0.0), max(w2, 0.0)
    per_total = 1.0 / max(w0 + w1 + w2, 1e-300)
    weights = (np.float32(w0 * per_total), np.float32(w1 * per_total), np.float32(w2 * per_total))
    return weights, np.float32(z)


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _normal(normals, corners, k, weights, side):
    """The unit normal on the side that is seen, camera axes; zero where the vertices have none."""
    a, b, c = corners[k, 0], corners[k, 1], corners[k, 2]
    x = weights[0] * normals[a, 0] + weights[1] * normals[b, 0] + weights[2] * normals[c, 0]
    y = weights[0] * normals[a, 1] + weights[1] * normals[b, 1] + weights[2] * normals[c, 1]
    z = weights[0] * normals[a, 2] + weights[1] * normals[b, 2] + weights[2] * normals[c, 2]
    length = np.sqrt(x * x + y * y + z * z)
    scale = np.float32(-side) / length if length > 0.0 else np.float32(0.0)
    return x * scale, y * scale, z * scale


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _light(colours, corners, k, weights, channel):
    """The blended colour in linear light."""
    return (
        weights[0] * colours[corners[k, 0], channel]
        + weights[1] * colours[corners[k, 1], channel]
        + weights[2] * colours[corners[k, 2], channel]
    )


@numba.njit(cache=True, nogil=True, inline="always")
def normal_grey(component):
    """The grey level of a component of a unit normal: 0.5 + 0.5 times it."""
    return np.uint8(np.float32(128.0) + np.float32(127.5) * component)


@numba.njit(cache=True, nogil=True, inline="always")
def light_grey(light, table):
    """The grey level of linear light in [0, 1], by ``srgb_table``."""
    return table[np.int64(light * np.float32(65535.0) + np.float32(0.5))]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def encode_depth(
    z: Float32[np.ndarray, "height width"],
    owner: Int32[np.ndarray, "height width"],
    extent: tuple[float, float],
    picture: UInt8[np.ndarray, "height width"],
) -> None:
    """Nearness where ``owner`` is not negative, linear in z: nearest 255, farthest 0."""
    nearest, farthest = np.float32(extent[0]), np.float32(extent[1])
    scale = np.float32(255.0) / (farthest - nearest) if farthest > nearest else np.float32(0.0)
    for i in range(z.shape[0]):
        for j in range(z.shape[1]):
            if owner[i, j] >= 0:
                picture[i, j] = np.uint8(np.float32(255.5) - scale * (z[i, j] - nearest))

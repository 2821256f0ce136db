"""The guidance maps as pure functions of what was rasterised (conventions: Guidance maps).

Each takes ``Buffers`` and gives 8-bit pictures of the same frames and size; the background is 0. A
value v in [0, 1] becomes the grey level ``floor(255 v + 0.5)``. ``draw_body`` draws them all at
once, without buffers between, and ``draw_maps`` those and the skeleton.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numba
import numpy as np
from jaxtyping import Float32, UInt8

from dataset.records import Camera, GuidanceMaps
from rendering.camera import check_camera
from rendering.colours import PART_COLOURS, srgb_table
from rendering.mesh import Mesh
from rendering.rasterizer import Buffers, Rasterizer
from rendering.skeleton import draw_dwpose
from rendering.surface import encode_depth, light_grey, normal_grey

__all__ = [
    "PART_COLOURS", "BodyMaps", "draw_body", "draw_depth", "draw_map_chunks", "draw_maps",
    "draw_mask", "draw_normal", "draw_semantic_map",
]  # fmt: skip

CHUNK_BYTES = 128 * 2**20
"""How much the maps of the frames drawn at a time may take; one frame is always drawn."""

_BYTES_PER_PIXEL = 1 + 3 + 3 + 3 + 1  # of GuidanceMaps


def draw_maps(
    rasterizer: Rasterizer,
    mesh: Mesh,
    vertices: Float32[np.ndarray, "frames vertices 3"],
    points: Float32[np.ndarray, "frames 133 3"],
    camera: Camera,
) -> GuidanceMaps:
    """Draw every guidance map of every frame, at the camera's size.

    ``vertices`` are the body's in camera space, metres, translation added; ``points`` the 133
    COCO-WholeBody points of the skeleton in pixels, with confidence. Beyond the maps themselves it
    needs the memory of one frame, however long the clip.

    Raises:
        ValueError: vertices of another mesh or not finite, points of another number of frames, or a
            camera without a picture.
    """
    _check_points(points, vertices)
    body = draw_body(rasterizer, mesh, vertices, camera)
    dwpose = np.empty((len(points), camera.height, camera.width, 3), np.uint8)
    for frame in range(len(points)):
        dwpose[frame] = draw_dwpose(points[frame : frame + 1], camera.width, camera.height)[0]
    return _with_skeleton(body, dwpose)


def draw_map_chunks(
    rasterizer: Rasterizer,
    mesh: Mesh,
    vertices: Float32[np.ndarray, "frames vertices 3"],
    points: Float32[np.ndarray, "frames 133 3"],
    camera: Camera,
) -> Iterator[GuidanceMaps]:
    """The maps of ``draw_maps`` a few consecutive frames at a time, for clips of any length."""
    _check_points(points, vertices)
    check_camera(camera)
    frames = max(1, CHUNK_BYTES // (_BYTES_PER_PIXEL * camera.width * camera.height))
    for start in range(0, len(vertices), frames):
        span = slice(start, start + frames)
        body = draw_body(rasterizer, mesh, vertices[span], camera)
        yield _with_skeleton(body, draw_dwpose(points[span], camera.width, camera.height))


def _check_points(points: np.ndarray, vertices: np.ndarray) -> None:
    if len(vertices) != len(points):
        raise ValueError(
            f"expected points of the {len(vertices)} frames of the vertices, got {len(points)}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyMaps:
    """The maps that show the body, of consecutive frames; fields as in ``GuidanceMaps``."""

    depth: UInt8[np.ndarray, "frames height width 1"]
    normal: UInt8[np.ndarray, "frames height width 3"]
    semantic_map: UInt8[np.ndarray, "frames height width 3"]
    mask: UInt8[np.ndarray, "frames height width 1"]


def draw_body(
    rasterizer: Rasterizer,
    mesh: Mesh,
    vertices: Float32[np.ndarray, "frames vertices 3"],
    camera: Camera,
) -> BodyMaps:
    """Draw the maps that show the body, of every frame, straight from one rasterisation.

    The same pictures as ``draw_depth``, ``draw_normal``, ``draw_semantic_map`` and ``draw_mask`` of
    the rasteriser's ``Buffers``, without those. A frame with no body in the picture is black.

    Raises:
        ValueError: vertices of another mesh, not finite, or a camera without a picture.
    """
    surfaces = rasterizer.surfaces(vertices, mesh, camera)
    size = (len(vertices), camera.height, camera.width)
    maps = BodyMaps(
        depth=np.zeros((*size, 1), np.uint8),
        normal=np.zeros((*size, 3), np.uint8),
        semantic_map=np.zeros((*size, 3), np.uint8),
        mask=np.zeros((*size, 1), np.uint8),
    )
    for frame, surface in enumerate(surfaces):
        if surface is not None:
            surface.draw(
                maps.depth[frame, ..., 0],
                maps.normal[frame],
                maps.semantic_map[frame],
                maps.mask[frame, ..., 0],
            )
    return maps


def _with_skeleton(body: BodyMaps, dwpose: np.ndarray) -> GuidanceMaps:
    return GuidanceMaps(
        depth=body.depth,
        normal=body.normal,
        semantic_map=body.semantic_map,
        dwpose=dwpose,
        mask=body.mask,
    )


def draw_depth(buffers: Buffers) -> UInt8[np.ndarray, "frames height width 1"]:
    """Nearness, linear in z over the body of each frame: nearest 255, farthest 0.

    A body at one single depth is nearest everywhere.
    """
    picture = np.zeros((*buffers.z.shape, 1), np.uint8)
    for frame, (z, mask, part) in enumerate(
        zip(buffers.z, buffers.mask, buffers.part, strict=True)
    ):
        if mask.any():
            extent = (float(z[mask].min()), float(z[mask].max()))
            owner = part.astype(np.int32)  # int8: LLVM 22 writes beside the body on AVX-512
            encode_depth(z, owner, extent, picture[frame, ..., 0])
    return picture


def draw_normal(buffers: Buffers) -> UInt8[np.ndarray, "frames height width 3"]:
    """Normals as colours: R right, G up, B towards the camera, 0.5 + 0.5 times the component."""
    picture = np.zeros(buffers.normal.shape, np.uint8)
    for frame in range(len(picture)):
        _encode_normal(buffers.normal[frame], buffers.mask[frame], picture[frame])
    return picture


def draw_semantic_map(buffers: Buffers) -> UInt8[np.ndarray, "frames height width 3"]:
    """The colours of the parts (``PART_COLOURS``), blended in linear light, encoded as sRGB."""
    picture = np.zeros(buffers.semantic.shape, np.uint8)
    for frame in range(len(picture)):
        _encode_light(buffers.semantic[frame], buffers.mask[frame], srgb_table(), picture[frame])
    return picture


def draw_mask(buffers: Buffers) -> UInt8[np.ndarray, "frames height width 1"]:
    """The silhouette: 255 on the body."""
    return (buffers.mask[..., None] * np.uint8(255)).astype(np.uint8)


@numba.njit(cache=True, nogil=True)
def _encode_normal(normal: np.ndarray, mask: np.ndarray, picture: np.ndarray) -> None:
    for i in range(mask.shape[0]):
        for j in range(mask.shape[1]):
            if mask[i, j]:
                picture[i, j, 0] = normal_grey(normal[i, j, 0])
                picture[i, j, 1] = normal_grey(-normal[i, j, 1])  # y is down, G is up
                picture[i, j, 2] = normal_grey(-normal[i, j, 2])


@numba.njit(cache=True, nogil=True)
def _encode_light(
    light: np.ndarray, mask: np.ndarray, table: np.ndarray, picture: np.ndarray
) -> None:
    for i in range(mask.shape[0]):
        for j in range(mask.shape[1]):
            if mask[i, j]:
                for channel in range(3):
                    picture[i, j, channel] = light_grey(light[i, j, channel], table)

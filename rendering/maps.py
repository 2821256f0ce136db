"""The guidance maps as pure functions of what was rasterised (conventions: Guidance maps).

Each takes ``Buffers`` and gives 8-bit pictures of the same frames and size; the background is 0. A
value v in [0, 1] becomes the grey level ``floor(255 v + 0.5)``.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, UInt8

from rendering.colours import PART_COLOURS, linear_to_srgb8
from rendering.rasterizer import Buffers

__all__ = ["PART_COLOURS", "draw_depth", "draw_mask", "draw_normal", "draw_semantic_map"]

_UP_AND_TOWARDS_CAMERA = np.array((1, -1, -1), np.float32)


def draw_depth(buffers: Buffers) -> UInt8[np.ndarray, "frames height width 1"]:
    """Nearness, linear in z over the body of each frame: nearest 255, farthest 0.

    A body at one single depth is nearest everywhere.
    """
    depth = np.zeros((*buffers.z.shape, 1), np.uint8)
    for picture, z, mask in zip(depth, buffers.z, buffers.mask, strict=True):
        body = z[mask]
        if body.size:
            extent = max(float(body.max() - body.min()), np.finfo(np.float32).tiny)
            picture[mask, 0] = _grey_levels(1 - (body - body.min()) / np.float32(extent))
    return depth


def draw_normal(buffers: Buffers) -> UInt8[np.ndarray, "frames height width 3"]:
    """Normals as colours: R right, G up, B towards the camera, 0.5 + 0.5 times the component."""
    picture = np.zeros(buffers.normal.shape, np.uint8)
    normal = buffers.normal[buffers.mask] * _UP_AND_TOWARDS_CAMERA
    picture[buffers.mask] = _grey_levels(np.float32(0.5) + np.float32(0.5) * normal)
    return picture


def draw_semantic_map(buffers: Buffers) -> UInt8[np.ndarray, "frames height width 3"]:
    """The colours of the parts (``PART_COLOURS``), blended in linear light, encoded as sRGB."""
    picture = np.zeros(buffers.semantic.shape, np.uint8)
    picture[buffers.mask] = linear_to_srgb8(buffers.semantic[buffers.mask])
    return picture


def draw_mask(buffers: Buffers) -> UInt8[np.ndarray, "frames height width 1"]:
    """The silhouette: 255 on the body."""
    return (buffers.mask[..., None] * np.uint8(255)).astype(np.uint8)


def _grey_levels(values: Float32[np.ndarray, "*shape"]) -> UInt8[np.ndarray, "*shape"]:
    return np.clip(values * np.float32(255) + np.float32(0.5), 0, 255).astype(np.uint8)

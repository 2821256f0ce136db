"""What is seen of a body at each pixel, as numbers, and what can be drawn at all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int8

from dataset.records import Camera
from rendering.camera import check_camera
from rendering.mesh import Mesh

NEAR_METRES = 0.05
"""What is nearer to the camera plane than this is not drawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Buffers:
    """What is seen of a body at the centre of each pixel.

    ``z`` is the distance along the optical axis in metres. ``normal`` is the interpolated vertex
    normal, unit length, camera axes (x right, y down, z forward), on the side that is seen.
    ``semantic`` is the colour of the parts in linear light, interpolated over each triangle.
    ``part`` is the SMPL joint of the triangle (``Mesh.triangle_parts``), -1 where no body is.
    All others are 0 there.
    """

    z: Float32[np.ndarray, "frames height width"]
    normal: Float32[np.ndarray, "frames height width 3"]
    semantic: Float32[np.ndarray, "frames height width 3"]
    mask: Bool[np.ndarray, "frames height width"]
    part: Int8[np.ndarray, "frames height width"]


def empty_buffers(frames: int, camera: Camera) -> Buffers:
    """Buffers in which there is no body, to draw into."""
    size = (frames, camera.height, camera.width)
    return Buffers(
        z=np.zeros(size, np.float32),
        normal=np.zeros((*size, 3), np.float32),
        semantic=np.zeros((*size, 3), np.float32),
        mask=np.zeros(size, np.bool_),
        part=np.full(size, -1, np.int8),
    )


def check_scene(vertices: np.ndarray, mesh: Mesh, camera: Camera) -> None:
    """Refuse what cannot be drawn.

    Raises:
        ValueError: vertices that do not fit the mesh or are not finite, or an unusable camera.
    """
    check_camera(camera)
    if vertices.ndim != 3 or vertices.shape[1:] != (mesh.vertices, 3):
        raise ValueError(
            f"expected vertices of shape (frames, {mesh.vertices}, 3), got {vertices.shape}"
        )
    if vertices.dtype != np.float32:
        raise ValueError(f"expected vertices as float32, got {vertices.dtype}")
    if not np.isfinite(vertices).all():
        frame = int(np.flatnonzero(~np.isfinite(vertices).all(axis=(1, 2)))[0])
        raise ValueError(f"expected finite vertices, got NaN or infinity in frame {frame}")

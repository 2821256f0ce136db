"""Rasterise once, derive every map: what a rasteriser takes and gives, and how one is opened.

There are three that give the same result: OpenGL through EGL (a GPU, or Mesa's software), OpenGL
through OSMesa, and the CPU. A pixel is sampled at its centre.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, get_args

import numpy as np
from jaxtyping import Bool, Float32, Int8

from dataset.records import Camera
from rendering.camera import check_camera
from rendering.gl_platform import GlPlatform, choose_platform
from rendering.mesh import Mesh

if TYPE_CHECKING:
    from rendering.rasterizer_gl import GlRasterizer

Backend = Literal["auto", "egl", "osmesa", "cpu"]

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


class Rasterizer(Protocol):
    """Draws a mesh into ``Buffers``; keeps what it allocated until ``close``."""

    name: str

    def rasterize(
        self, vertices: Float32[np.ndarray, "frames vertices 3"], mesh: Mesh, camera: Camera
    ) -> Buffers:
        """Draw every frame of ``vertices``: camera space, metres, translation added.

        Raises:
            ValueError: vertices of another mesh, not finite, or a camera without a picture.
        """
        ...

    def close(self) -> None:
        """Give back what the rasteriser holds; it cannot be used afterwards."""
        ...


def empty_buffers(frames: int, camera: Camera) -> Buffers:
    """Buffers in which there is no body, for a rasteriser to draw into."""
    size = (frames, camera.height, camera.width)
    return Buffers(
        z=np.zeros(size, np.float32),
        normal=np.zeros((*size, 3), np.float32),
        semantic=np.zeros((*size, 3), np.float32),
        mask=np.zeros(size, np.bool_),
        part=np.full(size, -1, np.int8),
    )


def check_scene(vertices: np.ndarray, mesh: Mesh, camera: Camera) -> None:
    """Refuse what no rasteriser can draw.

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


def open_rasterizer(backend: Backend = "auto") -> Rasterizer:
    """Open the rasteriser that ``backend`` names.

    ``auto`` takes OpenGL where a GPU draws, else the CPU rasteriser, which is faster than OpenGL in
    software (``benchmarks/rendering.py``).

    Raises:
        ValueError: an unknown backend.
        RuntimeError: the backend was named and cannot be opened here, or OpenGL already runs in
            this process on another platform.
    """
    if backend not in get_args(Backend):
        raise ValueError(f"expected a backend of {get_args(Backend)}, got {backend!r}")
    # Imported here: each backend loads libraries that only its users have or need.
    from rendering.rasterizer_cpu import CpuRasterizer

    if backend == "cpu":
        return CpuRasterizer()
    if backend != "auto":
        return _open_gl(backend)
    try:
        on_gl = _open_gl(None)
    except RuntimeError as error:
        logging.getLogger(__name__).warning("no OpenGL, drawing on the CPU: %s", error)
        return CpuRasterizer()
    if on_gl.software:
        on_gl.close()
        return CpuRasterizer()
    return on_gl


def _open_gl(platform: GlPlatform | None) -> GlRasterizer:
    chosen = choose_platform(platform)  # before the next import, which binds OpenGL to it
    from rendering.rasterizer_gl import GlRasterizer

    return GlRasterizer(chosen)

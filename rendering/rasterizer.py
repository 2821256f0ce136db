"""Rasterise once, derive every map: what is seen of a moving body, frame by frame.

Which triangle each pixel sees is found once a frame, by OpenGL through EGL (a GPU, or Mesa's
software), by OpenGL through OSMesa, or on the CPU; they differ in nothing else. A pixel is sampled
at its centre.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal, Protocol, get_args

import numpy as np
from jaxtyping import Float32, Int32

from dataset.records import Camera
from rendering.buffers import NEAR_METRES, Buffers, check_scene, empty_buffers
from rendering.coverage import CandidateFinder, Candidates
from rendering.gl_platform import GlPlatform, choose_platform
from rendering.mesh import Mesh, frame_normals
from rendering.rasterizer_cpu import CpuVisibility
from rendering.surface import Skin, Surface

if TYPE_CHECKING:
    from rendering.rasterizer_gl import GlVisibility

__all__ = [
    "NEAR_METRES", "Backend", "Buffers", "Rasterizer", "Visibility", "check_scene",
    "empty_buffers", "open_rasterizer",
]  # fmt: skip

Backend = Literal["auto", "egl", "osmesa", "cpu"]


class Visibility(Protocol):
    """Finds which triangle each pixel sees; keeps what it allocated until ``close``."""

    name: str

    def find_owners(
        self,
        candidates: Candidates,
        positions: Float32[np.ndarray, "vertices 3"],
        camera: Camera,
    ) -> Int32[np.ndarray, "height width"]:
        """The nearest candidate of each pixel of the candidates' rectangle, -1 for none.

        The next call may overwrite it.

        Raises:
            ValueError: the rectangle is larger than it can draw.
        """
        ...

    def close(self) -> None:
        """Give back what is held; it cannot be used afterwards."""
        ...


class Rasterizer:
    """Draws a body's frames one after the other; keeps what it allocated until ``close``."""

    def __init__(self, visibility: Visibility) -> None:
        self.name = visibility.name
        self._visibility = visibility
        self._mesh: Mesh | None = None

    def surfaces(
        self, vertices: Float32[np.ndarray, "frames vertices 3"], mesh: Mesh, camera: Camera
    ) -> Iterator[Surface | None]:
        """What is seen in each frame of ``vertices``: camera space, metres, translation added.

        None where no body is in the picture. A surface holds until the next one is asked for.

        Raises:
            ValueError: vertices of another mesh, not finite, or a camera without a picture.
        """
        check_scene(vertices, mesh, camera)
        return (self._see(np.ascontiguousarray(frame), mesh, camera) for frame in vertices)

    def rasterize(
        self, vertices: Float32[np.ndarray, "frames vertices 3"], mesh: Mesh, camera: Camera
    ) -> Buffers:
        """What is seen in each frame as numbers; ``vertices`` and errors as in ``surfaces``."""
        surfaces = self.surfaces(vertices, mesh, camera)
        buffers = empty_buffers(len(vertices), camera)
        for frame, surface in enumerate(surfaces):
            if surface is not None:
                surface.fill(buffers, frame)
        return buffers

    def close(self) -> None:
        """Give back what the rasteriser holds; it cannot be used afterwards."""
        self._visibility.close()

    def _prepare(self, mesh: Mesh) -> None:
        if mesh is self._mesh:
            return
        self._finder, self._skin = CandidateFinder(mesh), Skin.of(mesh)
        self._normals = np.empty((mesh.vertices, 3), np.float32)
        self._z = np.empty(0, np.float32)
        self._mesh = mesh

    def _see(self, positions: np.ndarray, mesh: Mesh, camera: Camera) -> Surface | None:
        self._prepare(mesh)
        candidates = self._finder.find(positions, camera)
        if candidates is None:
            return None
        frame_normals(positions, mesh.triangles, self._normals)
        _, _, width, height = candidates.rectangle
        if self._z.size < width * height:
            self._z = np.empty(width * height, np.float32)
        return Surface(
            candidates=candidates,
            owner=self._visibility.find_owners(candidates, positions, camera),
            z=self._z[: width * height].reshape(height, width),
            normals=self._normals,
            skin=self._skin,
            camera=camera,
        )


def open_rasterizer(backend: Backend = "auto", device_index: int | None = None) -> Rasterizer:
    """Open the rasteriser that ``backend`` names.

    ``auto`` takes OpenGL where a GPU draws, else the CPU rasteriser, which is faster than OpenGL in
    software (``benchmarks/rendering.py``). ``device_index`` is which of EGL's devices draws, GPUs
    first; None: the environment's ``EGL_DEVICE_ID``, else the first.

    Raises:
        ValueError: an unknown backend, or a device for a backend that has none.
        RuntimeError: the backend was named and cannot be opened here, there is no such device, or
            OpenGL already runs in this process on another platform.
    """
    if backend not in get_args(Backend):
        raise ValueError(f"expected a backend of {get_args(Backend)}, got {backend!r}")
    if device_index is not None and backend in ("cpu", "osmesa"):
        raise ValueError(f"expected a device index with egl or auto alone, got one with {backend}")
    if backend == "cpu":
        return Rasterizer(CpuVisibility())
    if backend != "auto":
        return Rasterizer(_open_gl(backend, device_index))
    try:
        on_gl = _open_gl(None, device_index)
    except RuntimeError as error:
        logging.getLogger(__name__).warning("no OpenGL, drawing on the CPU: %s", error)
        return Rasterizer(CpuVisibility())
    if on_gl.software:
        on_gl.close()
        return Rasterizer(CpuVisibility())
    return Rasterizer(on_gl)


def _open_gl(platform: GlPlatform | None, device_index: int | None) -> GlVisibility:
    chosen = choose_platform(platform)  # before the next import, which binds OpenGL to it
    from rendering.rasterizer_gl import GlVisibility

    return GlVisibility(chosen, device_index)

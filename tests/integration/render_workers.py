"""What a spawned process runs that draws a clip: it loads what drawing needs, and no more."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor

import numpy as np

from dataset.records import Camera
from rendering.gl_platform import _LIBRARIES
from rendering.maps import BodyMaps, draw_body
from rendering.mesh import Mesh
from rendering.rasterizer import Backend, open_rasterizer


def draw_clip(backend: Backend, mesh: Mesh, vertices: np.ndarray, camera: Camera) -> BodyMaps:
    """Draw a clip with a rasteriser opened here, then close it."""
    rasterizer = open_rasterizer(backend)
    maps = draw_body(rasterizer, mesh, vertices, camera)
    rasterizer.close()
    return maps


def pool_of(backend: Backend, workers: int) -> ProcessPoolExecutor:
    """Spawned processes, as a job's workers are; each settles on its OpenGL by itself."""
    return ProcessPoolExecutor(
        workers, multiprocessing.get_context("spawn"), initializer=_set_up, initargs=(backend,)
    )


def _set_up(backend: Backend) -> None:
    os.environ["LP_NUM_THREADS"] = "1"
    if backend in _LIBRARIES:
        os.environ["PYOPENGL_PLATFORM"] = backend

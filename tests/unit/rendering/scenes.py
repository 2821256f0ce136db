"""Small scenes of known geometry, a slow rasteriser, and what child processes run."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from benchmarks.official_render import compare_folder
from dataset.records import Camera
from rendering.colours import vertex_colours
from rendering.maps import BodyMaps, draw_body
from rendering.mesh import Mesh
from rendering.overlay import overlay_body
from rendering.rasterizer import (
    NEAR_METRES,
    Backend,
    Buffers,
    Rasterizer,
    empty_buffers,
    open_rasterizer,
)

Scene = tuple[np.ndarray, Mesh, Camera]

CAMERA = Camera(focal_length_px=64.0, width=64, height=48)

GOLDEN_RENDER = Path(__file__).parents[2] / "golden" / "official_render"
REFEREE_RENDER = Path(__file__).parents[4] / "shared" / "fixtures" / "official_render"


def scene(
    vertices: ArrayLike, triangles: ArrayLike, parts: ArrayLike, camera: Camera
) -> tuple[np.ndarray, Mesh, Camera]:
    """One frame of a mesh, in the types that rasterisers take."""
    mesh = Mesh(triangles=np.asarray(triangles, np.int32), vertex_parts=np.asarray(parts, np.int32))
    return np.asarray(vertices, np.float32)[None], mesh, camera


def sphere(centre: ArrayLike, radius: float, camera: Camera, *, steps: int = 64) -> Scene:
    """A sphere whose triangles are counter-clockwise seen from outside; part 5 all over."""
    polar = np.linspace(0, np.pi, steps + 1)[:, None]
    around = np.linspace(0, 2 * np.pi, 2 * steps, endpoint=False)[None]
    grid = np.stack(
        np.broadcast_arrays(
            np.sin(polar) * np.cos(around), np.cos(polar), np.sin(polar) * np.sin(around)
        ),
        axis=-1,
    )
    index = np.arange(grid.shape[0] * grid.shape[1]).reshape(grid.shape[:2])
    a, b = index[:-1], np.roll(index, -1, axis=1)[:-1]
    c, d = index[1:], np.roll(index, -1, axis=1)[1:]
    triangles = np.concatenate([np.stack((a, b, c), -1), np.stack((b, d, c), -1)]).reshape(-1, 3)
    points = grid.reshape(-1, 3)
    corners = points[triangles]
    area = np.linalg.norm(
        np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=-1
    )
    return scene(
        points * radius + np.asarray(centre), triangles[area > 1e-9], [5] * len(points), camera
    )


def soup(seed: int, camera: Camera, *, triangles: int = 12, nearest: float = 1.0) -> Scene:
    """Random unconnected triangles around the middle of the view, from ``nearest`` to 3 metres."""
    rng = np.random.default_rng(seed)
    count = 3 * triangles
    z = rng.uniform(nearest, 3.0, count)
    reach = 0.8 * camera.width / camera.focal_length_px
    xy = rng.uniform(-reach, reach, (count, 2)) * np.maximum(np.abs(z), 0.3)[:, None]
    return scene(
        np.column_stack((xy, z)),
        np.arange(count).reshape(-1, 3),
        rng.integers(0, 24, count),
        camera,
    )


def rays(camera: Camera) -> np.ndarray:
    """The ray (x, y, 1) through the centre of every pixel: (height, width, 3), float64."""
    x = (np.arange(camera.width) + 0.5 - camera.width / 2) / camera.focal_length_px
    y = (np.arange(camera.height) + 0.5 - camera.height / 2) / camera.focal_length_px
    return np.stack(np.broadcast_arrays(x[None], y[:, None], 1.0), axis=-1)


def slow_rasterize(vertices: np.ndarray, mesh: Mesh, camera: Camera) -> Buffers:
    """Every pixel's ray against every triangle, by solving for where they meet."""
    buffers = empty_buffers(len(vertices), camera)
    colours, parts = vertex_colours(mesh.vertex_parts), mesh.triangle_parts()
    for frame, points in enumerate(vertices.astype(np.float64)):
        for triangle, corners in enumerate(mesh.triangles):
            # With z (x, y, 1) = sum of weights times corners, the weights over z are:
            weights = rays(camera) @ np.linalg.inv(points[corners].T).T
            z = 1 / weights.sum(axis=-1)
            old = buffers.z[frame]
            hit = (weights >= 0).all(axis=-1) & (z >= NEAR_METRES) & ((old == 0) | (z < old))
            buffers.z[frame][hit] = z[hit]
            buffers.mask[frame][hit] = True
            buffers.part[frame][hit] = parts[triangle]
            buffers.semantic[frame][hit] = ((weights * z[..., None]) @ colours[corners])[hit]
    return buffers


def in_child(function: Callable[..., object], *arguments: object, **environment: str) -> object:
    """What a function gives in a process of its own, started like a job's workers are: spawned."""
    with child_pool(**environment) as pool:
        return pool.submit(function, *arguments).result()


def child_pool(**environment: str) -> ProcessPoolExecutor:
    """One spawned process, in which OpenGL has not been imported yet."""
    return ProcessPoolExecutor(
        1, multiprocessing.get_context("spawn"), initializer=_set_up, initargs=(environment,)
    )


def _set_up(environment: dict[str, str]) -> None:
    os.environ.pop("PYOPENGL_PLATFORM", None)
    os.environ.update(environment)


_opened: dict[Backend, Rasterizer] = {}


def opened(backend: Backend) -> Rasterizer:
    """The rasteriser of this process."""
    if backend not in _opened:
        _opened[backend] = open_rasterizer(backend)
    return _opened[backend]


def draw(backend: Backend, drawn: Scene) -> Buffers:
    """Rasterise, wherever this runs."""
    return opened(backend).rasterize(*drawn)


def draw_body_maps(backend: Backend, drawn: Scene) -> BodyMaps:
    """Draw the maps that show the body, wherever this runs."""
    vertices, mesh, camera = drawn
    return draw_body(opened(backend), mesh, vertices, camera)


def compare_with_official(backend: Backend, folder: Path) -> dict[str, float]:
    """The figures of ``benchmarks.official_render``, wherever this runs."""
    return compare_folder(folder, opened(backend), 9000.0)


def draw_around_overlay(backend: Backend, drawn: Scene, other: Scene) -> tuple[Buffers, np.ndarray]:
    """Open ours, draw an overlay of each scene with pyrender, then draw the first with ours."""
    rasterizer = opened(backend)
    for vertices, mesh, camera in (other, drawn):
        grey = np.full((camera.height, camera.width, 3), 90, np.uint8)
        picture = overlay_body(grey, vertices[0], mesh.triangles, camera)
    return rasterizer.rasterize(*drawn), picture


def draw_after_fork(backend: Backend, drawn: Scene) -> str:
    """What a forked child is told that draws with its parent's rasteriser."""
    rasterizer = opened(backend)
    reading, writing = os.pipe()
    if os.fork() == 0:
        try:
            rasterizer.rasterize(*drawn)
        except RuntimeError as error:
            os.write(writing, str(error).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as told:
        return told.read().decode()


def open_after(first: str, backend: Backend) -> str:
    """The name of what opens, or the error, after a module that uses OpenGL was imported."""
    __import__(first)
    try:
        return open_rasterizer(backend).name
    except RuntimeError as error:
        return str(error)


def open_twice(first: Backend, second: Backend) -> str:
    """The name of what opens second in one process, or the error."""
    open_rasterizer(first)
    try:
        return open_rasterizer(second).name
    except RuntimeError as error:
        return str(error)


def open_device(backend: Backend, device_index: int) -> str:
    """The name of what opens on a device, or the error."""
    try:
        return open_rasterizer(backend, device_index).name
    except RuntimeError as error:
        return str(error)

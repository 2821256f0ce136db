"""OpenGL through EGL and OSMesa: each in a spawned process, compared with the CPU rasteriser."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

from dataset.records import Camera
from rendering.gl_platform import _LIBRARIES, GlPlatform, _is_installed
from rendering.maps import draw_depth, draw_normal, draw_semantic_map
from rendering.rasterizer import Buffers
from tests.unit.rendering.scenes import (
    CAMERA,
    GOLDEN_RENDER,
    REFEREE_RENDER,
    Scene,
    child_pool,
    compare_with_official,
    draw,
    draw_after_fork,
    in_child,
    open_after,
    open_device,
    open_twice,
    soup,
    sphere,
)
from tests.unit.rendering.test_rasterizer_cpu import LIMITS

LARGE = Camera(focal_length_px=300.0, width=320, height=256)


def assert_alike(ours: Buffers, reference: Buffers) -> None:
    """But for one pixel in a hundred at edges: the same parts, and maps to one grey level."""
    body = ours.mask & reference.mask
    assert body.sum() >= 0.99 * (ours.mask | reference.mask).sum()
    same = body & (np.abs(ours.z - reference.z) < 1e-3 * reference.z)
    assert same.sum() >= 0.99 * body.sum()
    assert (ours.part[same] == reference.part[same]).mean() >= 0.999
    for drawing in (draw_normal, draw_semantic_map):
        difference = drawing(ours)[same].astype(int) - drawing(reference)[same]
        assert (np.abs(difference) <= 1).mean() >= 0.999


@pytest.mark.parametrize("folder", [GOLDEN_RENDER, REFEREE_RENDER], ids=["golden", "referee"])
def test_agrees_with_the_official_scene(
    platform: GlPlatform, worker: ProcessPoolExecutor, folder
) -> None:
    """Depth, normals, colours and silhouette are the official Blender scene's to rounding."""
    if not folder.is_dir():
        pytest.skip(f"the referee fixtures are not there: {folder}")
    figures = worker.submit(compare_with_official, platform, folder).result()
    assert figures.pop("mask_iou") >= 0.9998
    assert {name: figures[name] for name in figures if figures[name] > LIMITS[name]} == {}


@pytest.mark.parametrize(
    "drawn",
    [
        sphere((0.1, -0.05, 4.0), 1.0, LARGE),
        sphere((1.9, 0.4, 4.0), 1.0, LARGE),  # partly outside the picture
        sphere((0.0, 0.0, 0.0), 2.0, LARGE),  # around the camera: near plane and inner side
        sphere((0.0, 0.0, -4.0), 1.0, LARGE, steps=8),  # behind the camera
        soup(3, LARGE, nearest=-1.0),
        sphere((0.0, 0.0, 60.0), 10.0, CAMERA),  # another size and mesh in the same context
    ],
    ids=["inside", "outside", "around", "behind", "soup", "small"],
)
def test_draws_what_the_cpu_draws(
    platform: GlPlatform, worker: ProcessPoolExecutor, drawn: Scene
) -> None:
    """The same parts, the same maps to one grey level, whatever the body's place."""
    on_gl, on_cpu = worker.submit(draw, platform, drawn).result(), draw("cpu", drawn)
    if not on_cpu.mask.any():
        assert not on_gl.mask.any()
        return
    assert_alike(on_gl, on_cpu)


def test_depth_maps_agree_on_both(platform: GlPlatform, worker: ProcessPoolExecutor) -> None:
    """A whole body's depth map is the CPU's to one grey level where both see the same surface."""
    drawn = sphere((0.1, -0.05, 4.0), 1.0, LARGE)
    on_gl, on_cpu = worker.submit(draw, platform, drawn).result(), draw("cpu", drawn)
    both = on_gl.mask & on_cpu.mask
    difference = draw_depth(on_gl)[both].astype(int) - draw_depth(on_cpu)[both]
    assert np.percentile(np.abs(difference), 99.9) <= 1


def test_a_fork_is_told_to_open_its_own(platform: GlPlatform, worker: ProcessPoolExecutor) -> None:
    """A forked child gets a clear error instead of a driver that hangs."""
    told = worker.submit(draw_after_fork, platform, soup(0, CAMERA)).result()
    assert "open one in each process" in told


def test_the_device_is_chosen_by_its_index() -> None:
    """EGL's first device draws; one that is not there is named in the error."""
    if not _is_installed("egl"):
        pytest.skip("EGL is not installed")
    with child_pool(LP_NUM_THREADS="1") as pool:
        assert pool.submit(open_device, "egl", 0).result() == "egl"
        told = str(pool.submit(open_device, "egl", 63).result())
    assert "got 63" in told


def test_a_process_keeps_its_platform() -> None:
    """Asking for the other platform is an error that says what to do."""
    if not all(_is_installed(name) for name in _LIBRARIES):
        pytest.skip("needs both EGL and OSMesa")
    told = in_child(open_twice, "egl", "osmesa")
    assert "already imported" in str(told)
    assert "PYOPENGL_PLATFORM" in str(told)


def test_opengl_bound_to_windows_is_a_clear_error_or_the_cpu() -> None:
    """OpenGL was imported without a platform: a named one says so, auto takes the CPU."""
    with child_pool() as pool:
        told = str(pool.submit(open_after, "OpenGL.platform", "egl").result())
        assert "PYOPENGL_PLATFORM" in told
        assert pool.submit(open_after, "OpenGL.platform", "auto").result() == "cpu"


def test_without_opengl_auto_draws_on_the_cpu() -> None:
    """Where the environment names a platform that draws into windows, the CPU takes over."""
    assert in_child(open_after, "numpy", "auto", PYOPENGL_PLATFORM="glx") == "cpu"

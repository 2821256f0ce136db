"""How long a frame's depth, normal, semantic map and mask take, against pyrender in the same run.

    python -m benchmarks.rendering [--platform egl|osmesa] [--sizes 512 768] [--json]
    python -m benchmarks.rendering --memory [--platform cpu|egl|osmesa]

The shipped body (26,692 triangles) in different poses fills most of the picture. Ours, on the CPU
and with OpenGL: from vertices to 8-bit maps, vertex normals included. pyrender, on the same OpenGL
platform: from vertices to what it returns, which is no depth map yet; one renderer kept, a pass for
each map (``DEPTH_ONLY``, ``SEG``, and ``FLAT`` with normals and parts as vertex colours), the two
meshes that takes made once a frame without trimesh, the vertex normals by our function. Mesa's
software gets one thread. A figure is processor time, all threads together, of the fastest of
several rounds that take turns: what else runs on the machine counts little.

``--memory`` draws 10,000 frames and prints what the process holds on the way.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import psutil
from scipy.spatial.transform import Rotation

from dataset.records import BodyTrack, Camera
from rendering.body_model import BodyModel
from rendering.camera import default_camera
from rendering.colours import PART_COLOURS
from rendering.gl_platform import GlPlatform, choose_platform
from rendering.maps import draw_body
from rendering.mesh import Mesh, vertex_normals
from rendering.rasterizer import Backend, Rasterizer, open_rasterizer

if TYPE_CHECKING:
    import pyrender

ROUNDS = 5
FRAMES = 8
MEMORY_FRAMES = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Motion:
    """The mesh and where its vertices are in each frame."""

    mesh: Mesh
    vertices: np.ndarray


def pose_body(size: int) -> tuple[Motion, Camera]:
    """The shipped body turning and moving its limbs, 85 % of the picture high."""
    body, camera = BodyModel.load(), default_camera(size, size)
    rng = np.random.default_rng(0)
    turns = [
        Rotation.from_rotvec((0, angle, 0)) * Rotation.from_rotvec((np.pi, 0, 0))
        for angle in np.linspace(0, 2 * np.pi, FRAMES, endpoint=False)
    ]
    betas = np.zeros(10, np.float32)
    distance = camera.focal_length_px * body.height_m(betas) / (0.85 * size)
    track = BodyTrack(
        betas=betas,
        global_orient=np.array([turn.as_rotvec() for turn in turns], np.float32),
        body_pose=rng.normal(0, 0.2, (FRAMES, 23, 3)).astype(np.float32),
        transl=np.tile(np.array((0, -0.3, distance), np.float32), (FRAMES, 1)),
        camera=camera,
        reprojection_error_px=np.zeros(FRAMES, np.float32),
    )
    return Motion(mesh=body.mesh, vertices=body.vertices(track)), camera


def draw_ours(rasterizer: Rasterizer, motion: Motion, camera: Camera) -> float:
    """Draw all maps of all frames; the share of the picture that is body."""
    return float((draw_body(rasterizer, motion.mesh, motion.vertices, camera).mask > 0).mean())


def draw_by_pyrender(renderer: pyrender.OffscreenRenderer, motion: Motion, camera: Camera) -> float:
    """The same by one pass a map; the share of the picture that is body."""
    import pyrender

    renderer.viewport_width, renderer.viewport_height = camera.width, camera.height
    to_gl = np.array([1, -1, -1], np.float32)
    part_colours = PART_COLOURS[motion.mesh.vertex_parts] / np.float32(255)
    covered = 0.0
    for vertices in motion.vertices:
        normals = vertex_normals(vertices[None], motion.mesh.triangles)[0]
        parts = _pyrender_scene(vertices * to_gl, part_colours, motion.mesh, camera)
        shades = _pyrender_scene(vertices * to_gl, 0.5 + 0.5 * normals * to_gl, motion.mesh, camera)
        renderer.render(shades, pyrender.RenderFlags.FLAT)
        renderer.render(parts, pyrender.RenderFlags.FLAT)
        white = dict.fromkeys(parts.mesh_nodes, (255, 255, 255))
        renderer.render(parts, pyrender.RenderFlags.SEG, seg_node_map=white)
        depth = renderer.render(parts, pyrender.RenderFlags.DEPTH_ONLY)
        covered += float((np.asarray(depth) > 0).mean())
    return covered / len(motion.vertices)


def _pyrender_scene(
    positions: np.ndarray, colours: np.ndarray, mesh: Mesh, camera: Camera
) -> pyrender.Scene:
    import pyrender

    scene = pyrender.Scene(bg_color=(0, 0, 0, 0))
    focal_length_px = camera.focal_length_px
    scene.add(
        pyrender.IntrinsicsCamera(
            focal_length_px, focal_length_px, camera.width / 2, camera.height / 2,
            znear=1.0, zfar=200.0,
        )
    )  # fmt: skip
    body = pyrender.Primitive(positions=positions, color_0=colours, indices=mesh.triangles)
    scene.add(pyrender.Mesh([body]))
    return scene


def time_alternating(drawings: dict[str, Callable[[], float]]) -> dict[str, float]:
    """Processor milliseconds a frame, the fastest round; all must cover the same pixels."""
    covered = {name: draw() for name, draw in drawings.items()}  # compiles and allocates
    if max(covered.values()) - min(covered.values()) > 1e-3:
        raise RuntimeError(f"the renderers do not draw the same body: {covered}")
    fastest = dict.fromkeys(drawings, np.inf)
    for _ in range(ROUNDS):
        for name, draw in drawings.items():
            start = time.process_time()
            draw()
            fastest[name] = min(fastest[name], 1000 * (time.process_time() - start) / FRAMES)
    return fastest


def compare(platform: GlPlatform, sizes: list[int]) -> dict[str, float | str]:
    """Milliseconds a frame, frames a second and core, and pyrender's time over ours, by size."""
    choose_platform(platform)
    import pyrender  # after the platform is chosen, which it binds to

    renderer = pyrender.OffscreenRenderer(1, 1)
    on_cpu, on_gl = open_rasterizer("cpu"), open_rasterizer(platform)
    figures: dict[str, float | str] = {"platform": platform}
    for size in sizes:
        motion, camera = pose_body(size)
        times = time_alternating(
            {
                "cpu": partial(draw_ours, on_cpu, motion, camera),
                "gl": partial(draw_ours, on_gl, motion, camera),
                "pyrender": partial(draw_by_pyrender, renderer, motion, camera),
            }
        )
        figures |= {f"{name}_ms_{size}": round(ms, 2) for name, ms in times.items()}
        figures |= {f"{name}_fps_{size}": round(1000 / ms, 1) for name, ms in times.items()}
        for name in ("cpu", "gl"):
            figures[f"{name}_ratio_{size}"] = round(times["pyrender"] / times[name], 2)
    return figures


def watch_memory(backend: Backend, size: int) -> dict[str, float | str]:
    """MiB that the process holds after so many frames, drawn eight at a time."""
    motion, camera = pose_body(size)
    rasterizer, process = open_rasterizer(backend), psutil.Process()
    figures: dict[str, float | str] = {"platform": backend}
    for frames in range(FRAMES, MEMORY_FRAMES + 1, FRAMES):
        draw_ours(rasterizer, motion, camera)
        if frames in (96, 1000, MEMORY_FRAMES // 2, MEMORY_FRAMES):
            figures[f"mib_after_{frames}"] = round(process.memory_info().rss / 2**20, 1)
    rasterizer.close()
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--platform", choices=["cpu", "egl", "osmesa"], default="egl")
    parser.add_argument("--sizes", type=int, nargs="+", default=[512, 768])
    parser.add_argument("--memory", action="store_true", help="watch 10,000 frames instead")
    parser.add_argument("--json", action="store_true", help="print one JSON line")
    arguments = parser.parse_args()
    os.environ.setdefault("LP_NUM_THREADS", "1")
    if arguments.memory:
        figures = watch_memory(arguments.platform, arguments.sizes[0])
    elif arguments.platform == "cpu":
        parser.error("pyrender needs --platform egl or osmesa")
    else:
        figures = compare(arguments.platform, arguments.sizes)
    if arguments.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:18} {value}")


if __name__ == "__main__":
    main()

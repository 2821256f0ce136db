"""How long a frame's depth, normal, semantic map and mask take, against pyrender in the same run.

    python -m benchmarks.rendering [--platform egl|osmesa] [--sizes 512 768] [--json]

The shipped body (26,692 triangles) in different poses fills most of the picture. Ours: the CPU
rasteriser, and OpenGL in one pass with several targets, vertex normals and drawing the maps
included. pyrender: the same OpenGL platform, one renderer kept, one pass for each of depth
(``DEPTH_ONLY``), normals and parts (as vertex colours, ``FLAT``), the mask taken from the depth;
smooth normals are given to it for free, and so is turning its pictures into 8-bit maps. Mesa's
software gets one thread. A figure is processor time, all threads together, of the fastest of
several rounds that take turns: what else runs on the machine counts little.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy.spatial.transform import Rotation

from dataset.records import BodyTrack, Camera
from rendering.body_model import BodyModel
from rendering.camera import default_camera
from rendering.colours import PART_COLOURS
from rendering.gl_platform import choose_platform
from rendering.maps import draw_body
from rendering.mesh import Mesh, vertex_normals
from rendering.rasterizer import Rasterizer, open_rasterizer

ROUNDS = 5
FRAMES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Motion:
    """The mesh and where its vertices are in each frame."""

    mesh: Mesh
    vertices: np.ndarray
    normals: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "normals", vertex_normals(self.vertices, self.mesh.triangles))


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


def draw_by_pyrender(renderer: object, motion: Motion, camera: Camera) -> float:
    """The same by one pass a map; the share of the picture that is body."""
    import pyrender

    assert isinstance(renderer, pyrender.OffscreenRenderer)
    renderer.viewport_width, renderer.viewport_height = camera.width, camera.height
    to_gl = np.array([1, -1, -1], np.float32)
    parts = PART_COLOURS[motion.mesh.vertex_parts] / np.float32(255)
    lens = pyrender.IntrinsicsCamera(
        camera.focal_length_px, camera.focal_length_px, camera.width / 2, camera.height / 2,
        znear=1.0, zfar=200.0,
    )  # fmt: skip
    covered = 0.0
    for vertices, normals in zip(motion.vertices, motion.normals, strict=True):
        for colours, flags in (
            (None, pyrender.RenderFlags.DEPTH_ONLY),
            (0.5 + 0.5 * normals * to_gl, pyrender.RenderFlags.FLAT),
            (parts, pyrender.RenderFlags.FLAT),
        ):
            scene = pyrender.Scene(bg_color=(0, 0, 0, 0))
            scene.add(lens)
            body = pyrender.Primitive(
                positions=vertices * to_gl, color_0=colours, indices=motion.mesh.triangles
            )
            scene.add(pyrender.Mesh([body]))
            drawn = renderer.render(scene, flags)
            if colours is None:
                covered += float((np.asarray(drawn) > 0).mean())
    return covered / len(motion.vertices)


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


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--platform", choices=["egl", "osmesa"], default="egl")
    parser.add_argument("--sizes", type=int, nargs="+", default=[512, 768])
    parser.add_argument("--json", action="store_true", help="print one JSON line")
    arguments = parser.parse_args()
    os.environ.setdefault("LP_NUM_THREADS", "1")
    choose_platform(arguments.platform)
    import pyrender  # after the platform is chosen, which it binds to

    renderer = pyrender.OffscreenRenderer(1, 1)
    on_cpu, on_gl = open_rasterizer("cpu"), open_rasterizer(arguments.platform)
    figures: dict[str, float | str] = {"platform": arguments.platform}
    for size in arguments.sizes:
        motion, camera = pose_body(size)
        times = time_alternating(
            {
                "cpu": lambda motion=motion, camera=camera: draw_ours(on_cpu, motion, camera),
                "gl": lambda motion=motion, camera=camera: draw_ours(on_gl, motion, camera),
                "pyrender": lambda motion=motion, camera=camera: draw_by_pyrender(
                    renderer, motion, camera
                ),
            }
        )
        figures |= {f"{name}_ms_{size}": round(ms, 2) for name, ms in times.items()}
        for name in ("cpu", "gl"):
            figures[f"{name}_ratio_{size}"] = round(times["pyrender"] / times[name], 2)
    if arguments.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:18} {value}")


if __name__ == "__main__":
    main()

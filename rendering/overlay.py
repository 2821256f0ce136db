"""A shaded picture of the body over a video frame, for people to judge a fit by.

The only file that imports pyrender. One renderer per process is made at the first call and kept: on
EGL, deleting one takes the display from every other OpenGL user of the process.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32, Int32, UInt8

from dataset.records import Camera
from rendering.camera import check_camera
from rendering.gl_platform import choose_platform
from rendering.mesh import vertex_normals
from rendering.rasterizer import NEAR_METRES

if TYPE_CHECKING:
    import pyrender

BODY_COLOUR = (0.3, 0.55, 0.9)
OPACITY = 0.85


def overlay_body(
    frame: UInt8[np.ndarray, "height width 3"],
    vertices: Float32[np.ndarray, "vertices 3"],
    triangles: Int32[np.ndarray, "triangles 3"],
    camera: Camera,
) -> UInt8[np.ndarray, "height width 3"]:
    """The frame (RGB) with the body shaded over it, nearly opaque; the rest is unchanged.

    ``vertices`` are in camera space (x right, y down, z forward), metres, translation added.

    Raises:
        ValueError: the frame is not of the camera's size.
        RuntimeError: there is no OpenGL here, or it runs on a platform that has no off-screen form.
    """
    check_camera(camera)
    if frame.shape != (camera.height, camera.width, 3):
        raise ValueError(
            f"expected a frame of the camera's ({camera.height}, {camera.width}, 3), "
            f"got {frame.shape}"
        )
    if vertices[:, 2].max() < NEAR_METRES:
        return frame.copy()
    renderer = _process_renderer()
    renderer.viewport_width, renderer.viewport_height = camera.width, camera.height
    rendered = renderer.render(_scene(vertices, triangles, camera))
    if rendered is None:
        raise RuntimeError("pyrender drew nothing: its OpenGL context is gone")
    shaded, depth = rendered
    opacity = np.where(depth > 0, OPACITY, 0.0)[..., None]
    return (frame + opacity * (shaded[..., :3] - frame.astype(np.float64)) + 0.5).astype(np.uint8)


@cache
def _process_renderer() -> pyrender.OffscreenRenderer:
    choose_platform()  # before the next import, which binds OpenGL to it
    import pyrender

    return pyrender.OffscreenRenderer(1, 1)


def _scene(vertices: np.ndarray, triangles: np.ndarray, camera: Camera) -> pyrender.Scene:
    import pyrender

    to_gl = np.array((1, -1, -1), np.float32)
    material = pyrender.MetallicRoughnessMaterial(
        baseColorFactor=(*BODY_COLOUR, 1.0), metallicFactor=0.1, roughnessFactor=0.6
    )
    body = pyrender.Primitive(
        positions=vertices * to_gl,
        normals=vertex_normals(vertices[None], triangles)[0] * to_gl,
        indices=triangles,
        material=material,
    )
    scene = pyrender.Scene(bg_color=(0, 0, 0, 0), ambient_light=(0.15, 0.15, 0.15))
    scene.add(pyrender.Mesh([body]))
    scene.add(
        pyrender.IntrinsicsCamera(
            fx=camera.focal_length_px,
            fy=camera.focal_length_px,
            cx=camera.width / 2,
            cy=camera.height / 2,
            znear=max(NEAR_METRES, 0.9 * float(vertices[:, 2].min())),
            zfar=1.1 * float(vertices[:, 2].max()) + NEAR_METRES,
        )
    )
    for direction, intensity in (((-0.7, 0.7, 0.6), 3.0), ((0.9, -0.1, 0.4), 0.8)):
        light = pyrender.DirectionalLight(intensity=intensity)
        scene.add(light, pose=_looking_along(direction))
    return scene


def _looking_along(direction: tuple[float, float, float]) -> np.ndarray:
    """A pose whose z axis is ``direction``: light travels against it."""
    z = np.array(direction) / np.linalg.norm(direction)
    x = np.cross((0.0, 1.0, 0.0), z)
    x /= np.linalg.norm(x)
    pose = np.eye(4)
    pose[:3, 0], pose[:3, 1], pose[:3, 2] = x, np.cross(z, x), z
    return pose

"""The shaded overlay, by pyrender in spawned processes beside our own OpenGL."""

from __future__ import annotations

import numpy as np
import pytest

from dataset.records import Camera
from rendering.gl_platform import GlPlatform, _is_installed
from rendering.overlay import overlay_body
from tests.unit.rendering.scenes import CAMERA, draw, draw_around_overlay, in_child, sphere

LARGE = Camera(focal_length_px=300.0, width=320, height=256)


@pytest.mark.parametrize("platform", ["egl", "osmesa"])
def test_the_body_is_shaded_where_it_is_and_nothing_else_changes(platform: GlPlatform) -> None:
    """The changed pixels are the silhouette; sizes may change; ours draws on after it."""
    if not _is_installed(platform):
        pytest.skip(f"{platform} is not installed")
    drawn = sphere((0.6, -0.3, 4.0), 1.0, LARGE)
    other = sphere((0.0, 0.0, 4.0), 1.0, CAMERA)
    ours, picture = in_child(draw_around_overlay, platform, drawn, other)  # pyright: ignore
    body = draw("cpu", drawn).mask[0]
    changed = (picture != 90).any(axis=-1)
    assert (changed & body).sum() / (changed | body).sum() > 0.98
    assert (ours.mask[0] == body).mean() > 0.999
    shade = picture[body].astype(float).mean(axis=-1)
    assert shade.std() > 10  # a ball looks round


def test_a_body_behind_the_camera_leaves_the_frame() -> None:
    """Nothing to draw is nothing drawn, without OpenGL."""
    frame = np.full((CAMERA.height, CAMERA.width, 3), 7, np.uint8)
    vertices, mesh, _ = sphere((0.0, 0.0, -4.0), 1.0, CAMERA, steps=8)
    np.testing.assert_array_equal(overlay_body(frame, vertices[0], mesh.triangles, CAMERA), frame)


def test_a_frame_of_another_size_is_refused() -> None:
    """The camera says how large the frame is."""
    vertices, mesh, _ = sphere((0.0, 0.0, 4.0), 1.0, CAMERA, steps=8)
    with pytest.raises(ValueError, match=r"\(48, 64, 3\)"):
        overlay_body(np.zeros((9, 9, 3), np.uint8), vertices[0], mesh.triangles, CAMERA)

"""The camera: projection, its defaults, and translations from box cameras."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset.records import Camera
from rendering.camera import (
    default_camera,
    default_focal_length_px,
    project,
    weak_perspective_to_translation,
)

CAMERA = Camera(focal_length_px=100.0, width=64, height=48)


def test_default_focal_length_follows_the_longer_side() -> None:
    """5000 / 256 times the longer side, for upright and lying pictures alike."""
    assert default_focal_length_px(256, 128) == 5000.0
    assert default_focal_length_px(512, 1024) == 20000.0
    assert default_camera(512, 1024) == Camera(focal_length_px=20000.0, width=512, height=1024)


def test_principal_point_is_the_middle_of_the_picture() -> None:
    """A point on the optical axis lands at (width / 2, height / 2), right and down are positive."""
    np.testing.assert_allclose(project(np.array([0.0, 0.0, 7.0]), CAMERA), (32, 24))
    np.testing.assert_allclose(project(np.array([0.2, 0.1, 2.0]), CAMERA), (42, 29))


def test_points_behind_the_camera_have_no_image() -> None:
    """What is at or behind the camera plane becomes NaN instead of a mirrored place."""
    pixels = project(np.array([[1.0, 1.0, -2.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]), CAMERA)
    assert np.isnan(pixels[:2]).all()
    assert np.isfinite(pixels[2]).all()


@given(
    scale=st.floats(0.2, 2.0),
    tx=st.floats(-1, 1),
    ty=st.floats(-1, 1),
    side=st.floats(16, 600),
    centre=st.tuples(st.floats(0, 640), st.floats(0, 480)),
)
def test_weak_perspective_translation_projects_into_the_box(
    scale: float, tx: float, ty: float, side: float, centre: tuple[float, float]
) -> None:
    """The origin lands where the box camera puts it: centre + side / 2 * s * (tx, ty)."""
    camera = Camera(focal_length_px=5000.0, width=640, height=480)
    translation = weak_perspective_to_translation(
        np.array((scale, tx, ty)), np.array((*centre, side)), camera
    )
    expected = np.array(centre) + side / 2 * scale * np.array((tx, ty))
    np.testing.assert_allclose(project(translation, camera), expected, atol=1e-6)
    np.testing.assert_allclose(translation[2], 2 * 5000.0 / (side * scale))


def test_callers_mistakes_are_named() -> None:
    """An empty picture, a camera without focal length, wrong axes and empty boxes are refused."""
    with pytest.raises(ValueError, match="at least 1 x 1"):
        default_focal_length_px(0, 10)
    with pytest.raises(ValueError, match="focal length"):
        project(np.zeros(3), Camera(focal_length_px=0.0, width=4, height=4))
    with pytest.raises(ValueError, match=r"\(\.\.\., 3\)"):
        project(np.zeros((5, 2)), CAMERA)
    with pytest.raises(ValueError, match="positive"):
        weak_perspective_to_translation(np.array((0.0, 0, 0)), np.array((1.0, 1, 1)), CAMERA)

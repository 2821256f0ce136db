"""The CPU rasteriser against closed forms, a slow one, and the official scene."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset.records import Camera
from rendering.colours import vertex_colours
from rendering.mesh import Mesh
from rendering.rasterizer import NEAR_METRES, Buffers, open_rasterizer
from tests.unit.rendering.scenes import (
    CAMERA,
    GOLDEN_RENDER,
    REFEREE_RENDER,
    compare_with_official,
    draw,
    rays,
    scene,
    slow_rasterize,
    soup,
    sphere,
)

LIMITS = {"depth_mae": 0.25, "normal_mae": 0.51, "semantic_mae": 0.43, "semantic_p999": 1.4}


def assert_same(ours: Buffers, other: Buffers) -> None:
    for field in fields(Buffers):
        np.testing.assert_array_equal(getattr(ours, field.name), getattr(other, field.name))


@pytest.mark.parametrize("folder", [GOLDEN_RENDER, REFEREE_RENDER], ids=["golden", "referee"])
def test_agrees_with_the_official_scene(folder) -> None:
    """Depth, normals, colours and silhouette are the official Blender scene's to rounding."""
    if not folder.is_dir():
        pytest.skip(f"the referee fixtures are not there: {folder}")
    figures = compare_with_official("cpu", folder)
    assert figures.pop("mask_iou") >= 0.9998
    assert {name: figures[name] for name in figures if figures[name] > LIMITS[name]} == {}


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), nearest=st.sampled_from((1.0, 0.05, -1.0, -4.0)))
def test_agrees_with_solving_every_pixel(seed: int, nearest: float) -> None:
    """Random triangles, some through or behind the near plane, some outside the picture."""
    drawn = soup(seed, CAMERA, nearest=nearest)
    ours, slow = draw("cpu", drawn), slow_rasterize(*drawn)
    np.testing.assert_array_equal(ours.mask, slow.mask)
    np.testing.assert_array_equal(ours.part, slow.part)
    np.testing.assert_allclose(ours.z, slow.z, rtol=1e-6)
    np.testing.assert_allclose(ours.semantic, slow.semantic, atol=1e-5)


def test_a_tilted_planes_depth_and_colours_are_perspective_correct() -> None:
    """z = d / (n . ray), and colours run evenly along the plane in metres, not in pixels."""
    left, right, near, far = -0.5, 0.5, 1.0, 4.0
    x, z = np.array((left, right, right, left)), np.array((near, far, far, near))
    y = np.array((-0.4, -0.4, 0.4, 0.4)) * z  # fills the picture's middle at every depth
    drawn = scene(np.stack((x, y, z), -1), [(0, 1, 2), (0, 2, 3)], [0, 23, 23, 0], CAMERA)
    buffers = draw("cpu", drawn)
    ray = rays(CAMERA)
    slope = (far - near) / (right - left)  # the plane: z - slope x = near - slope left
    expected_z = (near - slope * left) / (1 - slope * ray[..., 0])
    along = (expected_z * ray[..., 0] - left) / (right - left)
    colours = vertex_colours(np.array((0, 23), np.int32))
    expected = colours[0] + along[..., None] * (colours[1] - colours[0])
    mask = buffers.mask[0]
    assert mask.sum() > 500
    np.testing.assert_allclose(buffers.z[0][mask], expected_z[mask], rtol=1e-5)
    np.testing.assert_allclose(buffers.semantic[0][mask], expected[mask], atol=1e-5)


def test_a_spheres_depth_and_normals_are_where_its_rays_meet_it() -> None:
    """At each pixel well inside: the nearer root of the ray's quadratic, and the radius there."""
    centre, radius = np.array((0.1, -0.05, 4.0)), 1.0
    buffers = draw("cpu", sphere(centre, radius, CAMERA, steps=128))
    ray = rays(CAMERA)
    a, b = (ray**2).sum(-1), ray @ centre
    root = b**2 - a * (centre @ centre - radius**2)
    inside = root > 0.2
    z = (b - np.sqrt(np.where(inside, root, 0))) / a
    normal = (ray * z[..., None] - centre) / radius
    assert buffers.mask[0][inside].all()
    assert not buffers.mask[0][root < -0.2].any()
    np.testing.assert_allclose(buffers.z[0][inside], z[inside], atol=2e-3)
    np.testing.assert_allclose(buffers.normal[0][inside], normal[inside], atol=6e-3)


def test_samples_on_an_edge_belong_to_one_triangle() -> None:
    """A square cut in two, corners on pixel centres: top and left edges count, each pixel once."""
    camera = Camera(focal_length_px=64.0, width=64, height=64)
    pixels = np.array([(10.5, 20.5), (18.5, 20.5), (18.5, 25.5), (10.5, 25.5)])
    corners = np.column_stack(((pixels - 32) / 64, np.ones(4)))
    drawn = np.zeros((64, 64), int)
    for triangle in ((0, 1, 2), (2, 0, 3)):  # both windings
        drawn += draw("cpu", scene(corners, [triangle], [0] * 4, camera)).mask[0]
    expected = np.zeros((64, 64), int)
    expected[20:25, 10:18] = 1
    np.testing.assert_array_equal(drawn, expected)


def test_back_faces_are_drawn_with_their_normal_on_the_side_that_is_seen() -> None:
    """Inside a sphere the camera sees its inner side, and normals point at the camera."""
    buffers = draw("cpu", sphere((0.0, 0.0, 0.0), 2.0, CAMERA))
    assert buffers.mask.all()
    assert (buffers.normal[0] * rays(CAMERA)).sum(-1).max() < 0
    np.testing.assert_allclose(np.linalg.norm(buffers.normal, axis=-1), 1, atol=1e-5)


def test_nothing_nearer_than_the_near_plane_is_drawn() -> None:
    """A triangle through the camera plane is drawn from the near plane on."""
    corners = [(0.0, 0.05, -1.0), (-1.0, 0.05, 2.0), (1.0, 0.05, 2.0)]
    buffers = draw("cpu", scene(corners, [(0, 1, 2)], [0] * 3, CAMERA))
    assert buffers.mask.any()
    assert buffers.z[buffers.mask].min() >= np.float32(NEAR_METRES)
    behind = draw("cpu", scene(np.subtract(corners, (0, 0, 5)), [(0, 1, 2)], [0] * 3, CAMERA))
    assert not behind.mask.any()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_order_of_triangles_and_the_unit_of_length_do_not_matter(seed: int) -> None:
    """Shuffled triangles give the same picture; a world twice as large the same at twice z."""
    vertices, mesh, camera = soup(seed, CAMERA)
    once = draw("cpu", (vertices, mesh, camera))
    order = np.random.default_rng(seed).permutation(len(mesh.triangles))
    shuffled = Mesh(triangles=mesh.triangles[order], vertex_parts=mesh.vertex_parts)
    assert_same(draw("cpu", (vertices, shuffled, camera)), once)
    doubled = draw("cpu", (vertices * 2, mesh, camera))
    np.testing.assert_array_equal(doubled.part, once.part)
    np.testing.assert_allclose(doubled.z, once.z * 2, rtol=1e-6)


def test_frames_of_a_batch_do_not_mix() -> None:
    """A frame is the same drawn alone and among others, also after an empty one."""
    frames = [sphere((x, 0.0, z), 0.5, CAMERA) for x, z in ((-0.4, 3.0), (0.0, -3.0), (0.5, 4.0))]
    _, mesh, camera = frames[0]
    together = draw("cpu", (np.concatenate([v for v, _, _ in frames]), mesh, camera))
    for index, frame in enumerate(frames):
        alone = draw("cpu", frame)
        np.testing.assert_array_equal(together.z[index], alone.z[0])
        np.testing.assert_array_equal(together.normal[index], alone.normal[0])
    assert not together.mask[1].any()


def test_surfaces_of_two_meshes_may_be_asked_for_in_turns() -> None:
    """What one sees does not depend on what else the rasteriser draws in between."""
    rasterizer = open_rasterizer("cpu")
    first = sphere((0.0, 0.0, 3.0), 0.5, CAMERA)
    vertices, mesh, camera = soup(1, CAMERA)
    surfaces = rasterizer.surfaces(np.concatenate((vertices, vertices)), mesh, camera)
    owners = []
    for surface in surfaces:
        assert surface is not None
        owners.append(surface.owner.copy())
        rasterizer.rasterize(*first)
    np.testing.assert_array_equal(owners[0], owners[1])
    assert (owners[0] >= 0).any()


def test_a_body_may_be_partly_outside_the_picture() -> None:
    """What is inside is what a larger picture shows there."""
    vertices, mesh, _ = sphere((0.4, 0.2, 1.0), 0.45, CAMERA)
    wide = Camera(focal_length_px=CAMERA.focal_length_px, width=192, height=144)
    cut, whole = draw("cpu", (vertices, mesh, CAMERA)), draw("cpu", (vertices, mesh, wide))
    np.testing.assert_array_equal(cut.part[0], whole.part[0, 48:96, 64:128])
    assert whole.mask.sum() > cut.mask.sum() > 0


def test_what_cannot_be_drawn_is_refused_by_name() -> None:
    """Vertices of another mesh or type, NaN, an empty picture, an unknown backend."""
    vertices, mesh, camera = soup(0, CAMERA)
    rasterizer = open_rasterizer("cpu")
    with pytest.raises(ValueError, match="shape"):
        rasterizer.rasterize(vertices[:, :-1], mesh, camera)
    with pytest.raises(ValueError, match="float32"):
        rasterizer.rasterize(vertices.astype(np.float64), mesh, camera)
    vertices[0, 3] = np.nan
    with pytest.raises(ValueError, match="frame 0"):
        rasterizer.rasterize(vertices, mesh, camera)
    with pytest.raises(ValueError, match="1 x 1"):
        rasterizer.rasterize(vertices, mesh, Camera(focal_length_px=1.0, width=0, height=4))
    with pytest.raises(ValueError, match="device"):
        open_rasterizer("cpu", device_index=0)
    with pytest.raises(ValueError, match="cuda"):
        open_rasterizer("cuda")  # pyright: ignore[reportArgumentType]


def test_no_frames_give_no_pictures() -> None:
    """A clip of no frames is drawn as no frames."""
    vertices, mesh, camera = soup(0, CAMERA)
    assert draw("cpu", (vertices[:0], mesh, camera)).mask.shape == (0, 48, 64)

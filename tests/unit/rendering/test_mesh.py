"""The mesh record and smooth normals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from rendering.mesh import Mesh, vertex_normals
from tests.unit.rendering.scenes import CAMERA, soup, sphere


def slow_normals(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    sums = np.zeros(vertices.shape)
    for triangle in triangles:
        for corner in range(3):
            at, following, last = vertices[np.roll(triangle, -corner)].astype(np.float64)
            normal = np.cross(following - at, last - at)
            cosine = (following - at) @ (last - at)
            cosine /= np.linalg.norm(following - at) * np.linalg.norm(last - at)
            sums[triangle[corner]] += np.arccos(cosine) * normal / np.linalg.norm(normal)
    return sums / np.linalg.norm(sums, axis=-1, keepdims=True)


def test_a_spheres_normals_are_its_radii() -> None:
    """They point outwards, whatever the size of the triangles around a vertex."""
    vertices, mesh, _ = sphere((0.0, 0.0, 3.0), 0.5, CAMERA, steps=32)
    radii = (vertices[0] - (0, 0, 3)) / 0.5
    inner = np.abs(radii[:, 1]) < 0.999  # a pole is a vertex per triangle here
    normals = vertex_normals(vertices, mesh.triangles)[0]
    np.testing.assert_allclose(normals[inner], radii[inner], atol=0.01)


def test_a_cubes_corners_do_not_see_its_diagonals() -> None:
    """Weighted by angle, a corner's normal is the mean of three faces however they are cut."""
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], np.float32)
    faces = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))
    triangles = np.array([t for a, b, c, d in faces for t in ((a, b, c), (a, c, d))], np.int32)
    expected = (corners * 2 - 1) / np.sqrt(3)
    np.testing.assert_allclose(vertex_normals(corners[None], triangles)[0], expected, atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_normals_agree_with_the_definition_and_turn_with_the_body(seed: int) -> None:
    """On a random hilly surface: the plain formula's, and rotating commutes with them."""
    rng = np.random.default_rng(seed)
    x, y = np.meshgrid(np.arange(4.0), np.arange(4.0))
    hills = np.stack((x, y, np.zeros_like(x)), -1).reshape(-1, 3)
    vertices = (hills + rng.uniform(-0.3, 0.3, hills.shape)).astype(np.float32)
    quads = np.array([(i, i + 1, i + 5, i + 4) for i in range(11) if i % 4 < 3])
    triangles = np.concatenate((quads[:, :3], quads[:, (0, 2, 3)])).astype(np.int32)
    normals = vertex_normals(vertices[None], triangles)[0]
    np.testing.assert_allclose(normals, slow_normals(vertices, triangles), atol=1e-5)
    turn = Rotation.random(rng=rng)
    turned = vertex_normals(turn.apply(vertices).astype(np.float32)[None], triangles)[0]
    np.testing.assert_allclose(turned, turn.apply(normals), atol=1e-5)


def test_triangles_without_area_and_vertices_without_triangles_do_no_harm() -> None:
    """The first do not count, the second get the zero vector; nothing becomes NaN."""
    vertices = np.array([[[0, 0, 0], [1, 0, 0], [0, 1, 0], [5, 5, 5]]], np.float32)
    triangles = np.array([[0, 1, 2], [0, 1, 1]], np.int32)
    normals = vertex_normals(vertices, triangles)
    np.testing.assert_allclose(normals[0, :3], [(0, 0, 1)] * 3, atol=1e-6)
    np.testing.assert_array_equal(normals[0, 3], 0)


def test_a_triangle_belongs_to_the_part_of_most_of_its_vertices() -> None:
    """Two of three decide; three different parts leave it to the first."""
    mesh = Mesh(
        triangles=np.array([[0, 1, 2], [2, 0, 1], [0, 2, 3], [1, 2, 3]], np.int32),
        vertex_parts=np.array([4, 4, 9, 23], np.int32),
    )
    np.testing.assert_array_equal(mesh.triangle_parts(), [4, 4, 4, 4])
    mesh = Mesh(triangles=np.array([[0, 1, 2]], np.int32), vertex_parts=np.array([1, 7, 7], "i4"))
    np.testing.assert_array_equal(mesh.triangle_parts(), [7])


@pytest.mark.parametrize(
    ("triangles", "parts", "named"),
    [
        (np.array([[0, 1, 3]], np.int32), np.zeros(3, np.int32), "triangles"),
        (np.array([[0, 1, 2]], np.int64), np.zeros(3, np.int32), "triangles"),
        (np.array([[0, 1, 2, 2]], np.int32), np.zeros(3, np.int32), r"\(T, 3\)"),
        (np.array([[0, 1, 2]], np.int32), np.full(3, 24, np.int32), "vertex_parts"),
    ],
)
def test_a_mesh_that_cannot_be_is_refused(
    triangles: np.ndarray, parts: np.ndarray, named: str
) -> None:
    """Missing vertices, wrong types, quadrilaterals, unknown parts: the field is named."""
    with pytest.raises(ValueError, match=named):
        Mesh(triangles=triangles, vertex_parts=parts)


def test_frames_do_not_mix() -> None:
    """The normals of a frame are the same alone and among others."""
    first, mesh, _ = soup(1, CAMERA)
    second, _, _ = soup(2, CAMERA)
    together = vertex_normals(np.concatenate((first, second)), mesh.triangles)
    np.testing.assert_array_equal(together[1:], vertex_normals(second, mesh.triangles))

"""The guidance maps' encodings, by their definitions and on scenes of known geometry."""

from __future__ import annotations

import tracemalloc
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset.records import Camera
from rendering import maps
from rendering.colours import linear_to_srgb, srgb_to_linear, vertex_colours
from rendering.maps import (
    PART_COLOURS,
    BodyMaps,
    draw_body,
    draw_depth,
    draw_map_chunks,
    draw_maps,
    draw_mask,
    draw_normal,
    draw_semantic_map,
)
from rendering.rasterizer import Buffers, open_rasterizer
from tests.unit.rendering.scenes import CAMERA, draw, scene, sphere

FAR_CAMERA = Camera(focal_length_px=9000.0, width=512, height=512)


def buffers_of(z: np.ndarray, normal: np.ndarray | None = None) -> Buffers:
    """Buffers of one frame in which everything with z > 0 is body."""
    mask = z > 0
    given = np.zeros((*z.shape, 3)) if normal is None else normal
    return Buffers(
        z=z.astype(np.float32)[None],
        normal=(given * mask[..., None]).astype(np.float32)[None],
        semantic=np.zeros((1, *z.shape, 3), np.float32),
        mask=mask[None],
        part=np.where(mask, 0, -1).astype(np.int8)[None],
    )


def test_a_sphere_has_the_colours_of_the_convention() -> None:
    """Centre (128,127,255), right (242,126,183), top (128,241,186), to a level or two.

    The last two are read where the normal leans 0.9 and 0.89 out of the picture's middle.
    """
    normal = draw_normal(draw("cpu", sphere((0.0, 0.0, 60.0), 1.0, FAR_CAMERA, steps=128)))[0]
    radius_px = 9000 / 60
    right = normal[256, 256 + round(0.897 * radius_px)].astype(int)
    top = normal[256 - round(0.889 * radius_px), 256].astype(int)
    assert np.abs(normal[256, 256].astype(int) - (128, 127, 255)).max() <= 1
    assert np.abs(right - (242, 126, 183)).max() <= 3
    assert np.abs(top - (128, 241, 186)).max() <= 3


def test_normals_along_the_axes_are_pure_colours() -> None:
    """Right is red, up is green, towards the camera is blue; away from each is 0."""
    axes = np.array([(1, 0, 0), (-1, 0, 0), (0, -1, 0), (0, 1, 0), (0, 0, -1)], float)[None]
    drawn = draw_normal(buffers_of(np.ones((1, 5)), axes))[0, 0]
    expected = [(255, 128, 128), (0, 128, 128), (128, 255, 128), (128, 0, 128), (128, 128, 255)]
    np.testing.assert_array_equal(drawn, expected)


def test_depth_is_linear_from_nearest_to_farthest_of_its_frame() -> None:
    """255 at the nearest, 0 at the farthest and outside, half way between half way."""
    drawn = draw_depth(buffers_of(np.array([[0.0, 2.0, 3.0, 4.0, 0.0]])))[0, 0, :, 0]
    np.testing.assert_array_equal(drawn, (0, 255, 128, 0, 0))


def test_a_planes_depth_map_runs_with_its_z() -> None:
    """A tilted plane's grey levels are those of its closed-form z at each pixel."""
    corners = [(-0.5, -1, 1.0), (0.5, -1, 2.0), (0.5, 1, 2.0), (-0.5, 1, 1.0)]
    drawn = draw("cpu", scene(corners, [(0, 1, 2), (0, 2, 3)], [0] * 4, CAMERA))
    x = (np.arange(64) + 0.5 - 32) / 64
    z = 1.5 / (1 - x)  # on the plane z = 1.5 + x
    body = drawn.mask[0].any(axis=0)
    expected = 255 * (1 - (z - z[body].min()) / (z[body].max() - z[body].min()))
    ours = draw_depth(drawn)[0, 24, :, 0].astype(float)
    assert np.abs(ours - expected)[body].max() <= 0.51
    assert (ours[~body] == 0).all()


def test_a_body_at_one_depth_is_nearest_everywhere() -> None:
    """No division by the extent it has not."""
    drawn = draw_depth(buffers_of(np.array([[0.0, 2.0, 2.0]])))[0, 0, :, 0]
    np.testing.assert_array_equal(drawn, (0, 255, 255))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), scale=st.floats(0.1, 50.0), shift=st.floats(0.0, 50.0))
def test_depth_does_not_know_where_the_body_stands(seed: int, scale: float, shift: float) -> None:
    """Moving and scaling z changes no grey level by more than the rounding of float32."""
    z = np.random.default_rng(seed).uniform(1.0, 2.0, (4, 5))
    once = draw_depth(buffers_of(z)).astype(int)
    moved = draw_depth(buffers_of(z * scale + shift)).astype(int)
    assert np.abs(once - moved).max() <= 1


def test_every_part_has_its_colour_to_the_level() -> None:
    """The semantic map of an unmixed part is the convention's colour exactly."""
    light = vertex_colours(np.arange(24, dtype=np.int32))[None, None]
    buffers = buffers_of(np.ones((1, 24)))
    drawn = draw_semantic_map(
        Buffers(
            z=buffers.z,
            normal=buffers.normal,
            semantic=light,
            mask=buffers.mask,
            part=buffers.part,
        )
    )
    np.testing.assert_array_equal(drawn[0, 0], PART_COLOURS)
    assert tuple(PART_COLOURS[0]) == (68, 1, 84)
    assert tuple(PART_COLOURS[23]) == (189, 223, 38)


def test_colours_between_parts_are_mixed_in_linear_light() -> None:
    """Half way between parts 0 and 23 is brighter than the mean of their grey levels."""
    corners = [(-1, -1, 1), (1, -1, 1), (1, 1, 1), (-1, 1, 1)]
    drawn = draw("cpu", scene(corners, [(0, 1, 2), (0, 2, 3)], [0, 23, 23, 0], CAMERA))
    x = (np.arange(64) + 0.5) / 64
    ends = srgb_to_linear(PART_COLOURS[[0, 23]] / 255.0)
    share = 0.25 + x[:, None] / 2  # the picture shows the plane's middle half
    expected = linear_to_srgb(ends[0] + share * (ends[1] - ends[0])) * 255
    ours = draw_semantic_map(drawn)[0, 24].astype(float)
    assert np.abs(ours - expected).max() <= 0.53
    assert ours[32, 1] > PART_COLOURS[[0, 23], 1].mean() + 30


@given(value=st.floats(0, 1))
def test_srgb_is_its_own_inverse(value: float) -> None:
    """Decoding what was encoded gives the light again."""
    assert abs(srgb_to_linear(linear_to_srgb(np.array([value])))[0] - value) < 1e-6


def test_all_maps_share_the_silhouette() -> None:
    """The mask is 0 or 255; outside it every map of the body is 0."""
    drawn = draw("cpu", sphere((0.1, 0.0, 3.0), 0.7, CAMERA))
    mask = draw_mask(drawn)[..., 0]
    assert set(np.unique(mask)) == {0, 255}
    for picture in (draw_depth(drawn), draw_normal(drawn), draw_semantic_map(drawn)):
        assert not picture[mask == 0].any()
    assert draw_semantic_map(drawn)[mask == 255].any(axis=-1).all()


def test_drawing_in_chunks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """With room for a single frame at a time the maps of a clip are the same."""
    frames = [sphere((x, 0.0, 3.0), 0.5, CAMERA) for x in (-0.4, 0.0, 5.0, 0.4, 0.6)]
    vertices, mesh = np.concatenate([v for v, _, _ in frames]), frames[0][1]
    points = np.random.default_rng(0).uniform(0, 48, (5, 133, 3)).astype(np.float32)
    rasterizer = open_rasterizer("cpu")
    at_once = draw_maps(rasterizer, mesh, vertices, points, CAMERA)
    monkeypatch.setattr(maps, "CHUNK_BYTES", 1)
    chunks = list(draw_map_chunks(rasterizer, mesh, vertices, points, CAMERA))
    assert len(chunks) == 5
    for name, channels in (("depth", 1), ("normal", 3), ("semantic_map", 3), ("dwpose", 3)):
        one_by_one = np.concatenate([getattr(chunk, name) for chunk in chunks])
        assert one_by_one.shape == (5, 48, 64, channels)
        assert one_by_one.any()
        np.testing.assert_array_equal(getattr(at_once, name), one_by_one)
    np.testing.assert_array_equal(at_once.mask, np.concatenate([c.mask for c in chunks]))
    assert not at_once.mask[2].any()


def test_a_clip_may_have_one_frame() -> None:
    """The maps of a single frame are those it has in a longer clip."""
    frames = [sphere((x, 0.0, 3.0), 0.5, CAMERA) for x in (-0.4, 0.4)]
    vertices, mesh = np.concatenate([v for v, _, _ in frames]), frames[0][1]
    both = draw_body(open_rasterizer("cpu"), mesh, vertices, CAMERA)
    one = draw_body(open_rasterizer("cpu"), mesh, vertices[1:], CAMERA)
    assert one.mask.any()
    for field in fields(BodyMaps):
        np.testing.assert_array_equal(getattr(one, field.name)[0], getattr(both, field.name)[1])


def test_a_body_behind_the_camera_or_beside_the_picture_gives_black_maps() -> None:
    """It is no error: what a black frame means is for the caller to say."""
    for centre in ((0.0, 0.0, -3.0), (9.0, 0.0, 3.0)):
        vertices, mesh, camera = sphere(centre, 0.5, CAMERA)
        drawn = draw_body(open_rasterizer("cpu"), mesh, vertices, camera)
        assert not any(getattr(drawn, field.name).any() for field in fields(BodyMaps))


def test_what_cannot_be_drawn_is_refused() -> None:
    """Vertices that are not finite, and pictures without pixels, before anything is drawn."""
    vertices, mesh, camera = sphere((0.0, 0.0, 3.0), 0.5, CAMERA)
    rasterizer, points = open_rasterizer("cpu"), np.zeros((1, 133, 3), np.float32)
    for width, height in ((0, 48), (64, 0), (-1, 48)):
        empty = Camera(focal_length_px=64.0, width=width, height=height)
        with pytest.raises(ValueError, match="at least 1 x 1"):
            draw_maps(rasterizer, mesh, vertices, points, empty)
    vertices[0, 7, 1] = np.nan
    with pytest.raises(ValueError, match="frame 0"):
        draw_maps(rasterizer, mesh, vertices, points, camera)


def test_an_8k_frame_takes_bounded_memory() -> None:
    """At 7680 x 4320: the maps, a skeleton besides, and 12 bytes a pixel around the body."""
    camera = Camera(focal_length_px=4320.0, width=7680, height=4320)
    vertices, mesh, _ = sphere((0.0, 0.0, 2.5), 1.0, camera, steps=32)
    rasterizer, points = open_rasterizer("cpu"), np.zeros((1, 133, 3), np.float32)
    tracemalloc.start()
    drawn = draw_maps(rasterizer, mesh, vertices, points, camera)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    rows, columns = np.nonzero(drawn.mask[0, ::16, ::16, 0])
    around = 256 * (np.ptp(rows) + 3) * (np.ptp(columns) + 3)
    assert around > 3200**2
    assert peak < (11 + 3) * camera.width * camera.height + 12 * around + 2**22


def test_points_of_other_frames_are_refused() -> None:
    """As many skeletons as bodies."""
    vertices, mesh, camera = sphere((0.0, 0.0, 3.0), 0.5, CAMERA)
    with pytest.raises(ValueError, match="1 frames"):
        draw_maps(open_rasterizer("cpu"), mesh, vertices, np.zeros((2, 133, 3), "f4"), camera)

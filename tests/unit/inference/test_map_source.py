"""Maps that are drawn when they are asked for are those drawn all at once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dataset.crop import Crop
from dataset.errors import ItemError
from dataset.records import MAP_NAMES, BodyTrack, Camera
from inference.framing import PersonFraming
from inference.map_source import DrawnMaps, framed_maps
from rendering.body_model import BodyModel
from rendering.maps import draw_maps
from rendering.rasterizer import open_rasterizer
from rendering.skeleton import smpl_to_wholebody_points

FRAMES = 50
WINDOW = 24


@pytest.fixture(scope="module")
def drawn() -> DrawnMaps:
    """Somebody who turns and walks out of the picture on its right."""
    random = np.random.default_rng(0)
    way = np.linspace(-0.5, 3.0, FRAMES)
    track = BodyTrack(
        betas=random.normal(0, 1, 10).astype(np.float32),
        global_orient=np.stack([np.pi + 0 * way, way, 0 * way], 1).astype(np.float32),
        body_pose=random.normal(0, 0.2, (FRAMES, 23, 3)).astype(np.float32),
        transl=np.stack([way, 0 * way, 4 + 0 * way], 1).astype(np.float32),
        camera=Camera(focal_length_px=90.0, width=110, height=80),
        reprojection_error_px=np.zeros(FRAMES, np.float32),
    )
    body = BodyModel.load(None)
    return DrawnMaps(
        names=MAP_NAMES,
        track=track,
        points=smpl_to_wholebody_points(body.joints(track), track),
        body=body,
        rasterizer=open_rasterizer("cpu"),
    )


def whole(drawn: DrawnMaps):
    vertices = drawn.body.vertices(drawn.track)
    return draw_maps(drawn.rasterizer, drawn.body.mesh, vertices, drawn.points, drawn.track.camera)


def test_portions_are_the_whole_to_the_pixel(drawn: DrawnMaps) -> None:
    """Window by window, cropped, three channels of bytes in the order of the names."""
    framing = PersonFraming(crop=Crop(x0=-4.0, y0=2.0, side=90.0), size=32)
    source = framed_maps(drawn, framing, range(FRAMES))
    portions = [
        source.read(start, min(start + WINDOW, FRAMES)) for start in range(0, FRAMES, WINDOW)
    ]
    assert [tuple(part.shape) for part in portions] == [
        (1, 4, 3, frames, 32, 32) for frames in (24, 24, 2)
    ]
    found = np.concatenate([part.numpy() for part in portions], axis=3)
    maps = whole(drawn)
    for index, name in enumerate(MAP_NAMES):
        expected = framing.maps(getattr(maps, name))
        seen = found[0, index].transpose(1, 2, 3, 0)
        np.testing.assert_array_equal(seen, np.broadcast_to(expected, seen.shape), err_msg=name)


def test_an_order_is_obeyed_and_so_are_the_names(drawn: DrawnMaps) -> None:
    """Frame k of the animation shows the order's k-th frame; the network names what it sees."""
    framing = PersonFraming(crop=Crop(x0=0.0, y0=0.0, side=80.0), size=16)
    two = replace(drawn, names=("normal", "depth"))
    backwards = framed_maps(two, framing, range(FRAMES)[::-1]).read(0, FRAMES)[0]
    forwards = framed_maps(drawn, framing, range(FRAMES)).read(0, FRAMES)[0]
    close = np.abs(backwards.numpy()[:, :, ::-1].astype(int) - forwards[[1, 0]].numpy().astype(int))
    assert (close > 1).mean() < 1e-4  # other frames in a batch: vertices by rounding


def test_the_extent_is_that_of_the_drawn_masks(drawn: DrawnMaps) -> None:
    """The box around every pixel of every mask, without keeping a mask."""
    mask = whole(drawn).mask[..., 0].any(0)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    box = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
    np.testing.assert_array_equal(drawn.extent(), [box])
    assert box[2] == 110  # up to the edge, where the person leaves
    away = replace(drawn.track, transl=drawn.track.transl + np.float32([50, 0, 0]))
    assert replace(drawn, track=away).extent() is None


def test_what_is_not_drawn_is_named(drawn: DrawnMaps) -> None:
    """A network of other maps needs them as files."""
    with pytest.raises(ItemError, match=r"wants densepose, which is not drawn.*folder of maps"):
        replace(drawn, names=("depth", "densepose"))

"""Regions: positions go in and out unchanged, and pictures follow them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.people.regions import Region, cut_out, paste_back, upright_region

_positions = st.floats(-500, 500)
_regions = st.builds(
    Region, x=_positions, y=_positions, size_px=st.floats(2, 900), angle=st.floats(-4, 4)
)
_turned = Region(x=61.0, y=47.5, size_px=40.0, angle=0.6)


@given(_regions, _positions, _positions)
def test_out_and_in_is_where_it_was(region: Region, x: float, y: float) -> None:
    """``to_region`` undoes ``to_frame``."""
    point = np.array([[x, y]])
    assert np.allclose(region.to_frame(region.to_region(point)), point, atol=1e-6)


@given(_positions, _positions, _positions, _positions, st.floats(0.5, 3))
def test_upright_region_has_its_end_above_its_centre(
    x0: float, y0: float, x1: float, y1: float, factor: float
) -> None:
    """The start is the middle, and the end lies straight above it at 1 / (2 factor) of a side."""
    if math.hypot(x1 - x0, y1 - y0) < 2:
        return
    region = upright_region(np.array([x0, y0]), np.array([x1, y1]), factor=factor)
    inside = region.to_region(np.array([[x0, y0], [x1, y1]]))
    assert np.allclose(inside, [[0.5, 0.5], [0.5, 0.5 - 0.5 / factor]], atol=1e-6)


def test_moved_up_is_up_as_the_region_sees_it() -> None:
    """``scaled(up=...)`` moves the centre against the region's own y axis."""
    moved = _turned.scaled(2.0, up=0.25)
    assert np.allclose(_turned.to_region(np.array([[moved.x, moved.y]])), [[0.5, 0.25]])
    assert moved.size_px == 80.0


@pytest.mark.parametrize("size", [16, 40])
def test_pixels_of_a_cut_out_show_their_own_place(size: int) -> None:
    """On a linear ramp every cut-out pixel has the ramp's value at its centre, shrunk or not."""
    y, x = np.mgrid[:96, :128]
    frame = np.stack([2 * x, 2 * y, x + y], axis=-1).astype(np.uint8)
    picture = cut_out(frame, _turned, size) * 255
    rows, columns = np.mgrid[:size, :size] + 0.5
    places = _turned.to_frame(np.stack([columns, rows], axis=-1).reshape(-1, 2) / size) - 0.5
    expected = np.stack([2 * places[:, 0], 2 * places[:, 1], places.sum(axis=1)], axis=-1)
    assert np.abs(picture.reshape(-1, 3) - expected).max() < 2.0


def test_outside_of_the_frame_is_black() -> None:
    """A region beside the frame gives an empty picture instead of an error."""
    frame = np.full((20, 30, 3), 255, np.uint8)
    assert not cut_out(frame, Region(x=-200.0, y=10.0, size_px=50.0), 8).any()


def test_pasted_back_lies_where_it_was_cut_out() -> None:
    """A disc cut out of a frame and pasted back covers itself."""
    y, x = np.mgrid[:96, :128] + 0.5
    disc = np.hypot(x - 64, y - 50) < 12
    frame = np.repeat(disc[..., None], 3, axis=-1).astype(np.uint8) * 255
    back = paste_back(cut_out(frame, _turned, 64)[..., 0], _turned, width=128, height=96) > 0.5
    assert (back & disc).sum() / (back | disc).sum() > 0.97

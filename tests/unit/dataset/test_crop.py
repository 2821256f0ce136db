"""The crop is a square around the person, and cuts every picture in the same place."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset.crop import Crop, crop_frames, person_crop


def test_the_square_is_centred_on_all_boxes_with_its_margin():
    """Union (10, 20)-(50, 100): longer side 80, a tenth more on both ends, centre (30, 60)."""
    boxes = np.array([[10, 20, 40, 100], [30, 30, 50, 90], [np.nan] * 4], np.float32)
    crop = person_crop(boxes, margin=0.1)
    assert crop.side == pytest.approx(96)
    assert (crop.x0 + crop.side / 2, crop.y0 + crop.side / 2) == pytest.approx((30, 60))


def test_no_known_box_is_an_error():
    """Nothing to cut around is the caller's mistake."""
    with pytest.raises(ValueError, match="at least one known box"):
        person_crop(np.full((3, 4), np.nan, np.float32), margin=0.1)


def test_cutting_at_the_same_size_is_the_picture_itself():
    """A crop inside the picture at its own size changes no pixel."""
    frames = np.random.default_rng(0).integers(0, 256, (2, 40, 60, 3), np.uint8)
    cut = crop_frames(frames, Crop(x0=7, y0=3, side=32), 32)
    assert np.array_equal(cut, frames[:, 3:35, 7:39])


def test_outside_the_picture_maps_are_black_and_frames_repeat_their_edge():
    """A square half outside on the left: black where asked, else the first column."""
    frames = np.full((1, 16, 16, 1), 200, np.uint8)
    crop = Crop(x0=-8, y0=0, side=16)
    black = crop_frames(frames, crop, 16, fill_black=True)[0, :, :, 0]
    assert (black[:, :8] == 0).all()
    assert (black[:, 8:] == 200).all()
    assert (crop_frames(frames, crop, 16) == 200).all()


@given(st.floats(-200, 200), st.floats(-200, 200), st.floats(1, 300), st.sampled_from([8, 33, 64]))
def test_any_square_gives_the_asked_size_and_keeps_a_flat_picture_flat(x0, y0, side, size):
    """Wherever the square lies, the size is right and no value is invented."""
    frames = np.full((1, 20, 30, 3), 77, np.uint8)
    cut = crop_frames(frames, Crop(x0=x0, y0=y0, side=side), size)
    assert cut.shape == (1, size, size, 3)
    assert (cut == 77).all()


def test_list_and_back():
    """A crop stored in a table is the same crop."""
    crop = Crop(x0=-1.5, y0=2.0, side=9.25)
    assert Crop.from_list(crop.as_list()) == crop

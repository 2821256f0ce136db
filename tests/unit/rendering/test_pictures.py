"""Pictures of bodies in motion show what was asked for, to one scale, whoever is in them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dataset.records import BodyTrack, Camera
from rendering.body_model import BodyModel
from rendering.mirror import mirrored
from rendering.pictures import GROUND, contact_sheet, draw_bodies, film_grid
from rendering.rasterizer import Rasterizer, open_rasterizer
from rendering.reshape import sole_heights
from rendering.sample_motion import step_and_wave
from rendering.track import select_frames

BODY = BodyModel.load()
MOTION = step_and_wave(BODY, 4)


@pytest.fixture(scope="module")
def rasterizer() -> Rasterizer:
    return open_rasterizer("cpu")


def body_pixels(picture: np.ndarray) -> np.ndarray:
    return np.abs(picture.astype(int) - GROUND).max(axis=-1) > 12


def colour_balance(picture: np.ndarray) -> np.ndarray:
    """Columns of the picture: positive where it is blue (left side), negative where orange."""
    return (picture[..., 2].astype(int) - picture[..., 0]).mean(axis=0)


def test_frames_are_as_high_as_asked_and_hold_a_whole_body(rasterizer: Rasterizer) -> None:
    """Nothing of a body inside of the camera's picture is cut off."""
    (film,) = draw_bodies([MOTION], BODY, rasterizer, 96)
    assert film.shape[:2] == (4, 96)
    for frame in film:
        seen = body_pixels(frame)
        assert 0.05 < seen.mean() < 0.8
        assert not seen[[0, -1]].any()
        assert not seen[:, [0, -1]].any()


def test_tracks_of_one_camera_share_their_view(rasterizer: Rasterizer) -> None:
    """Half a metre to the right in the scene is to the right on the sheet, at the same size."""
    still = select_frames(MOTION, [0])
    aside = replace(still, transl=still.transl + np.array([0.5, 0, 0], np.float32))
    here, there = (film[0] for film in draw_bodies([still, aside], BODY, rasterizer, 96))
    assert here.shape == there.shape
    columns = [np.flatnonzero(body_pixels(frame).any(0)).mean() for frame in (here, there)]
    assert columns[1] > columns[0] + 10
    assert body_pixels(here).sum() == pytest.approx(body_pixels(there).sum(), rel=0.05)


def test_left_is_blue_and_right_is_orange(rasterizer: Rasterizer) -> None:
    """A mirrored body is the flipped outline with the other colours: not a flipped picture."""
    film, mirror = draw_bodies([MOTION, mirrored(MOTION, BODY)], BODY, rasterizer, 96, whole=True)
    flipped = mirror[:, :, ::-1]
    agree = body_pixels(film) == body_pixels(flipped)
    assert agree.mean() > 0.99
    before, after = (colour_balance(frames[0]) for frames in (film, flipped))
    assert np.corrcoef(before, after)[0, 1] < -0.9


def test_the_whole_picture_is_in_the_cameras_proportion(rasterizer: Rasterizer) -> None:
    """With ``whole`` a cell is the camera's picture to its edges."""
    wide = replace(MOTION, camera=replace(MOTION.camera, width=1024))
    (film,) = draw_bodies([select_frames(wide, [0])], BODY, rasterizer, 64, whole=True)
    assert film.shape == (1, 64, 128, 3)


def test_maps_are_drawn_as_they_are(rasterizer: Rasterizer) -> None:
    """The other looks are guidance maps: three channels, black around the body."""
    for look in ("normal", "semantic_map", "depth"):
        (film,) = draw_bodies([select_frames(MOTION, [0])], BODY, rasterizer, 64, look)
        assert film.shape[-1] == 3
        assert (film[0, 0] == 0).all()
        assert film.max() > 100


def test_a_huge_picture_with_a_small_person_stays_small_work(rasterizer: Rasterizer) -> None:
    """An 8K camera is drawn no larger than 2048 pixels, and the cell has the size asked for."""
    camera = Camera(focal_length_px=20000.0, width=7680, height=4320)
    (film,) = draw_bodies(
        [replace(select_frames(MOTION, [0]), camera=camera)], BODY, rasterizer, 64
    )
    assert film.shape[1] == 64
    assert body_pixels(film).any()


def test_sheets_and_films_hold_all_cells() -> None:
    """A sheet has a row a film, as wide as the longest; a grid plays as long as the longest."""
    long, short = (np.full((n, 20, 30, 3), value, np.uint8) for n, value in ((5, 10), (2, 90)))
    sheet = contact_sheet(["long", "short"], [long, short])
    assert [(sheet == value).all(-1).sum() for value in (10, 90)] == [5 * 600, 2 * 600]
    grid = film_grid(["long", "short"], [long, short])
    assert len(grid) == 5
    assert [(grid == value).all(-1).sum() for value in (10, 90)] == [5 * 600, 5 * 600]


def test_what_cannot_be_drawn_is_said(rasterizer: Rasterizer) -> None:
    """An unknown look, no height, and bodies beside the picture are the caller's mistakes."""
    with pytest.raises(ValueError, match="expected a look"):
        draw_bodies([MOTION], BODY, rasterizer, 64, "sepia")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="16 pixels, got 4"):
        draw_bodies([MOTION], BODY, rasterizer, 4)
    away = replace(MOTION, transl=MOTION.transl + np.array([90, 0, 0], np.float32))
    with pytest.raises(ValueError, match="outside of it"):
        draw_bodies([away], BODY, rasterizer, 64)


def test_the_sample_motion_stays_on_the_ground_and_moves() -> None:
    """Its lowest sole is at one height, it walks right and nearer, a stride a second."""
    walk: BodyTrack = step_and_wave(BODY, 31)
    assert np.ptp(sole_heights(walk, BODY)) < 1e-4
    assert walk.transl[-1, 0] > walk.transl[0, 0] + 0.3
    assert walk.transl[-1, 2] < walk.transl[0, 2] - 0.3
    np.testing.assert_allclose(walk.body_pose[0], walk.body_pose[30], atol=1e-5)
    with pytest.raises(ValueError, match="at least one frame"):
        step_and_wave(BODY, 0)

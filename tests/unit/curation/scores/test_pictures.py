"""Scores of single pictures: exposure, blocks, borders, text, cartoons."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from curation.scores import cartoon, text
from curation.scores.blockiness import blockiness
from curation.scores.borders import Borders, border_share, find_borders
from curation.scores.exposure import exposure
from curation.scores.meter import fitted
from tests.unit.curation.sample_media import frames_of, media
from tests.unit.curation.scores.scenes import grey_of, textured

PHOTO_LIKE = textured(540, 960, grain_px=6)


def _jpeg(picture: np.ndarray, quality: int) -> np.ndarray:
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))


def test_exposure_of_a_ramp_is_what_it_was_made_of() -> None:
    """A quarter black, a quarter white, half middle grey."""
    grey = np.full((40, 80), 128, np.uint8)
    grey[:, :20], grey[:, 60:] = 0, 255
    found = exposure(grey)
    assert (found.dark_share, found.bright_share) == (0.25, 0.25)
    assert found.brightness == pytest.approx(0.25 + 0.5 * 128 / 255)


@pytest.mark.parametrize("side", [960, 640])
@pytest.mark.parametrize("enlarged", [1.0, 1.5])
def test_stronger_compression_is_blockier(side: int, enlarged: float) -> None:
    """Ordered by JPEG quality, also after scaling down and after an enlargement."""
    qualities = (90, 50, 25, 8)
    found = []
    for quality in qualities:
        grey = grey_of(_jpeg(PHOTO_LIKE, quality))
        grey = cv2.resize(grey, None, fx=enlarged, fy=enlarged, interpolation=cv2.INTER_CUBIC)
        small = fitted(grey, side)
        found.append(blockiness(small, scale=small.shape[1] / grey.shape[1]))
    assert all(less <= more for less, more in pairwise(found))
    assert found[-1] > 0.05
    assert found[0] < 0.03


def test_a_grid_is_found_wherever_it_lies() -> None:
    """A picture cropped by any offset has its blocks at another place and is as blocky."""
    grey = grey_of(_jpeg(PHOTO_LIKE, 15))
    found = [blockiness(grey[at:, at + 1 :]) for at in range(0, 8, 3)]
    assert np.ptp(found) < 0.2 * max(found)


def test_an_uncompressed_picture_has_no_blocks() -> None:
    """Noise, blotches and a flat picture have no grid."""
    noise = np.random.default_rng(0).integers(0, 256, (300, 400), dtype=np.uint8)
    assert blockiness(noise) < 0.01
    assert blockiness(grey_of(PHOTO_LIKE)) < 0.01
    assert blockiness(np.full((300, 400), 7, np.uint8)) == 0.0


@pytest.mark.parametrize(
    ("bars", "expected"),
    [
        ((0, 60, 0, 60), Borders(top=60 / 540, bottom=60 / 540)),
        ((150, 0, 150, 0), Borders(left=150 / 960, right=150 / 960)),
        ((90, 0, 0, 0), Borders(left=90 / 960)),
        ((0, 0, 0, 0), Borders()),
    ],
)
@pytest.mark.parametrize("level", [0, 255])
def test_plain_bars_are_measured(
    bars: tuple[int, int, int, int], expected: Borders, level: int
) -> None:
    """Letterbox, pillarbox and a single bar, to the pixel; black or white."""
    picture = grey_of(PHOTO_LIKE).copy()
    left, top, right, bottom = bars
    picture[:top], picture[540 - bottom :] = level, level
    picture[:, :left], picture[:, 960 - right :] = level, level
    found = find_borders(picture)
    for side in ("left", "top", "right", "bottom"):
        assert getattr(found, side) == pytest.approx(getattr(expected, side), abs=2 / 540)
    inside = found.inside(picture)
    assert inside.size == pytest.approx((1 - found.share) * picture.size, rel=0.01)


def test_a_blurred_pillarbox_is_a_border() -> None:
    """A portrait picture in the middle of its own blurred copy: the sides are borders."""
    portrait = grey_of(textured(540, 304, grain_px=3))
    around = cv2.GaussianBlur(cv2.resize(portrait, (960, 540)), (0, 0), 25)
    around[:, 328:632] = portrait
    found = find_borders(around)
    assert found.left == pytest.approx(328 / 960, abs=0.02)
    assert found.right == pytest.approx(328 / 960, abs=0.02)
    assert (found.top, found.bottom) == (0.0, 0.0)


def test_a_border_is_always_there() -> None:
    """What is a bar in one look and picture in the next is no border."""
    bar = Borders(top=0.1, bottom=0.1)
    assert border_share([bar, bar]) == pytest.approx(0.2)
    assert border_share([bar, Borders(bottom=0.2)]) == pytest.approx(0.1)


@pytest.mark.parametrize("size_px", [28, 48])
@pytest.mark.parametrize(
    ("font", "caption"), [("sans", "Follow me for more dance"), ("uni", "跟我一起跳舞吧朋友们")]
)
def test_captions_are_text(font: str, caption: str, size_px: int) -> None:
    """A line of a script covers about its own area, and nothing is read where nothing is."""
    scene = textured(540, 960, grain_px=12)
    assert text.text_share(grey_of(scene)) < 0.003
    written = scene.copy()
    for offset, colour in (((-2, 0), 0), ((2, 0), 0), ((0, -2), 0), ((0, 2), 0), ((0, 0), 255)):
        at = (90 + offset[0], 460 + offset[1])
        cv2.putText(written, caption, at, (colour,) * 3, cv2.FontFace(font), size_px, 600)
    changed = (written != scene).any(axis=2)
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    area = np.ptp(rows) * np.ptp(columns) / changed.size
    assert 0.3 * area < text.text_share(grey_of(written)) < 1.5 * area


def test_drawings_are_cartoons_and_people_are_not() -> None:
    """Plain coloured shapes with outlines; a computer film; real footage."""
    drawing = np.full((180, 320, 3), (120, 200, 230), np.uint8)
    cv2.circle(drawing, (130, 80), 40, (250, 120, 40), -1)
    cv2.circle(drawing, (130, 80), 40, (0, 0, 0), 2)
    cv2.rectangle(drawing, (0, 140), (320, 180), (60, 180, 60), -1)
    assert cartoon.cartoon_likelihood(cartoon.cartoon_features(drawing)[None]) > 0.9
    names = ("neg_cartoon_bunny.mp4", "pos_juggle.mp4", "pos_onebyone_2.mp4", "pos_squats.mp4")
    film, *real = [_likelihood(media(name)) for name in names]
    assert film > 0.5
    assert max(real) < 0.1


def _likelihood(path: Path) -> float:
    pictures = frames_of(path, fps=2.0, count=4, max_side=cartoon.SIDE)
    return cartoon.cartoon_likelihood(np.stack([cartoon.cartoon_features(p) for p in pictures]))


@settings(max_examples=40, deadline=None)
@given(
    hnp.arrays(
        np.uint8,
        st.tuples(st.integers(1, 70), st.integers(1, 70), st.just(3)),
        elements=st.sampled_from([0, 3, 128, 250, 255]),
        fill=st.sampled_from([0, 255]),
    )
)
def test_any_picture_has_scores_within_bounds(picture: np.ndarray) -> None:
    """Of one pixel or many, black, white or checkered: no error, and shares are shares."""
    grey = grey_of(picture)
    borders = find_borders(grey)
    inside = borders.inside(picture)
    light = exposure(grey_of(inside)) if inside.size else exposure(np.zeros((0, 0), np.uint8))
    shares = [
        light.brightness,
        light.dark_share,
        light.bright_share,
        blockiness(grey, scale=0.5),
        borders.share,
        text.text_share(grey),
        cartoon.cartoon_likelihood(cartoon.cartoon_features(picture)[None]),
    ]
    assert all(0.0 <= share <= 1.0 for share in shares)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_mirrored_picture_scores_the_same(seed: int) -> None:
    """Exposure, borders and cartoon features do not know left from right."""
    picture = textured(24, 32, seed=seed)
    mirrored = np.ascontiguousarray(picture[:, ::-1])
    assert exposure(grey_of(picture)) == exposure(grey_of(mirrored))
    assert find_borders(grey_of(picture)).share == find_borders(grey_of(mirrored)).share
    one, other = cartoon.cartoon_features(picture), cartoon.cartoon_features(mirrored)
    assert np.allclose(one, other)

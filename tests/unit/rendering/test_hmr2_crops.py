from __future__ import annotations

import numpy as np
import pytest
from skimage.filters import gaussian

from rendering.hmr2.crops import crop_person, normalised, square_boxes


def smooth_picture(height: int, width: int) -> np.ndarray:
    """Slow waves, different in each colour."""
    rows, columns = np.mgrid[:height, :width]
    waves = [np.sin(rows / 17 + k) * np.cos(columns / (13 + k)) for k in range(3)]
    return np.round(127 + 120 * np.stack(waves, -1)).astype(np.uint8)


def crop_plainly(picture: np.ndarray, square: tuple[float, float, float]) -> np.ndarray:
    """Crop pixel (j, i) looks at the square's centre plus side / 256 * (j - 128, i - 128).

    Every fourth row and column of the crop alone.
    """
    x, y, side = square
    padded = np.pad(picture.astype(np.float64), ((1, 1), (1, 1), (0, 0)))
    crop = np.zeros((256, 256, 3))
    for i in range(0, 256, 4):
        for j in range(0, 256, 4):
            column, row = x + side / 256 * (j - 128) + 1, y + side / 256 * (i - 128) + 1
            if not (0 <= column < padded.shape[1] - 1 and 0 <= row < padded.shape[0] - 1):
                continue
            c, r = int(column), int(row)
            u, v = column - c, row - r
            upper = (1 - u) * padded[r, c] + u * padded[r, c + 1]
            lower = (1 - u) * padded[r + 1, c] + u * padded[r + 1, c + 1]
            crop[i, j] = (1 - v) * upper + v * lower
    return crop[::4, ::4]


@pytest.mark.parametrize(
    ("box", "square"),
    [
        ((10, 20, 40, 120), (25, 70, 100)),  # taller than 3 : 4
        ((10, 20, 100, 80), (55, 50, 120)),  # wider
        ((0, 0, 75, 100), (37.5, 50, 100)),  # just so
    ],
)
def test_the_square_has_the_height_of_the_box_at_three_to_four(
    box: tuple[float, ...], square: tuple[float, ...]
) -> None:
    """A box grows to 3 : 4 round its centre; the square's side is the height it then has."""
    np.testing.assert_allclose(square_boxes(np.array([box], np.float32))[0], square)


@pytest.mark.parametrize("square", [(150.0, 100.0, 120.0), (140.3, 95.8, 333.0)])
def test_a_crop_inside_the_picture_is_the_plain_one(square: tuple[float, float, float]) -> None:
    """Enlarged and slightly shrunk, without blur: within a grey level of plain bilinear."""
    picture = smooth_picture(400, 400)
    crop = crop_person(picture, np.array(square) + np.array([50, 100, 0]))
    plain = crop_plainly(picture, (square[0] + 50, square[1] + 100, square[2]))
    np.testing.assert_allclose(crop[::4, ::4], plain, atol=1.0)


def test_outside_the_picture_a_crop_is_black() -> None:
    """A square over a corner shows the picture where there is one; far away all is black."""
    picture = smooth_picture(60, 80)
    crop, plain = crop_person(picture, np.array([75.0, 5, 64])), crop_plainly(picture, (75, 5, 64))
    assert np.abs(crop[::4, ::4] - plain).mean() < 0.2
    assert (crop[:100] == 0).all()
    assert (crop[:, 150:] == 0).all()
    assert crop_person(picture, np.array([900.0, 5, 64])).max() == 0


def test_a_large_square_is_blurred_before_it_shrinks() -> None:
    """As skimage's Gaussian of (side / 512 - 1) / 2 pixels over the picture, then bilinear."""
    random = np.random.default_rng(0)
    picture = random.integers(0, 256, (900, 700, 3), dtype=np.uint8)
    square = (300.0, 420.0, 1400.0)
    sigma = (1400 / 512 - 1) / 2
    blurred = gaussian(picture, sigma=sigma, channel_axis=2, preserve_range=True)
    crop, plain = crop_person(picture, np.array(square)), crop_plainly(blurred, square)
    assert np.abs(crop[::4, ::4] - plain).mean() < 0.6
    unblurred = crop_plainly(picture, square)
    assert np.abs(unblurred - plain).mean() > 5


def test_a_marker_lands_where_the_square_says() -> None:
    """A bright disc at (x, y) is found at 128 + 256 / side * ((x, y) - centre), to half a pixel."""
    picture = np.zeros((300, 400, 3), np.uint8)
    rows, columns = np.mgrid[:300, :400]
    picture[(columns - 250) ** 2 + (rows - 90) ** 2 < 30] = 255
    crop = crop_person(picture, np.array([230.0, 120, 200]))[..., 0]
    place = np.array([(crop * grid).sum() / crop.sum() for grid in np.mgrid[:256, :256]])
    np.testing.assert_allclose(place, 128 + 256 / 200 * np.array([90 - 120, 250 - 230]), atol=0.5)


def test_crops_are_normalised_with_channels_first() -> None:
    """A crop of ImageNet's mean colour is zero; white is (1 - mean) / deviation per channel."""
    crop = np.full((256, 256, 3), 255 * np.array([0.485, 0.456, 0.406]), np.float32)
    np.testing.assert_allclose(normalised(crop), 0, atol=1e-6)
    white = normalised(np.full((256, 256, 3), 255, np.float32))
    assert white.shape == (3, 256, 256)
    np.testing.assert_allclose(white[:, 0, 0], [0.515 / 0.229, 0.544 / 0.224, 0.594 / 0.225], 1e-5)

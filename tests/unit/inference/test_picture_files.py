"""Reference pictures of any kind are read upright in colour, and large ones not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dataset.errors import ItemError
from inference.picture_files import picture_size, read_reference, shrunk


def noise(height: int = 24, width: int = 40) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp", "tif"])
def test_pictures_are_read_as_pillow_reads_them(tmp_path: Path, suffix: str) -> None:
    """The official script reads with Pillow: the same pixels, lossy formats too."""
    path = tmp_path / f"man.{suffix}"
    Image.fromarray(noise()).save(path)
    np.testing.assert_array_equal(read_reference(path), np.asarray(Image.open(path)))
    assert picture_size(path, "kind") == (40, 24)


def test_grey_and_transparent_pictures_become_rgb(tmp_path: Path) -> None:
    """One channel three times; what alpha says is looked over."""
    Image.fromarray(noise()[..., 0]).save(tmp_path / "grey.png")
    assert (read_reference(tmp_path / "grey.png") == noise()[..., :1]).all()
    alpha = np.dstack([noise(), np.full((24, 40), 9, np.uint8)])
    Image.fromarray(alpha).save(tmp_path / "alpha.png")
    np.testing.assert_array_equal(read_reference(tmp_path / "alpha.png"), noise())


def test_a_camera_held_upright_gives_an_upright_picture(tmp_path: Path) -> None:
    """EXIF rotation is applied."""
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    Image.fromarray(noise()).save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(read_reference(tmp_path / "turned.png"), np.rot90(noise(), -1))


def test_only_large_pictures_shrink() -> None:
    """The longer side; a small one is handed back as it is."""
    picture = noise()
    assert shrunk(picture, 40) is picture
    assert shrunk(picture, 20).shape == (12, 20, 3)


@pytest.mark.parametrize(("width", "height"), [(8193, 2), (2, 8193), (30000, 30000)])
def test_a_size_is_refused_before_a_pixel_is_read(tmp_path: Path, width: int, height: int) -> None:
    """By the header: the file holds no pixels at all."""
    header = f"P6 {width} {height} 255\n".encode()
    (tmp_path / "large.ppm").write_bytes(header)
    with pytest.raises(ItemError, match=r"large\.ppm is .*limit is 8192 pixels a side") as error:
        read_reference(tmp_path / "large.ppm")
    assert error.value.kind == "animate.reference"


@pytest.mark.parametrize("content", [b"", b"no picture", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"GIF89a"])
def test_what_is_no_picture_is_refused(tmp_path: Path, content: bytes) -> None:
    """Text, a cut header, and formats that other programs would be started for."""
    (tmp_path / "man.png").write_bytes(content)
    with pytest.raises(ItemError, match="not a picture that can be read"):
        read_reference(tmp_path / "man.png")

"""Folders of ready maps are read as they are, or refused with what is wrong with them."""

from __future__ import annotations

import shutil
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from dataset.errors import ItemError
from dataset.records import MAP_NAMES
from inference.map_folder import known_files, open_map_folder

SIZE = (20, 30)
FRAMES = 3


def write(path: Path, picture: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), picture[..., ::-1] if picture.shape[-1] == 3 else picture)


def noise(seed: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*SIZE, channels), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three frames of four maps of noise, depth with one channel, in a folder of their own."""
    for m, name in enumerate(MAP_NAMES):
        for frame in range(FRAMES):
            picture = noise(10 * m + frame, 1 if name == "depth" else 3)
            write(tmp_path / "maps" / name / f"{frame:04d}.png", picture)
    return tmp_path / "maps"


def frame_of(folder: Path, name: str, frame: int) -> np.ndarray:
    (pictures,) = open_map_folder(folder, (name,)).read([frame])
    return pictures[0][0]


def test_frames_are_as_stored_in_the_networks_order(folder: Path) -> None:
    """Any order of maps and frames, RGB, grey pictures in three channels."""
    names = ("dwpose", "depth")
    maps = open_map_folder(folder, names)
    assert (maps.names, maps.frames, maps.width, maps.height) == (names, FRAMES, *SIZE[::-1])
    last, first = maps.read([2, 0])
    np.testing.assert_array_equal(last[0][0], noise(32))
    np.testing.assert_array_equal(first[1][0], np.repeat(noise(0, 1), 3, axis=2))


def test_a_mask_blackens_the_semantic_map_alone(folder: Path) -> None:
    """np.where(mask > 0, semantic_map, 0), frame by frame, before anything is resized."""
    masks = [noise(90 + frame) // 128 for frame in range(FRAMES)]  # 0 and 1
    for frame, mask in enumerate(masks):
        write(folder / "mask" / f"{frame:04d}.png", mask)
    np.testing.assert_array_equal(
        frame_of(folder, "semantic_map", 1), np.where(masks[1] > 0, noise(21), 0)
    )
    np.testing.assert_array_equal(frame_of(folder, "normal", 1), noise(11))


def test_frames_go_by_their_sorted_names(folder: Path) -> None:
    """As the official loader takes them; hidden files and others are looked over."""
    for name in MAP_NAMES:
        (folder / name / "0000.png").rename(folder / name / "9.png")
        (folder / name / ".DS_Store").write_bytes(b"x")
        (folder / name / "notes.txt").write_text("x")
    np.testing.assert_array_equal(frame_of(folder, "normal", 2), noise(10))


def test_a_span_holds_its_own_frames(folder: Path) -> None:
    """Frame 0 of the span is the first of those chosen, masks and all."""
    for frame in range(FRAMES):
        write(folder / "mask" / f"{frame:04d}.png", np.full((*SIZE, 3), 100 * frame, np.uint8))
    maps = open_map_folder(folder, ("semantic_map",)).span(range(1, 3))
    assert maps.frames == 2
    (pictures,) = maps.read([0])
    np.testing.assert_array_equal(pictures[0][0], noise(21))


def test_the_extent_is_what_is_drawn_in_any_frame(folder: Path) -> None:
    """The box around all frames; nothing where all is black, and JPEG noise is black."""
    for frame in range(FRAMES):
        picture = np.full((*SIZE, 3), 8, np.uint8)
        if frame:
            picture[5 + frame, 10 * frame] = (0, 200, 0)
        write(folder / "normal" / f"{frame:04d}.png", picture)
    maps = open_map_folder(folder, ("depth", "normal"))
    np.testing.assert_array_equal(maps.extent(), [[10, 6, 21, 8]])
    assert maps.span(range(1)).extent() is None


def test_known_files_are_the_pictures_of_all_maps(folder: Path) -> None:
    """What a takedown is compared with: maps and masks, nothing else that lies there."""
    write(folder / "mask" / "0000.png", noise(0))
    write(folder / "images" / "0000.png", noise(0))
    assert len(known_files(folder)) == len(MAP_NAMES) * FRAMES + 1


def _png_header(width: int, height: int) -> bytes:
    """A PNG of that size that ends where its pixels begin."""
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def _lacks_a_map(folder: Path) -> None:
    shutil.rmtree(folder / "dwpose")


def _lacks_a_frame(folder: Path) -> None:
    (folder / "normal" / "0002.png").unlink()


def _another_size(folder: Path) -> None:
    write(folder / "normal" / "0001.png", noise(0)[:-1])


def _too_large(folder: Path) -> None:
    (folder / "depth" / "0000.png").write_bytes(_png_header(8193, 20))


def _a_bomb(folder: Path) -> None:
    (folder / "depth" / "0000.png").write_bytes(_png_header(60000, 60000))


def _text(folder: Path) -> None:
    (folder / "dwpose" / "0001.png").write_text("no picture")


def _lacks_a_mask(folder: Path) -> None:
    write(folder / "mask" / "0000.png", noise(0))


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (_lacks_a_map, r"maps has no map 'dwpose': expected dwpose/0000\.png"),
        (_lacks_a_frame, r"maps.*depth 3, normal 2, semantic_map 3, dwpose 3"),
        (_another_size, r"normal/0001\.png is 30 x 19, .*depth/0000\.png 30 x 20"),
        (_too_large, r"depth/0000\.png is 8193 x 20; the limit is 8192"),
        (_a_bomb, r"depth/0000\.png is too large; the limit is 8192"),
        (_text, r"dwpose/0001\.png is not a picture"),
        (_lacks_a_mask, r"mask has no 0001\.png"),
    ],
)
def test_what_is_wrong_is_told_before_a_pixel_is_decoded(folder: Path, harm, message: str) -> None:
    """The folder, the map and what was found; opening alone finds it."""
    harm(folder)
    with pytest.raises(ItemError, match=message) as error:
        open_map_folder(folder, MAP_NAMES)
    assert error.value.kind == "animate.maps"


def _cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-30])


def _deep(path: Path) -> None:
    write(path, noise(0).astype(np.uint16) * 257)


def _changed(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)


@pytest.mark.parametrize("harm", [_cut_off, _deep, _changed])
def test_a_damaged_picture_is_told_when_it_is_read(folder: Path, harm) -> None:
    """Its frame is an ItemError that names it; the others can still be read."""
    harm(folder / "normal" / "0001.png")
    maps = open_map_folder(folder, ("normal",))
    assert len(list(maps.read([0, 2]))) == 2
    with pytest.raises(ItemError, match=r"0001\.png") as error:
        list(maps.read([1]))
    assert error.value.kind == "animate.maps"

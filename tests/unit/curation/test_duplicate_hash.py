"""The perceptual hash of a frame: what leaves it as it is, what changes it, what has none."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.duplicates.hashing import NO_HASH, frame_hash, mirrored_hash
from curation.duplicates.picture import grey_thumbnail, inside_borders


@cache
def scene(seed: int, height: int = 360, width: int = 640) -> np.ndarray:
    """Soft blobs of many sizes and colours, as different for two seeds as two places."""
    random = np.random.default_rng(seed)
    picture = np.zeros((height, width, 3), np.float32)
    for cells in (3, 6, 12, 24):
        blobs = random.random((cells, cells, 3), np.float32)
        picture += cv2.resize(blobs, (width, height), interpolation=cv2.INTER_CUBIC) / cells
    low, high = picture.min(), picture.max()
    return ((picture - low) / (high - low) * 255).astype(np.uint8)


def apart(first: np.ndarray, second: np.ndarray) -> int:
    return (frame_hash(first) ^ frame_hash(second)).bit_count()


def in_bars(frame: np.ndarray, rows: int, columns: int, colour: int) -> np.ndarray:
    return cv2.copyMakeBorder(
        frame, rows, rows, columns, columns, cv2.BORDER_CONSTANT, value=(colour,) * 3
    )


@settings(max_examples=25, deadline=None, derandomize=True)  # bounds are measured, not proved
@given(
    seed=st.integers(0, 30),
    size=st.tuples(st.integers(120, 900), st.integers(160, 900)),
    quality=st.integers(30, 95),
)
def test_a_scaled_and_compressed_copy_is_within_a_few_bits(seed, size, quality):
    """Any size and shape, through JPEG: at most 6 of 64 bits change."""
    copy = cv2.resize(scene(seed), size, interpolation=cv2.INTER_AREA)
    coded = cv2.imencode(".jpg", copy, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    assert apart(scene(seed), np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR))) <= 6


@settings(max_examples=25, deadline=None, derandomize=True)  # bounds are measured, not proved
@given(
    seed=st.integers(0, 30),
    rows=st.integers(0, 120),
    columns=st.integers(0, 200),
    colour=st.sampled_from([0, 16, 235, 255]),
)
def test_bars_are_no_part_of_the_picture(seed, rows, columns, colour):
    """Letterbox, pillarbox or a frame, dark or bright: at most 12 bits change."""
    assert apart(scene(seed), in_bars(scene(seed), rows, columns, colour)) <= 12


@settings(max_examples=25, deadline=None, derandomize=True)  # bounds are measured, not proved
@given(seed=st.integers(0, 30))
def test_a_mirrored_picture_has_the_mirrored_hash(seed):
    """Mirroring is a fixed change of bits; twice is none."""
    frame = scene(seed, 320, 640)
    value = frame_hash(frame)
    assert (frame_hash(frame[:, ::-1]) ^ mirrored_hash(value)).bit_count() <= 2
    assert mirrored_hash(mirrored_hash(value)) == value
    assert (mirrored_hash(value) ^ value).bit_count() >= 24


def test_two_scenes_are_far_apart():
    """Of 780 pairs of different pictures none is nearer than 12 bits, also in a mirror."""
    hashes = [frame_hash(scene(seed)) for seed in range(40)]
    pairs = [(a, b) for place, a in enumerate(hashes) for b in hashes[:place]]
    assert min((a ^ b).bit_count() for a, b in pairs) >= 12
    assert min((a ^ mirrored_hash(b)).bit_count() for a, b in pairs) >= 12


@pytest.mark.parametrize("what", ["black", "grey", "noise", "gradient", "fade", "small"])
def test_a_plain_picture_has_no_hash(what):
    """Black, flat and gradient frames would be like each other whatever the video."""
    random = np.random.default_rng(0)
    plain = {
        "black": np.zeros((360, 640, 3), np.uint8),
        "grey": np.full((360, 640, 3), 127, np.uint8),
        "noise": random.integers(126, 130, (360, 640, 3), np.uint8),
        "gradient": np.tile(np.arange(640)[None, :, None] * 255 // 639, (360, 1, 3)),
        "fade": scene(1) // 64 + 3,
        "small": in_bars(scene(1, 30, 50), 200, 300, 0),
    }[what]
    assert frame_hash(plain.astype(np.uint8)) == NO_HASH
    assert mirrored_hash(NO_HASH) == NO_HASH


def test_a_wall_behind_somebody_is_no_bar():
    """A flat wall stays when a head stands before it; a bar with a logo on it goes."""
    wall = np.full((360, 640, 3), 180, np.uint8)
    cv2.ellipse(wall, (320, 360), (60, 320), 0, 0, 360, (40, 60, 90), -1)
    grey = grey_thumbnail(wall)
    kept = inside_borders(grey)
    assert kept is not None
    assert kept.shape == grey.shape
    barred = in_bars(scene(3), 80, 0, 0)
    cv2.putText(barred, "@name", (20, 55), cv2.FONT_HERSHEY_SIMPLEX, 1, (255, 255, 255), 2)
    assert apart(scene(3), barred) <= 6

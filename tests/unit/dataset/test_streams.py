"""Claims about the pipeline's own video streams."""

import io
import itertools

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dataset.errors import ItemError
from dataset.records import MAP_NAMES, STREAM_NAMES
from dataset.streams import (
    CODINGS,
    LOSSLESS_RGB,
    StreamEncoder,
    decode_stream,
    encode_stream,
    stream_channels,
    stream_length,
)


def moving_picture(frames: int, height: int, width: int, channels: int) -> np.ndarray:
    """A gradient with a hard edge that moves: something of both kinds of content."""
    y, x = np.mgrid[:height, :width]
    pictures = [
        np.stack([(x * 3 + y + t * (c + 2)) % 256 for c in range(channels)], axis=-1)
        * (np.hypot(x - width / 2 - t, y - height / 2) < width / 3)[..., None]
        for t in range(frames)
    ]
    return np.array(pictures, dtype=np.uint8)


def video_picture(frames: int, height: int, width: int) -> np.ndarray:
    """What a camera sees: smooth shades and edges that move, a little noise."""
    noise = np.random.default_rng(1).normal(0, 2, (frames, height, width, 3))
    pictures = [cv2.GaussianBlur(p, (5, 5), 0) for p in moving_picture(frames, height, width, 3)]
    return np.clip(np.array(pictures) + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("name", [*MAP_NAMES, "mask"])
def test_every_map_comes_back_bit_exact(name: str) -> None:
    """Every map, the colour ones too, decodes to exactly what was encoded."""
    channels = stream_channels(name)
    frames = moving_picture(29, 48, 64, channels)
    decoded = decode_stream(encode_stream(frames, name=name, fps=30.0), channels=channels)
    np.testing.assert_array_equal(decoded, frames)


def test_rgb_comes_back_exact_where_it_is_asked_for() -> None:
    """Drawn frames that are to be measured lose nothing."""
    frames = moving_picture(2 * LOSSLESS_RGB.group + 5, 48, 64, 3)
    data = encode_stream(frames, name="rgb", fps=30.0, lossless=True)
    np.testing.assert_array_equal(decode_stream(data), frames)


@pytest.mark.parametrize("size", [(96, 128), (61, 83)])
def test_rgb_is_visually_lossless(size: tuple[int, int]) -> None:
    """Every frame is within 45 dB, no channel is lighter or darker by half a grey level."""
    frames = video_picture(60, *size)
    error = decode_stream(encode_stream(frames, name="rgb", fps=30.0)).astype(float) - frames
    assert 10 * np.log10(255**2 / (error**2).mean((1, 2, 3))).min() > 45
    assert np.abs(error.mean((0, 1, 2))).max() < 0.5


def test_rgb_keeps_its_colours() -> None:
    """Plain colours, the extremes among them, are off by 2 grey levels at most."""
    colours = np.array(list(itertools.product((0, 90, 255), repeat=3)), np.uint8)
    frames = np.broadcast_to(colours[:, None, None], (len(colours), 17, 33, 3))
    decoded = decode_stream(encode_stream(frames, name="rgb", fps=30.0))
    assert np.abs(decoded.astype(int) - frames).max() <= 2


@given(
    frames=st.tuples(
        st.integers(1, 15), st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3])
    ).flatmap(lambda shape: arrays(np.uint8, shape)),
    fps=st.sampled_from([1.0, 23.976, 30.0, 59.94]),
)
@settings(max_examples=25, deadline=None)
def test_any_size_and_content_comes_back(frames: np.ndarray, fps: float) -> None:
    """Odd sizes down to one pixel, any values, any length and rate come back bit-exact."""
    channels = frames.shape[3]
    data = encode_stream(frames, name="mask" if channels == 1 else "semantic_map", fps=fps)
    assert stream_length(data) == len(frames)
    np.testing.assert_array_equal(decode_stream(data, channels=channels), frames)


@given(st.lists(st.integers(0, 40), max_size=12), st.sampled_from(["whole", "groups", "keys"]))
@settings(max_examples=60, deadline=None)
def test_frames_are_read_by_number(indices: list[int], kind: str) -> None:
    """Any frames, in any order and repeated, are those that a whole read has at these places."""
    data, frames = COUNTED[kind]
    np.testing.assert_array_equal(decode_stream(data, indices), frames[indices])


@pytest.mark.parametrize("kind", ["rgb", "normal"])
def test_far_frames_are_read_by_number(kind: str) -> None:
    """Frames so far apart that the reader jumps are the right ones, in every phase of a group."""
    frames = moving_picture(230, 16, 16, 3)
    data = encode_stream(frames, name=kind, fps=30.0)
    whole = decode_stream(data)
    for indices in ([229, 0], [100, 3, 229, 100], list(range(1, 230, 4)), [47, 48, 191, 192]):
        np.testing.assert_array_equal(decode_stream(data, indices), whole[indices])


@pytest.mark.parametrize("name", STREAM_NAMES)
def test_key_frames_are_where_they_are_promised(name: str) -> None:
    """In the maps every frame is a key frame, in ``rgb`` the first of each group."""
    noise = np.random.default_rng(0).integers(0, 256, (60, 16, 16, stream_channels(name)), np.uint8)
    with av.open(io.BytesIO(encode_stream(noise, name=name, fps=30.0)), "r") as container:
        entries = container.streams.video[0].index_entries
        keys = [number for number, entry in enumerate(entries) if entry.is_keyframe]
    assert keys == list(range(0, 60, CODINGS[name].group))
    assert (CODINGS[name].group == 1) == (name != "rgb")


def test_a_grey_stream_fills_three_channels() -> None:
    """A grey stream asked for three channels repeats its values, as the network wants depth."""
    frames = moving_picture(3, 16, 16, 1)
    decoded = decode_stream(encode_stream(frames, name="depth", fps=30.0))
    np.testing.assert_array_equal(decoded, np.repeat(frames, 3, axis=-1))


def test_encoding_is_deterministic() -> None:
    """The same frames give the same bytes."""
    frames = moving_picture(30, 64, 48, 3)
    assert encode_stream(frames, name="rgb", fps=30) == encode_stream(frames, name="rgb", fps=30)


def test_dividing_the_frames_changes_nothing() -> None:
    """Frames handed over in pieces give the bytes of the whole."""
    encoder = StreamEncoder("rgb", 30.0)
    for start in range(0, 41, 7):
        encoder.add(COUNTED_FRAMES[start : start + 7])
    assert encoder.finish() == RGB


def test_frames_of_several_sizes_are_refused() -> None:
    """A stream has one size."""
    encoder = StreamEncoder("rgb", 30.0)
    encoder.add(np.zeros((2, 8, 8, 3), np.uint8))
    with pytest.raises(ValueError, match="one size"):
        encoder.add(np.zeros((1, 8, 9, 3), np.uint8))


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_cut_data_is_an_error(share: float) -> None:
    """A stream that lost its end is bad data, never fewer or other frames."""
    with pytest.raises(ItemError, match=r"stream\.damaged"):
        decode_stream(RGB[: int(len(RGB) * share)])


@pytest.mark.parametrize("data", [b"", b"not a stream" * 50])
def test_what_is_no_stream_is_an_error(data: bytes) -> None:
    """Bytes that are no MP4 are bad data."""
    with pytest.raises(ItemError, match=r"stream\.damaged"):
        stream_length(data)


@pytest.mark.parametrize(
    ("name", "shape", "dtype", "fps"),
    [
        ("albedo", (1, 4, 4, 3), np.uint8, 30.0),
        ("rgb", (1, 4, 4, 1), np.uint8, 30.0),
        ("mask", (1, 4, 4, 3), np.uint8, 30.0),
        ("rgb", (1, 4, 4, 3), np.float32, 30.0),
        ("rgb", (4, 4, 3), np.uint8, 30.0),
        ("rgb", (0, 4, 4, 3), np.uint8, 30.0),
        ("rgb", (1, 4, 4, 3), np.uint8, 0.0),
    ],
)
def test_wrong_frames_are_the_callers_mistake(
    name: str, shape: tuple[int, ...], dtype: type, fps: float
) -> None:
    """A wrong name, shape, type, length or rate is refused by name."""
    with pytest.raises(ValueError, match=r"must be|takes|needs"):
        encode_stream(np.zeros(shape, dtype), name=name, fps=fps)


@pytest.mark.parametrize("indices", [[-1], [41], [0, 500]])
def test_frames_outside_the_stream_are_refused(indices: list[int]) -> None:
    """A frame number outside the stream is the caller's mistake."""
    with pytest.raises(ValueError, match="outside the stream of 41 frames"):
        decode_stream(RGB, indices)


def test_one_channel_of_a_colour_stream_is_refused() -> None:
    """A colour stream is not turned into grey behind the caller's back."""
    with pytest.raises(ValueError, match="3 channels"):
        decode_stream(RGB, [0], channels=1)


COUNTED_FRAMES = moving_picture(41, 24, 40, 3)
RGB = encode_stream(COUNTED_FRAMES, name="rgb", fps=30.0)
COUNTED = {
    "whole": (RGB, decode_stream(RGB)),
    "groups": (
        encode_stream(COUNTED_FRAMES, name="rgb", fps=30.0, lossless=True),
        COUNTED_FRAMES,
    ),
    "keys": (encode_stream(COUNTED_FRAMES, name="normal", fps=30.0), COUNTED_FRAMES),
}

"""Claims about the pipeline's own video streams."""

import io

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dataset.errors import ItemError
from dataset.records import STREAM_NAMES
from dataset.streams import (
    GROUP_FRAMES,
    StreamEncoder,
    decode_stream,
    encode_stream,
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


@pytest.mark.parametrize("name", STREAM_NAMES)
def test_every_stream_comes_back_bit_exact(name: str) -> None:
    """Every stream, the colour ones too, decodes to exactly what was encoded."""
    channels = 1 if name in ("depth", "mask") else 3
    frames = moving_picture(2 * GROUP_FRAMES + 5, 48, 64, channels)
    decoded = decode_stream(encode_stream(frames, name=name, fps=30.0), channels=channels)
    np.testing.assert_array_equal(decoded, frames)


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


@given(st.lists(st.integers(0, 40), max_size=12), st.booleans())
@settings(max_examples=40, deadline=None)
def test_frames_are_read_by_number(indices: list[int], grouped: bool) -> None:
    """Any frames, in any order and repeated, are those that a whole read has at these places."""
    data = COUNTED if grouped else COUNTED_KEYS
    np.testing.assert_array_equal(decode_stream(data, indices), COUNTED_FRAMES[indices])


@pytest.mark.parametrize("name", STREAM_NAMES)
def test_key_frames_are_where_they_are_promised(name: str) -> None:
    """In the maps every frame is a key frame, in ``rgb`` every ``GROUP_FRAMES``-th."""
    channels = 1 if name in ("depth", "mask") else 3
    noise = np.random.default_rng(0).integers(0, 256, (30, 16, 16, channels), np.uint8)
    with av.open(io.BytesIO(encode_stream(noise, name=name, fps=30.0)), "r") as container:
        entries = container.streams.video[0].index_entries
        keys = [number for number, entry in enumerate(entries) if entry.is_keyframe]
    assert keys == list(range(0, 30, GROUP_FRAMES if name == "rgb" else 1))


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
    assert encoder.finish() == COUNTED


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
        decode_stream(COUNTED[: int(len(COUNTED) * share)])


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
        decode_stream(COUNTED, indices)


def test_one_channel_of_a_colour_stream_is_refused() -> None:
    """A colour stream is not turned into grey behind the caller's back."""
    with pytest.raises(ValueError, match="3 channels"):
        decode_stream(COUNTED, [0], channels=1)


COUNTED_FRAMES = moving_picture(41, 24, 40, 3)
COUNTED = encode_stream(COUNTED_FRAMES, name="rgb", fps=30.0)
COUNTED_KEYS = encode_stream(COUNTED_FRAMES, name="normal", fps=30.0)

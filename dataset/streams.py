"""The pipeline's own video streams: read at random by frame number, every value as it went in.

A stream is an MP4 file in memory, a column of the ``guidance`` table. Colour streams are H.264 in
RGB (no conversion to YUV, so nothing is rounded), grey ones H.264 luma alone, both at quantiser 0,
which is lossless. Lossy settings that stay within 2/255 save nothing worth having
(docs/decisions/stream-codecs.md).
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from fractions import Fraction

import av
import av.error
import numpy as np
from av.container import InputContainer, OutputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from jaxtyping import UInt8

from dataset.errors import ItemError
from dataset.records import STREAM_NAMES

GREY_STREAMS = ("depth", "mask")
"""Streams of one channel; the others have three (RGB)."""

GROUP_FRAMES = 12
"""Frames from one key frame of ``rgb`` to the next; in the maps every frame is one.

Training reads the maps at random, where key frames are twice as fast for a quarter more bytes; of
``rgb``, read in one go, they would be five times the bytes.
"""

_FULL_RANGE = 2  # AVCOL_RANGE_JPEG: 0 is black and 255 white, also for other people's readers


class StreamEncoder:
    """Encodes a stream a few frames at a time, so that a clip of maps need not be in memory.

    ``StreamEncoder(name, fps)``, then ``add`` as often as there are frames, then ``finish``. The
    bytes do not depend on how the frames were divided. Arguments and errors are those of
    ``encode_stream``.
    """

    def __init__(self, name: str, fps: float) -> None:
        if not fps > 0:
            raise ValueError(f"fps must be above 0, got {fps}")
        self._name = name
        self._channels = stream_channels(name)
        self._rate = Fraction(fps).limit_denominator(1001)
        self._buffer = io.BytesIO()
        self._container = av.open(self._buffer, "w", format="mp4")
        self._stream: VideoStream | None = None
        self._frames = 0

    def add(self, frames: UInt8[np.ndarray, "frames height width channels"]) -> None:
        """Encode the next frames, all of one size."""
        if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != self._channels:
            raise ValueError(
                f"stream {self._name!r} takes uint8 frames x height x width x {self._channels}, "
                f"got {frames.dtype} {frames.shape}"
            )
        if 0 in frames.shape[1:]:
            raise ValueError(f"stream {self._name!r} needs at least a pixel, got {frames.shape}")
        if self._stream is None:
            self._stream = _add_stream(self._container, frames.shape, self._rate, name=self._name)
        if frames.shape[1:3] != (self._stream.height, self._stream.width):
            raise ValueError(f"frames must share one size, got {frames.shape} after others")
        for pixels in frames:
            frame = _frame(pixels)
            frame.pts = self._frames
            self._container.mux(self._stream.encode(frame))
            self._frames += 1

    def finish(self) -> bytes:
        """The MP4 of all frames added; the encoder is done with."""
        if self._stream is None or self._frames == 0:
            raise ValueError(f"stream {self._name!r} needs at least one frame, got none")
        self._container.mux(self._stream.encode(None))
        self._container.close()
        return self._buffer.getvalue()


def encode_stream(
    frames: UInt8[np.ndarray, "frames height width channels"], *, name: str, fps: float
) -> bytes:
    """The MP4 bytes of a clip's frames, losslessly and the same bytes every time.

    Args:
        frames: RGB, or one channel for the streams of ``GREY_STREAMS``; any size, odd ones too.
        name: One of ``STREAM_NAMES``.
        fps: Frames per second, for players; readers here go by frame index.

    Raises:
        ValueError: An unknown name, another shape or type, no frames, or an fps of 0 or less.
    """
    encoder = StreamEncoder(name, fps)
    encoder.add(frames)
    return encoder.finish()


def decode_stream(
    data: bytes, indices: Sequence[int] | None = None, *, channels: int = 3
) -> UInt8[np.ndarray, "frames height width channels"]:
    """Frames of a stream by index, exactly as they were encoded.

    Args:
        data: What ``encode_stream`` returned.
        indices: Frame numbers from 0, in any order, repeats allowed; ``None`` for all.
        channels: 3 repeats a grey stream's channel (as the network wants depth); 1 is for grey
            streams alone.

    Raises:
        ValueError: An index outside the stream, or one channel asked of a colour stream.
        ItemError: ``stream.damaged``: the bytes are not a stream, or are incomplete.
    """
    if channels not in (1, 3):
        raise ValueError(f"channels must be 1 or 3, got {channels}")
    with _open(data) as container:
        starts, keys = _index(container.streams.video[0])
        wanted = range(len(starts)) if indices is None else [int(i) for i in indices]
        bad = [i for i in wanted if not 0 <= i < len(starts)]
        if bad:
            raise ValueError(f"frame {bad[0]} is outside the stream of {len(starts)} frames")
        return _collect(container, starts, keys, wanted, channels)


def stream_length(data: bytes) -> int:
    """How many frames a stream has, from its index alone (nothing is decoded).

    Raises:
        ItemError: ``stream.damaged``: the bytes are not a stream.
    """
    with _open(data) as container:
        return len(_index(container.streams.video[0])[0])


def stream_channels(name: str) -> int:
    """1 for the grey streams, 3 for the colour ones; ``ValueError`` for any other name."""
    if name not in STREAM_NAMES:
        raise ValueError(f"stream name must be one of {', '.join(STREAM_NAMES)}; got {name!r}")
    return 1 if name in GREY_STREAMS else 3


def _add_stream(
    container: OutputContainer, shape: tuple[int, ...], rate: Fraction, *, name: str
) -> VideoStream:
    _, height, width, channels = shape
    codec, pixels = ("libx264", "gray") if channels == 1 else ("libx264rgb", "rgb24")
    stream = container.add_stream(codec, rate=rate, options=_h264_options(name))
    assert isinstance(stream, VideoStream)
    stream.width, stream.height, stream.pix_fmt = width, height, pixels
    stream.codec_context.thread_count = 1  # the same bytes on every machine
    stream.codec_context.color_range = _FULL_RANGE
    return stream


def _h264_options(name: str) -> dict[str, str]:
    group = GROUP_FRAMES if name == "rgb" else 1
    return {
        "qp": "0",
        "preset": "veryfast",
        "bf": "0",  # decoding order is frame order: an index entry is a frame
        "x264-params": f"keyint={group}:min-keyint={group}:scenecut=0:threads=1",
    }


def _frame(pixels: UInt8[np.ndarray, "height width channels"]) -> VideoFrame:
    grey = pixels.shape[2] == 1
    picture = np.ascontiguousarray(pixels[..., 0] if grey else pixels)
    frame = VideoFrame.from_ndarray(picture, format="gray" if grey else "rgb24")
    frame.color_range = _FULL_RANGE
    return frame


def _open(data: bytes) -> InputContainer:
    try:
        container = av.open(io.BytesIO(data), "r", format="mp4")
    except av.error.FFmpegError as error:
        raise ItemError("stream.damaged", f"{len(data)} bytes are not an MP4: {error}") from error
    streams = container.streams.video
    if len(streams) != 1 or streams[0].codec_context is None:
        container.close()
        raise ItemError("stream.damaged", f"{len(data)} bytes hold no video stream")
    streams[0].codec_context.thread_count = 1  # workers are the parallelism
    return container


def _index(stream: VideoStream) -> tuple[np.ndarray, np.ndarray]:
    """The time stamp of every frame, and the numbers of the key frames."""
    entries = list(stream.index_entries)
    starts = np.array([entry.timestamp for entry in entries], dtype=np.int64)
    keys = np.array([i for i, entry in enumerate(entries) if entry.is_keyframe], dtype=np.int64)
    return starts, keys


def _collect(
    container: InputContainer,
    starts: np.ndarray,
    keys: np.ndarray,
    wanted: Sequence[int],
    channels: int,
) -> np.ndarray:
    """Decode each group that holds a wanted frame once, and put the frames in their places."""
    places: dict[int, list[int]] = {}
    for place, index in enumerate(wanted):
        places.setdefault(index, []).append(place)
    context = container.streams.video[0].codec_context
    out = np.empty((len(wanted), context.height, context.width, channels), np.uint8)
    missing = set(places)
    try:
        for index, frame in _walk(container, starts, keys, sorted(places)):
            if index in missing:
                out[places[index]] = _pixels(frame, channels)
                missing.remove(index)
    except av.error.FFmpegError as error:
        raise ItemError("stream.damaged", f"the stream cannot be decoded: {error}") from error
    if missing:
        raise ItemError("stream.damaged", f"frames {sorted(missing)[:8]} are missing from the data")
    return out


def _walk(
    container: InputContainer, starts: np.ndarray, keys: np.ndarray, ordered: Sequence[int]
) -> Iterator[tuple[int, VideoFrame]]:
    """Decoded frames with their numbers, from group to group, jumping where it saves decoding."""
    stream = container.streams.video[0]
    numbers = {int(start): index for index, start in enumerate(starts)}
    groups = np.searchsorted(keys, ordered, side="right") - 1
    previous: int | None = None
    position = 0
    while position < len(ordered):
        group = int(groups[position])
        run = position
        while run + 1 < len(ordered) and groups[run + 1] <= groups[run] + 1:
            run += 1  # neighbouring groups are read on, without a seek
        if previous is not None or group > 0:
            container.seek(int(starts[keys[group]]), stream=stream, backward=True)
        last = ordered[run]
        for frame in container.decode(stream):
            index = numbers.get(frame.pts if frame.pts is not None else -1, -1)
            yield index, frame
            if index >= last:
                break
        previous, position = last, run + 1


def _pixels(frame: VideoFrame, channels: int) -> np.ndarray:
    """One frame's values, never through a colour conversion."""
    if frame.format.name == "gbrp":
        if channels == 1:
            raise ValueError("a colour stream has 3 channels, 1 was asked for")
        return frame.to_ndarray(format="rgb24")
    plane = frame.planes[0]  # grey H.264 comes as yuv420p with empty chroma: luma holds the values
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
    return np.repeat(rows[:, : frame.width, None], channels, axis=2)

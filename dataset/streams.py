"""The pipeline's own video streams: read at random by frame number; the maps exactly as drawn.

A stream is an MP4 file in memory, a column of the ``guidance`` table: H.264 in RGB (no conversion
to YUV, so nothing is rounded and no colour tag can be misread), of grey streams the luma alone.
Maps are at quantiser 0, which is lossless, and every frame is a key frame. ``rgb``, frames of video
that was compressed before, is near-lossless: at least 45 dB, no bias, unless ``lossless`` is asked
for. What each setting costs and gives is measured in docs/decisions/stream-codecs.md.
"""

from __future__ import annotations

import io
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice

import av
import av.error
import cv2
import numpy as np
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from jaxtyping import UInt8

from dataset.errors import ItemError
from dataset.records import STREAM_NAMES

GREY_STREAMS = ("depth", "mask")
"""Streams of one channel; the others have three (RGB)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coding:
    """How a stream is encoded.

    ``quantiser`` 0 is lossless. ``group`` is the number of frames from one key frame to the next.
    ``skippable`` of every ``skippable + 1`` frames within a group are needed by no other frame, so
    that a reader of every n-th one passes them over. ``arithmetic`` entropy coding is smaller and
    slower to decode. ``preset`` is x264's.
    """

    quantiser: int = 0
    group: int = 1
    skippable: int = 0
    arithmetic: bool = False
    preset: str = "veryfast"


CODINGS = {
    "rgb": Coding(quantiser=15, group=48, skippable=3),
    "depth": Coding(),
    "normal": Coding(),
    "semantic_map": Coding(),
    "dwpose": Coding(arithmetic=True, preset="medium"),  # thin lines: larger than PNG without
    "mask": Coding(),
}
"""How each stream is encoded."""

LOSSLESS_RGB = Coding(group=12, arithmetic=True)
"""How ``rgb`` is encoded where every value counts: several times the bytes."""

_FULL_RANGE = 2  # AVCOL_RANGE_JPEG: 0 is black and 255 white, also for other people's readers
_FAR = 64  # frames: over fewer, reading on is cheaper than a seek


class StreamEncoder:
    """Encodes a stream a few frames at a time, so that a clip of maps need not be in memory.

    ``StreamEncoder(name, fps)``, then ``add`` as often as there are frames, then ``finish``. The
    bytes do not depend on how the frames were divided. Arguments and errors are those of
    ``encode_stream``.
    """

    def __init__(self, name: str, fps: float, *, lossless: bool = False) -> None:
        if not fps > 0:
            raise ValueError(f"fps must be above 0, got {fps}")
        self._name = name
        self._channels = stream_channels(name)
        self._coding = LOSSLESS_RGB if lossless and name == "rgb" else CODINGS[name]
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
            self._stream = _add_stream(self._container, frames.shape, self._rate, self._coding)
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
    frames: UInt8[np.ndarray, "frames height width channels"],
    *,
    name: str,
    fps: float,
    lossless: bool = False,
) -> bytes:
    """The MP4 bytes of a clip's frames, the same bytes every time.

    Args:
        frames: RGB, or one channel for the streams of ``GREY_STREAMS``; any size, odd ones too.
        name: One of ``STREAM_NAMES``.
        fps: Frames per second, for players; readers here go by frame index.
        lossless: Keeps ``rgb`` exact, too; the maps always are.

    Raises:
        ValueError: An unknown name, another shape or type, no frames, or an fps of 0 or less.
    """
    encoder = StreamEncoder(name, fps, lossless=lossless)
    encoder.add(frames)
    return encoder.finish()


def decode_stream(
    data: bytes, indices: Sequence[int] | None = None, *, channels: int = 3
) -> UInt8[np.ndarray, "frames height width channels"]:
    """Frames of a stream by index, the same pixels whichever others are read with them.

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
    container: OutputContainer, shape: tuple[int, ...], rate: Fraction, coding: Coding
) -> VideoStream:
    _, height, width, channels = shape
    codec, pixels = ("libx264", "gray") if channels == 1 else ("libx264rgb", "rgb24")
    stream = container.add_stream(codec, rate=rate, options=h264_options(coding))
    assert isinstance(stream, VideoStream)
    stream.width, stream.height, stream.pix_fmt = width, height, pixels
    stream.codec_context.thread_count = 1  # the same bytes on every machine
    stream.codec_context.color_range = _FULL_RANGE
    return stream


def h264_options(coding: Coding) -> dict[str, str]:
    """The encoder's options for a coding; one thread, no choice left to chance."""
    parameters = {
        "keyint": coding.group,
        "min-keyint": coding.group,
        "scenecut": 0,
        "bframes": coding.skippable,
        "b-adapt": 0,
        "b-pyramid": "none",  # no other frame needs a B-frame
        "ipratio": 1.0,  # all frames of a group are equally good
        "pbratio": 1.0,
        "weightp": 0,
        "cabac": int(coding.arithmetic),
        "8x8dct": 0,  # faster to decode, no larger at these quantisers
        "no-deblock": 1,  # nothing to do at such quantisers, yet it takes time
        "threads": 1,
    }
    return {
        "qp": str(coding.quantiser),
        "preset": coding.preset,
        "x264-params": ":".join(f"{name}={value}" for name, value in parameters.items()),
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
    """The decoding time of every frame, and the numbers of the key frames."""
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
    """Decode what the wanted frames need, once, and put the frames in their places."""
    places: dict[int, list[int]] = {}
    for place, index in enumerate(wanted):
        places.setdefault(index, []).append(place)
    context = container.streams.video[0].codec_context
    out = np.empty((len(wanted), context.height, context.width, channels), np.uint8)
    missing = set(places)
    try:
        for index, frame in _decode(container, _groups(container, starts, keys, places), missing):
            first, *others = places[index]
            _copy_pixels(frame, out[first])
            out[others] = out[first]
            missing.remove(index)
    except av.error.FFmpegError as error:
        raise ItemError("stream.damaged", f"the stream cannot be decoded: {error}") from error
    if missing:
        raise ItemError("stream.damaged", f"frames {sorted(missing)[:8]} are missing from the data")
    return out


def _groups(
    container: InputContainer, starts: np.ndarray, keys: np.ndarray, wanted: Iterable[int]
) -> Iterator[tuple[int, list[Packet]]]:
    """The groups that hold wanted frames: the number of the first frame, and all packets."""
    stream = container.streams.video[0]
    ends = np.append(keys[1:], len(starts))
    packets, position = container.demux(stream), 0
    for group in sorted(set((np.searchsorted(keys, sorted(wanted), side="right") - 1).tolist())):
        first = int(keys[group])
        if first - position > _FAR:
            container.seek(int(starts[first]), stream=stream, backward=True)
            packets, position = container.demux(stream), first
        ahead = list(islice(packets, int(ends[group]) - position))
        yield first, [packet for packet in ahead[first - position :] if packet.pts is not None]
        position = int(ends[group])


def _decode(
    container: InputContainer, groups: Iterable[tuple[int, list[Packet]]], wanted: Container[int]
) -> Iterator[tuple[int, VideoFrame]]:
    """Wanted frames with their numbers, without decoding what they do not need.

    No group refers to another, so the frames of a group by time are numbered as they are shown.
    """
    context = container.streams.video[0].codec_context
    numbers: dict[int | None, int] = {}
    for first, packets in groups:
        shown = sorted(packet.pts for packet in packets if packet.pts is not None)
        numbers.update({pts: first + rank for rank, pts in enumerate(shown)})
        needed = [numbers[packet.pts] in wanted for packet in packets]
        last = max((place for place, need in enumerate(needed) if need), default=-1)
        for packet, need in zip(packets[: last + 1], needed, strict=False):
            context.skip_frame = "DEFAULT" if need else "NONREF"
            yield from _numbered(context.decode(packet), numbers, wanted)
        if context.has_b_frames:  # the last ones come late, and a seek would lose them
            yield from _numbered(context.decode(None), numbers, wanted)
            context.flush_buffers()


def _numbered(
    frames: Iterable[VideoFrame], numbers: Mapping[int | None, int], wanted: Container[int]
) -> Iterator[tuple[int, VideoFrame]]:
    for frame in frames:
        number = numbers.get(frame.pts, -1)
        if number in wanted:
            yield number, frame


def _copy_pixels(frame: VideoFrame, out: UInt8[np.ndarray, "height width channels"]) -> None:
    """One frame's values, never through a colour conversion."""
    if frame.format.name == "gbrp":
        if out.shape[2] == 1:
            raise ValueError("a colour stream has 3 channels, 1 was asked for")
        green, blue, red = (_plane(frame, index) for index in range(3))
        cv2.merge([red, green, blue], dst=out)
    elif out.shape[2] == 1:  # grey H.264 comes with empty chroma: luma holds the values
        out[..., 0] = _plane(frame, 0)
    else:
        cv2.merge([_plane(frame, 0)] * 3, dst=out)


def _plane(frame: VideoFrame, index: int) -> UInt8[np.ndarray, "height width"]:
    plane = frame.planes[index]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
    return rows[:, : frame.width]

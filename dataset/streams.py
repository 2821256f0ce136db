"""The pipeline's own video streams: read at random by frame number; the maps exactly as drawn.

A stream is an MP4 file in memory, a column of the ``guidance`` table: H.264 in RGB (no conversion
to YUV, so nothing is rounded and no colour tag can be misread), of grey streams the luma alone.
Maps are at quantiser 0, which is lossless, and every frame is a key frame. ``rgb``, frames of video
that was compressed before, is near-lossless: at least 45 dB, no bias, unless ``lossless`` is asked
for. What each setting costs and gives is measured in docs/decisions/stream-codecs.md.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import av
import av.error
import numpy as np
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from jaxtyping import UInt8

from dataset.records import STREAM_NAMES
from dataset.stream_decoding import collect, frame_index, open_stream

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
    with open_stream(data) as container:
        starts, keys = frame_index(container.streams.video[0])
        wanted = range(len(starts)) if indices is None else [int(i) for i in indices]
        bad = [i for i in wanted if not 0 <= i < len(starts)]
        if bad:
            raise ValueError(f"frame {bad[0]} is outside the stream of {len(starts)} frames")
        return collect(container, starts, keys, wanted, channels)


def stream_length(data: bytes) -> int:
    """How many frames a stream has, from its index alone (nothing is decoded).

    Raises:
        ItemError: ``stream.damaged``: the bytes are not a stream.
    """
    with open_stream(data) as container:
        return len(frame_index(container.streams.video[0])[0])


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

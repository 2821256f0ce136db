"""The frames of a video from outside, at one rate. It runs in the decoder's child process.

A file that ends early is an error, where FFmpeg would hand out what it has in silence. Time stamps
decide what is shown when, so that a variable frame rate comes out constant.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import av.error
import numpy as np
from av.codec import CodecContext
from av.container import InputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from dataset.containers import (
    duration_seconds,
    frame_rate,
    open_container,
    tagged_duration,
    video_stream,
)
from dataset.deinterlacing import deinterlaced
from dataset.errors import ItemError
from dataset.rgb import RgbConverter

# A time stamp so far past the end, or past the frame before it where no end is told, is wrong: the
# time between would be filled with copies.
_MAX_OVERRUN_SECONDS = 10.0
_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}  # FFmpeg's own drop the alpha plane


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which frames of a file, and how (``dataset.video.read_timed_frames``)."""

    fps: float | None = None
    start_seconds: float = 0.0
    end_seconds: float | None = None
    max_side: int | None = None
    max_pixels: int = 8192 * 8192


def decoded_pictures(
    file: int, name: str, wanted: Wanted, *, threads: int, alive: Callable[[], None]
) -> Iterator[tuple[float, np.ndarray]]:
    """The source's seconds and the picture of every frame wanted, all of one size.

    Args:
        file: A descriptor of the file.
        name: What messages call it.
        wanted: Which frames.
        threads: Threads of the decoder.
        alive: Called for every decoded frame, wanted or not.

    Yields:
        A picture is a view that is valid until the next one; one that is shown again is the same
        object.

    Raises:
        ItemError: See ``dataset.video.read_frames``.
    """
    start = wanted.start_seconds
    end = math.inf if wanted.end_seconds is None else wanted.end_seconds
    with open_container(file, name) as container:
        stream = video_stream(container, name, max_pixels=wanted.max_pixels)
        stream.thread_type, stream.codec_context.thread_count = "AUTO", threads
        stream.codec_context.options = {"max_pixels": str(wanted.max_pixels)}
        rate = wanted.fps or frame_rate(stream)
        decoding = _Decoding(container, stream, name, threads)
        converter: RgbConverter | None = None
        number = 0
        for seconds, frame, until in decoding.shown_until(start):
            alive()
            converter = converter or RgbConverter(
                frame,
                pixel_aspect=float(stream.sample_aspect_ratio or 1),
                max_side=wanted.max_side,
                threads=threads,
            )
            picture: np.ndarray | None = None
            while start + number / rate < min(until, end):
                picture = converter.convert(frame) if picture is None else picture
                yield seconds, picture
                number += 1
            if until >= end:
                break
    if number == 0:
        raise ItemError("decode.empty_span", f"{name} shows nothing from {start:.3f} s on")


class _Decoding:
    """The frames of one stream with their times."""

    def __init__(
        self, container: InputContainer, stream: VideoStream, name: str, threads: int
    ) -> None:
        self._container, self._stream, self._name = container, stream, name
        self._threads = threads
        self._step = 1 / frame_rate(stream)
        self._base = stream.time_base or Fraction(1, 1000)
        self._origin = stream.start_time or 0
        self._length = duration_seconds(container, stream)

    def shown_until(self, start: float) -> Iterator[tuple[float, VideoFrame, float]]:
        """Each frame, its time, and the time at which the next one takes its place."""
        shown: tuple[float, VideoFrame] | None = None
        for seconds, frame in deinterlaced(self._timed(start), threads=self._threads):
            if shown is not None:
                yield *shown, seconds - self._step / 4
            shown = seconds, frame
        if shown is None:
            raise ItemError("decode.empty_span", f"{self._name} has no frame from {start:.3f} s on")
        self._check_reached_end(shown[0])
        yield *shown, shown[0] + self._step * 3 / 4

    def _timed(self, start: float) -> Iterator[tuple[float, VideoFrame]]:
        """Frames with their times in seconds after the first frame, from a key frame on."""
        if start > 0:
            offset = self._origin + int(start / self._base)
            self._container.seek(offset, stream=self._stream, backward=True)
        seconds = start - self._step
        try:
            for frame in self._frames():
                limit = (self._length or seconds) + _MAX_OVERRUN_SECONDS
                stamp = frame.pts if frame.pts is not None else frame.dts
                if stamp is None:
                    seconds += self._step
                else:
                    seconds = float((stamp - self._origin) * self._base)
                if seconds > limit:
                    raise ItemError(
                        "decode.damaged",
                        f"{self._name}: a frame at {seconds:g} s, where {limit:g} is the limit",
                    )
                yield seconds, frame
        except MemoryError:
            raise
        except (av.error.FFmpegError, ValueError, OverflowError) as error:
            raise ItemError(
                "decode.damaged", f"{self._name}: after {max(seconds, 0):.2f} s: {error}"
            ) from error

    def _frames(self) -> Iterator[VideoFrame]:
        context = _alpha_decoder(self._stream) or self._stream.codec_context
        for packet in self._container.demux(self._stream):
            yield from context.decode(packet)

    def _check_reached_end(self, last_seconds: float) -> None:
        """Compare the last frame with the container's index and duration."""
        stream, step = self._stream, self._step
        indexed = max(
            (
                float((entry.timestamp - self._origin) * self._base)
                for entry in stream.index_entries
            ),
            default=0.0,
        )
        length = self._length if stream.frames else tagged_duration(stream)
        # Edit lists and rounding move the end by a few frames; a cut file misses far more.
        expected = max(indexed - 3 * step, length - max(1.0, 4 * step))
        if last_seconds < expected:
            promised = length or indexed
            raise ItemError(
                "decode.truncated",
                f"{self._name} ends at {last_seconds:.2f} s, its container promises {promised:.2f}",
            )


def _alpha_decoder(stream: VideoStream) -> VideoCodecContext | None:
    """The decoder that also reads the alpha of a WebM, which travels beside the frames."""
    name = _ALPHA_DECODERS.get(stream.codec_context.name)
    if name is None or not stream.metadata.get("alpha_mode"):
        return None
    context = CodecContext.create(name, "r")
    assert isinstance(context, VideoCodecContext)
    context.extradata = stream.codec_context.extradata
    return context

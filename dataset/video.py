"""Video files from outside, read at one frame rate, and files for people to play.

A file that ends early is an error, where FFmpeg would hand out what it has in silence. Time stamps
decide what is shown when, so that a variable frame rate comes out constant.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import av.error
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation
from av.video.stream import VideoStream
from jaxtyping import UInt8

from dataset.containers import (
    check_complete,
    duration_seconds,
    frame_rate,
    open_container,
    suffix_of,
    tagged_duration,
    video_stream,
)
from dataset.durable import sync
from dataset.errors import ItemError

_MAX_OVERRUN_SECONDS = 10.0  # a time stamp far past the end would be filled up with copies
_UNSPECIFIED = 2  # AVCOL_SPC_UNSPECIFIED
_HD_HEIGHT = 577  # players take an unlabelled picture of this height or more as BT.709


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoProbe:
    """What a video file says of itself, without decoding more than one frame."""

    width: int  # as shown, rotation applied
    height: int
    fps: float  # average over the file
    frames: int  # by the container's count, else duration times fps
    duration_seconds: float
    codec: str
    suffix: str  # what a file of this container is called: ".mp4", ".mkv", ...
    rotation: int  # degrees counter-clockwise that bring a stored frame upright: 0, 90, 180, 270


def probe_video(path: Path | str, *, max_pixels: int = 8192 * 8192) -> VideoProbe:
    """Read a file's header, and one frame where its size is within bounds.

    Raises:
        ItemError: ``probe.missing``, ``probe.empty``, ``probe.not_video`` (text, pictures, sound,
            playlists), ``probe.no_video_stream``, ``probe.unknown_codec``, ``probe.truncated``,
            ``probe.too_large`` (more than ``max_pixels`` a frame), ``probe.no_frames``.
    """
    path = Path(path)
    with open_container(path) as container:
        stream = video_stream(container, path)
        context = stream.codec_context
        if context.width * context.height > max_pixels:
            size = f"{context.width} x {context.height}"
            raise ItemError(
                "probe.too_large", f"{path}: {size} > {max_pixels} pixels", status="rejected"
            )
        check_complete(stream, path)
        fps = frame_rate(stream)
        duration = duration_seconds(container, stream)
        frames = stream.frames or round(duration * fps)
        rotation = _rotation(_first_frame(container, stream, path))
        codec, width, height = context.name, context.width, context.height
        suffix = suffix_of(container)
    if rotation in (90, 270):
        width, height = height, width
    return VideoProbe(
        width=width,
        height=height,
        fps=fps,
        frames=frames,
        duration_seconds=duration or frames / fps,
        codec=codec,
        suffix=suffix,
        rotation=rotation,
    )


def read_frames(
    path: Path | str,
    *,
    fps: float | None = None,
    start_seconds: float = 0.0,
    end_seconds: float | None = None,
    max_side: int | None = None,
) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
    """A file's RGB frames, upright, at a constant rate from ``start_seconds`` on.

    Frame k shows what a player shows at ``start_seconds + k / fps``: the newest frame that has
    begun, within a quarter of a source frame (time stamps are rounded). Time 0 is the first frame.

    Args:
        path: A video file.
        fps: Frames per second handed out; ``None`` for the file's own average rate.
        start_seconds: Where to begin.
        end_seconds: Where to stop (exclusive); ``None`` for the end of the file.
        max_side: Shrink so that the longer side has at most so many pixels.

    Raises:
        ValueError: A rate or a span that is not positive.
        ItemError: The kinds of ``probe_video``; ``decode.truncated`` when the data ends before the
            file's own index or duration does; ``decode.damaged`` when it cannot be decoded;
            ``decode.empty_span`` when no frame is in the span.
    """
    if fps is not None and not fps > 0:
        raise ValueError(f"fps must be above 0, got {fps}")
    if start_seconds < 0 or (end_seconds is not None and end_seconds <= start_seconds):
        raise ValueError(f"the span must be ordered, got {start_seconds} to {end_seconds} s")
    return _read(Path(path), fps, (start_seconds, end_seconds), max_side)


def write_playable(
    path: Path | str,
    frames: Iterable[UInt8[np.ndarray, "height width 3"]],
    *,
    fps: float,
    comment: str = "Written by champ-pipeline",
) -> None:
    """Write RGB frames as a file that browsers and phones play (H.264 yuv420p, index first).

    Odd sizes are padded by their edge. The file appears whole or not at all.

    Raises:
        ValueError: No frames, frames of several sizes, another shape or type, an fps of 0 or less.
    """
    if not fps > 0:
        raise ValueError(f"fps must be above 0, got {fps}")
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        _write_h264(temporary, iter(frames), Fraction(fps).limit_denominator(1001), comment)
        sync(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _first_frame(container: InputContainer, stream: VideoStream, path: Path) -> VideoFrame:
    try:
        frame = next(container.decode(stream), None)
    except av.error.FFmpegError as error:
        raise ItemError("probe.not_video", f"{path}: no frame can be decoded: {error}") from error
    if frame is None:
        raise ItemError("probe.no_frames", f"{path} has a video stream without frames")
    return frame


def _rotation(frame: VideoFrame) -> int:
    return round(frame.rotation / 90) % 4 * 90


def _read(
    path: Path, fps: float | None, span: tuple[float, float | None], max_side: int | None
) -> Iterator[np.ndarray]:
    start, end = span[0], math.inf if span[1] is None else span[1]
    with open_container(path) as container:
        stream = video_stream(container, path)
        rate = fps or frame_rate(stream)
        number = 0
        for frame, until in _shown_until(container, stream, path, start):
            pixels: np.ndarray | None = None
            while start + number / rate < min(until, end):
                pixels = _upright_rgb(frame, max_side) if pixels is None else pixels
                yield pixels
                number += 1
            if until >= end:
                break
    if number == 0:
        raise ItemError("decode.empty_span", f"{path} shows nothing from {start:.3f} s on")


def _shown_until(
    container: InputContainer, stream: VideoStream, path: Path, start: float
) -> Iterator[tuple[VideoFrame, float]]:
    """Each frame with the time, in seconds, at which the next one takes its place."""
    step = 1 / frame_rate(stream)
    shown: VideoFrame | None = None
    seconds = 0.0
    for seconds, frame in _timed_frames(container, stream, path, start):
        if shown is not None:
            yield shown, seconds - step / 4
        shown = frame
    if shown is None:
        raise ItemError("decode.empty_span", f"{path} has no frame from {start:.3f} s on")
    _check_reached_end(container, stream, path, seconds)
    yield shown, seconds + step * 3 / 4


def _timed_frames(
    container: InputContainer, stream: VideoStream, path: Path, start: float
) -> Iterator[tuple[float, VideoFrame]]:
    """Frames with their times in seconds after the first frame, from a key frame before start."""
    base = stream.time_base or Fraction(1, 1000)
    origin = stream.start_time or 0
    length = duration_seconds(container, stream)
    if start > 0:
        container.seek(origin + int(start / base), stream=stream, backward=True)
    step, seconds = 1 / frame_rate(stream), -1 / frame_rate(stream)
    try:
        for frame in container.decode(stream):
            stamp = frame.pts if frame.pts is not None else frame.dts
            seconds = seconds + step if stamp is None else float((stamp - origin) * base)
            if length and seconds > length + _MAX_OVERRUN_SECONDS:
                raise ItemError("decode.damaged", f"{path}: a frame at {seconds:g} s of {length:g}")
            yield seconds, frame
    except av.error.FFmpegError as error:
        raise ItemError(
            "decode.damaged", f"{path}: after {max(seconds, 0):.2f} s: {error}"
        ) from error


def _check_reached_end(
    container: InputContainer, stream: VideoStream, path: Path, last_seconds: float
) -> None:
    """Compare the last frame with the container's index and duration."""
    base = stream.time_base or Fraction(1, 1000)
    origin = stream.start_time or 0
    entries = stream.index_entries
    indexed = max((float((entry.timestamp - origin) * base) for entry in entries), default=0.0)
    length = duration_seconds(container, stream) if stream.frames else tagged_duration(stream)
    step = 1 / frame_rate(stream)
    # Edit lists and rounding move the end by a few frames; a cut file misses far more.
    expected = max(indexed - 3 * step, length - max(1.0, 4 * step))
    if last_seconds < expected:
        raise ItemError(
            "decode.truncated",
            f"{path} ends at {last_seconds:.2f} s, its container promises {length or indexed:.2f}",
        )


def _upright_rgb(frame: VideoFrame, max_side: int | None) -> np.ndarray:
    width, height = frame.width, frame.height
    if max_side is not None and max(width, height) > max_side:
        scale = max_side / max(width, height)
        width, height = max(1, round(width * scale)), max(1, round(height * scale))
    unlabelled_hd = frame.colorspace == _UNSPECIFIED and frame.height >= _HD_HEIGHT
    picture = frame.reformat(
        width,
        height,
        format="rgb24",
        src_colorspace=Colorspace.ITU709 if unlabelled_hd else None,
        interpolation=Interpolation.AREA if width < frame.width else None,
    ).to_ndarray()
    return np.ascontiguousarray(np.rot90(picture, _rotation(frame) // 90))


def _write_h264(path: Path, frames: Iterator[np.ndarray], rate: Fraction, comment: str) -> None:
    first = _checked_picture(next(frames, None), None)
    height, width = first.shape[0] + first.shape[0] % 2, first.shape[1] + first.shape[1] % 2
    options = {"movflags": "+faststart"}
    with av.open(str(path), "w", format="mp4", options=options) as container:
        container.metadata["comment"] = comment
        stream = container.add_stream("libx264", rate=rate, options={"crf": "18"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.thread_count = 1  # the same bytes every time
        stream.codec_context.colorspace = Colorspace.ITU709
        stream.codec_context.color_range = ColorRange.MPEG
        for index, picture in enumerate(itertools.chain([first], frames)):
            frame = _padded_frame(_checked_picture(picture, first.shape), width, height)
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _checked_picture(picture: np.ndarray | None, shape: tuple[int, ...] | None) -> np.ndarray:
    if picture is None:
        raise ValueError("a playable file needs at least one frame, got none")
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        raise ValueError(
            f"frames are uint8 height x width x 3, got {picture.dtype} {picture.shape}"
        )
    if shape is not None and picture.shape != shape:
        raise ValueError(f"frames must share one size: {shape} came first, then {picture.shape}")
    return picture


def _padded_frame(picture: np.ndarray, width: int, height: int) -> VideoFrame:
    missing = ((0, height - picture.shape[0]), (0, width - picture.shape[1]), (0, 0))
    padded = np.ascontiguousarray(np.pad(picture, missing, mode="edge"))
    frame = VideoFrame.from_ndarray(padded, format="rgb24")
    return frame.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709)

"""Video files from outside, read at one frame rate, and files for people to play.

Nothing that comes from outside is trusted: only container formats of a fixed list are opened, only
the file itself is read (no playlists, no references to other files), and a file that ends early
is an error, where FFmpeg would hand out what it has in silence.
"""

from __future__ import annotations

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
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation
from av.video.stream import VideoStream
from jaxtyping import UInt8

from dataset.errors import ItemError

_FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,flv,gif,asf,ogg"
_OPEN_OPTIONS = {"protocol_whitelist": "file", "format_whitelist": _FORMATS}
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
    rotation: int  # degrees counter-clockwise that bring a stored frame upright: 0, 90, 180, 270


def probe_video(path: Path | str, *, max_pixels: int = 8192 * 8192) -> VideoProbe:
    """Read a file's header, and one frame where its size is within bounds.

    Raises:
        ItemError: ``probe.missing``, ``probe.empty``, ``probe.not_video`` (text, pictures, sound,
            playlists), ``probe.no_video_stream``, ``probe.truncated``, ``probe.too_large`` (more
            than ``max_pixels`` a frame), ``probe.no_frames``.
    """
    path = Path(path)
    with _open(path) as container:
        stream = _video_stream(container, path)
        context = stream.codec_context
        if context.width * context.height > max_pixels:
            size = f"{context.width} x {context.height}"
            raise ItemError("probe.too_large", f"{path}: {size} is over {max_pixels} pixels")
        _check_complete(stream, path)
        fps = _frame_rate(stream)
        duration = _duration_seconds(container, stream)
        frames = stream.frames or round(duration * fps)
        rotation = _rotation(_first_frame(container, stream, path))
        codec, width, height = context.name, context.width, context.height
    if rotation in (90, 270):
        width, height = height, width
    return VideoProbe(
        width=width,
        height=height,
        fps=fps,
        frames=frames,
        duration_seconds=duration or frames / fps,
        codec=codec,
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
            file's own index or duration does; ``decode.damaged`` when it cannot be decoded.
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
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _open(path: Path) -> InputContainer:
    if not path.is_file():
        raise ItemError("probe.missing", f"{path} is not a file")
    if path.stat().st_size == 0:
        raise ItemError("probe.empty", f"{path} has no content")
    try:
        # The prefix keeps a name with a colon from being taken for another protocol.
        return av.open(f"file:{path.resolve()}", "r", options=dict(_OPEN_OPTIONS))
    except (av.error.FFmpegError, ValueError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> ItemError:
    with path.open("rb") as file:
        head = file.read(12)
    if head[4:8] == b"ftyp":
        return ItemError("probe.truncated", f"{path} begins as an MP4, but its index is missing")
    return ItemError("probe.not_video", f"{path} is not a video container: {error}")


def _video_stream(container: InputContainer, path: Path) -> VideoStream:
    """The first stream of moving pictures (a sound file's cover is none)."""
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            if stream.codec_context.width < 1 or stream.codec_context.height < 1:
                raise ItemError("probe.not_video", f"{path}: its picture has no size")
            stream.thread_type = "AUTO"
            return stream
    kinds = sorted({stream.type for stream in container.streams}) or ["nothing"]
    raise ItemError("probe.no_video_stream", f"{path} holds {', '.join(kinds)}, no video")


def _check_complete(stream: VideoStream, path: Path) -> None:
    size = path.stat().st_size
    end = max((entry.pos + entry.size for entry in stream.index_entries), default=0)
    if end > size:
        raise ItemError("probe.truncated", f"{path} has {size} bytes, its index needs {end}")


def _frame_rate(stream: VideoStream) -> float:
    rate = stream.average_rate or stream.guessed_rate
    return float(rate) if rate and rate > 0 else 25.0  # FFmpeg's own rate where none is stored


def _duration_seconds(container: InputContainer, stream: VideoStream) -> float:
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    tagged = _tagged_duration(stream)
    if tagged:
        return tagged
    return container.duration / av.time_base if container.duration else 0.0


def _tagged_duration(stream: VideoStream) -> float:
    """Matroska keeps a stream's own length in a tag, as hours:minutes:seconds."""
    parts = stream.metadata.get("DURATION", "").split(":")
    try:
        hours, minutes, seconds = (float(part) for part in parts)
    except ValueError:
        return 0.0
    return hours * 3600 + minutes * 60 + seconds


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
    with _open(path) as container:
        stream = _video_stream(container, path)
        own_rate = _frame_rate(stream)
        rate = fps or own_rate
        start, end = span[0], math.inf if span[1] is None else span[1]
        number = 0
        shown: VideoFrame | None = None
        pixels: np.ndarray | None = None
        seconds = 0.0
        for seconds, frame in _timed_frames(container, stream, path, start):
            # Everything due before this frame begins is shown by the one before it.
            begins = seconds - 0.25 / own_rate
            while shown is not None and start + number / rate < min(begins, end):
                pixels = _upright_rgb(shown, max_side) if pixels is None else pixels
                yield pixels
                number += 1
            if begins >= end:
                return
            shown, pixels = frame, None
        if shown is None:
            raise ItemError("decode.truncated", f"{path} has no frame at {start:.3f} s or later")
        _check_reached_end(container, stream, path, seconds)
        last = min(seconds + 0.75 / own_rate, end)
        while start + number / rate < last:
            pixels = _upright_rgb(shown, max_side) if pixels is None else pixels
            yield pixels
            number += 1


def _timed_frames(
    container: InputContainer, stream: VideoStream, path: Path, start: float
) -> Iterator[tuple[float, VideoFrame]]:
    """Frames with their times in seconds after the first frame, from a key frame before start."""
    base = stream.time_base or Fraction(1, 1000)
    origin = stream.start_time or 0
    if start > 0:
        container.seek(origin + int(start / base), stream=stream, backward=True)
    step, seconds = 1 / _frame_rate(stream), -1 / _frame_rate(stream)
    try:
        for frame in container.decode(stream):
            stamp = frame.pts if frame.pts is not None else frame.dts
            seconds = seconds + step if stamp is None else float((stamp - origin) * base)
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
    length = _duration_seconds(container, stream) if stream.frames else _tagged_duration(stream)
    step = 1 / _frame_rate(stream)
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
        for index, picture in enumerate(_chain(first, frames)):
            frame = _padded_frame(picture, width, height)
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _chain(first: np.ndarray, rest: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    yield first
    for picture in rest:
        yield _checked_picture(picture, first.shape)


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

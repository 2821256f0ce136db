"""Opening a video file from outside: which containers, what they hold, whether they are whole.

Only formats of a fixed list are opened, and only through a descriptor of the file itself: no
playlists, no references to other files, no network. It runs in the decoder's child process.
"""

from __future__ import annotations

import os

import av
import av.error
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from dataset.errors import ItemError

_SUFFIXES = {  # FFmpeg's name of the container: what a file of it is called here
    "mov,mp4,m4a,3gp,3g2,mj2": ".mp4",
    "matroska,webm": ".mkv",
    "avi": ".avi",
    "mpegts": ".ts",
    "mpeg": ".mpg",
    "flv": ".flv",
    "gif": ".gif",
    "asf": ".wmv",
    "ogg": ".ogv",
}
_OPEN_OPTIONS = {"protocol_whitelist": "fd", "format_whitelist": ",".join(_SUFFIXES)}
_MIN_RATE, _MAX_RATE = 0.01, 1000.0  # outside them a header's rate is an error, not a rate


def suffix_of(container: InputContainer) -> str:
    """The suffix for a file of this container, from a fixed list."""
    return _SUFFIXES[container.format.name]


def open_container(file: int, name: str) -> InputContainer:
    """Open a video by a descriptor of it, which FFmpeg duplicates; the caller closes both.

    Raises:
        ItemError: ``probe.empty``, ``probe.not_video``, or ``probe.truncated`` for an MP4 whose
            index, which most writers put last, is cut off.
    """
    if os.fstat(file).st_size == 0:
        raise ItemError("probe.empty", f"{name} has no content")
    try:
        return av.open("fd:", "r", options=_OPEN_OPTIONS | {"fd": str(file)})
    except MemoryError:
        raise
    except (av.error.FFmpegError, ValueError) as error:
        raise _unreadable(file, name, error) from error


def _unreadable(file: int, name: str, error: Exception) -> ItemError:
    if os.pread(file, 12, 0)[4:8] == b"ftyp":
        return ItemError("probe.truncated", f"{name} begins as an MP4, but its index is missing")
    return ItemError("probe.not_video", f"{name} is not a video container: {error}")


def moving_streams(container: InputContainer) -> list[VideoStream]:
    """The streams of moving pictures (a sound file's cover is none)."""
    return [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]


def video_stream(container: InputContainer, name: str, *, max_pixels: int) -> VideoStream:
    """The stream of moving pictures to use: the first that is marked as default, else the first.

    Raises:
        ItemError: ``probe.no_video_stream``, ``probe.unknown_codec``, ``probe.not_video`` (a
            picture without size), ``probe.too_large`` (more than ``max_pixels``).
    """
    streams = moving_streams(container)
    if not streams:
        kinds = sorted({stream.type for stream in container.streams}) or ["nothing"]
        raise ItemError("probe.no_video_stream", f"{name} holds {', '.join(kinds)}, no video")
    marked = [stream for stream in streams if stream.disposition & Disposition.default]
    stream = (marked or streams)[0]
    context = stream.codec_context
    if context is None:
        raise ItemError("probe.unknown_codec", f"{name}: no decoder knows its video stream")
    if context.width < 1 or context.height < 1:
        raise ItemError("probe.not_video", f"{name}: its picture has no size")
    if context.width * context.height > max_pixels:
        size = f"{context.width} x {context.height}"
        raise ItemError(
            "probe.too_large", f"{name}: {size} > {max_pixels} pixels", status="rejected"
        )
    return stream


def check_complete(stream: VideoStream, file: int, name: str) -> None:
    """Refuse a file (``probe.truncated``) that ends before the last frame of its index."""
    size = os.fstat(file).st_size
    end = max((entry.pos + entry.size for entry in stream.index_entries), default=0)
    if end > size:
        raise ItemError("probe.truncated", f"{name} has {size} bytes, its index needs {end}")


def frame_rate(stream: VideoStream) -> float:
    """Frames per second, on average over the file."""
    for rate in (stream.average_rate, stream.guessed_rate):
        if rate and _MIN_RATE <= rate <= _MAX_RATE:
            return float(rate)
    return 25.0  # FFmpeg's own rate where none is stored


def duration_seconds(container: InputContainer, stream: VideoStream) -> float:
    """The stream's length where it is told, else the whole file's; 0 where neither is."""
    if stream.duration and stream.duration > 0 and stream.time_base:
        return float(stream.duration * stream.time_base)
    tagged = tagged_duration(stream)
    if tagged:
        return tagged
    return max(0.0, container.duration / av.time_base) if container.duration else 0.0


def tagged_duration(stream: VideoStream) -> float:
    """A Matroska stream's length: its tag tells the end, as hours:minutes:seconds; else 0."""
    parts = stream.metadata.get("DURATION", "").split(":")
    try:
        hours, minutes, seconds = (float(part) for part in parts)
    except ValueError:
        return 0.0
    begins = float((stream.start_time or 0) * (stream.time_base or 0))
    return max(0.0, hours * 3600 + minutes * 60 + seconds - begins)

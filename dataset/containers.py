"""Opening a video file from outside: which containers, what they hold, whether they are whole.

Only formats of a fixed list are opened, and only the file itself is read: no playlists, no
references to other files, no network.
"""

from __future__ import annotations

from pathlib import Path

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
_OPEN_OPTIONS = {"protocol_whitelist": "file", "format_whitelist": ",".join(_SUFFIXES)}


def suffix_of(container: InputContainer) -> str:
    """The suffix for a file of this container, from a fixed list."""
    return _SUFFIXES[container.format.name]


def open_container(path: Path) -> InputContainer:
    """Open a video file; the caller closes it.

    Raises:
        ItemError: ``probe.missing``, ``probe.empty``, ``probe.not_video``, or ``probe.truncated``
            for an MP4 whose index, which most writers put last, is cut off.
    """
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


def video_stream(container: InputContainer, path: Path) -> VideoStream:
    """The first stream of moving pictures (a sound file's cover is none)."""
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            if stream.codec_context is None:
                raise ItemError("probe.unknown_codec", f"{path}: no decoder knows its video stream")
            if stream.codec_context.width < 1 or stream.codec_context.height < 1:
                raise ItemError("probe.not_video", f"{path}: its picture has no size")
            stream.thread_type = "AUTO"
            return stream
    kinds = sorted({stream.type for stream in container.streams}) or ["nothing"]
    raise ItemError("probe.no_video_stream", f"{path} holds {', '.join(kinds)}, no video")


def check_complete(stream: VideoStream, path: Path) -> None:
    """Refuse a file (``probe.truncated``) that ends before the last frame of its index."""
    size = path.stat().st_size
    end = max((entry.pos + entry.size for entry in stream.index_entries), default=0)
    if end > size:
        raise ItemError("probe.truncated", f"{path} has {size} bytes, its index needs {end}")


def frame_rate(stream: VideoStream) -> float:
    """Frames per second, on average over the file."""
    rate = stream.average_rate or stream.guessed_rate
    return float(rate) if rate and rate > 0 else 25.0  # FFmpeg's own rate where none is stored


def duration_seconds(container: InputContainer, stream: VideoStream) -> float:
    """The stream's length where it is told, else the whole file's; 0 where neither is."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    tagged = tagged_duration(stream)
    if tagged:
        return tagged
    return container.duration / av.time_base if container.duration else 0.0


def tagged_duration(stream: VideoStream) -> float:
    """A Matroska stream's length: its tag tells the end, as hours:minutes:seconds; else 0."""
    parts = stream.metadata.get("DURATION", "").split(":")
    try:
        hours, minutes, seconds = (float(part) for part in parts)
    except ValueError:
        return 0.0
    begins = float((stream.start_time or 0) * (stream.time_base or 0))
    return max(0.0, hours * 3600 + minutes * 60 + seconds - begins)

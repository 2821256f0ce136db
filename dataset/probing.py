"""What a video file says of itself. It runs in the decoder's child process."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

import av.error
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from dataset.containers import (
    check_complete,
    duration_seconds,
    frame_rate,
    moving_streams,
    open_container,
    suffix_of,
    video_stream,
)
from dataset.errors import ItemError
from dataset.rgb import has_alpha, rotation_of, square_size, transfer_of

_LOOKED_AT_PACKETS = 240  # time stamps read where the file has no index of all its frames
_LOOKED_AT_BYTES = 32 << 20
_VARIATION = 0.1  # of the usual step: more is no rounding of a constant rate
_WOVEN = (2, 3, 4, 5)  # AVFieldOrder: two fields a frame


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoProbe:
    """What a video file says of itself, without decoding more than one frame."""

    width: int  # as shown: rotation applied, pixels square
    height: int
    fps: float  # average over the file
    frames: int  # by the container's count, else duration times fps
    duration_seconds: float
    codec: str
    suffix: str  # what a file of this container is called: ".mp4", ".mkv", ...
    rotation: int  # degrees counter-clockwise that bring a stored frame upright: 0, 90, 180, 270
    container: str  # by FFmpeg's name, e.g. "matroska,webm"
    pixel_format: str  # of the decoder, by FFmpeg's name, e.g. "yuv420p10le"
    interlaced: bool
    hdr: str  # "pq", "hlg", or empty for standard range
    alpha: bool  # the pixel format can be transparent
    variable_rate: bool  # by the index, else by the first time stamps
    has_audio: bool
    video_streams: int  # of moving pictures; the default one, else the first, is read


def probe(file: int, name: str, *, max_pixels: int) -> VideoProbe:
    """Read a file's header, and one frame where its size is within bounds.

    Args:
        file: A descriptor of the file.
        name: What messages call it.
        max_pixels: Largest frame.

    Raises:
        ItemError: See ``dataset.video.probe_video``.
    """
    with open_container(file, name) as container:
        stream = video_stream(container, name, max_pixels=max_pixels)
        check_complete(stream, file, name)
        frame, stamps = _first_frame(container, stream, name)
        context = stream.codec_context
        fps, duration = frame_rate(stream), duration_seconds(container, stream)
        frames = _frame_count(stream, duration * fps, os.fstat(file).st_size, name)
        aspect = float(stream.sample_aspect_ratio or 1)
        width, height = square_size(context.width, context.height, aspect)
        rotation = rotation_of(frame)
        if rotation in (90, 270):
            width, height = height, width
        return VideoProbe(
            width=width,
            height=height,
            fps=fps,
            frames=frames,
            duration_seconds=duration or frames / fps,
            codec=context.name,
            suffix=suffix_of(container),
            rotation=rotation,
            container=container.format.name,
            pixel_format=frame.format.name,
            interlaced=frame.interlaced_frame or context.field_order in _WOVEN,
            hdr=transfer_of(frame),
            alpha=has_alpha(frame.format.name) or bool(stream.metadata.get("alpha_mode")),
            variable_rate=_varies(_indexed(stream) or stamps, float(stream.time_base or 0)),
            has_audio=bool(container.streams.audio),
            video_streams=len(moving_streams(container)),
        )


def _frame_count(stream: VideoStream, estimate: float, size: int, name: str) -> int:
    """The container's count, else an estimate; a frame takes a byte at least."""
    if stream.frames > size:
        message = f"{name}: its header counts {stream.frames} frames in {size} bytes"
        raise ItemError("probe.damaged", message)
    return stream.frames or round(min(estimate, size))


def _first_frame(
    container: InputContainer, stream: VideoStream, name: str
) -> tuple[VideoFrame, list[int]]:
    """The first frame, and the time stamps of the first packets in the order they are shown."""
    stamps: list[int] = []
    packets = container.demux(stream)
    try:
        frame = _decoded(packets, stamps)
    except MemoryError:
        raise
    except (av.error.FFmpegError, ValueError) as error:
        raise ItemError("probe.not_video", f"{name}: no frame can be decoded: {error}") from error
    if frame is None:
        raise ItemError("probe.no_frames", f"{name} has a video stream without frames")
    read = 0
    try:
        for packet in packets:
            read += packet.size
            stamps.extend(_stamp(packet))
            if len(stamps) >= _LOOKED_AT_PACKETS or read > _LOOKED_AT_BYTES:
                break
    except av.error.FFmpegError:
        pass  # damage after the first frame is found, and told, when the file is decoded
    return frame, sorted(set(stamps))


def _decoded(packets: Iterable[Packet], stamps: list[int]) -> VideoFrame | None:
    for packet in packets:
        stamps.extend(_stamp(packet))
        for frame in packet.decode():
            if isinstance(frame, VideoFrame):
                return frame
    return None


def _stamp(packet: Packet) -> list[int]:
    return [] if packet.pts is None else [packet.pts]


def _indexed(stream: VideoStream) -> list[int]:
    """The time stamps of the index where it has every frame, as an MP4's does."""
    entries = stream.index_entries
    if not 0 < stream.frames <= len(entries):
        return []
    return sorted({entry.timestamp for entry in entries})


def _varies(stamps: list[int], tick_seconds: float) -> bool:
    """Whether the steps between time stamps differ by more than the rounding of a stamp."""
    steps = [later - earlier for earlier, later in pairwise(stamps)]
    if len(steps) < 2 or tick_seconds <= 0:
        return False
    usual = median(steps)
    return any(abs(step - usual) > max(_VARIATION * usual, 1.5) for step in steps)

"""Decoding of our streams: only what the wanted frames need, and never through a colour conversion.

Packets are handed to the decoder one by one: groups without a wanted frame are passed over, frames
that no wanted one needs are not decoded, planes are copied as they are.
"""

from __future__ import annotations

import io
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from itertools import islice

import av
import av.error
import cv2
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from jaxtyping import UInt8

from dataset.errors import ItemError

_FAR = 64  # frames: over fewer, reading on is cheaper than a seek


def open_stream(data: bytes) -> InputContainer:
    """The opened stream; ``ItemError`` ``stream.damaged`` where the bytes are none."""
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


def frame_index(stream: VideoStream) -> tuple[np.ndarray, np.ndarray]:
    """The decoding time of every frame, and the numbers of the key frames."""
    entries = list(stream.index_entries)
    starts = np.array([entry.timestamp for entry in entries], dtype=np.int64)
    keys = np.array([i for i, entry in enumerate(entries) if entry.is_keyframe], dtype=np.int64)
    return starts, keys


def collect(
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

"""Writes videos as cameras, broadcasters and editors do, with FFmpeg's own encoders."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.filter import Graph
from av.video.frame import VideoFrame
from av.video.stream import VideoStream


def write_video(
    path: Path,
    frames: Iterable[VideoFrame],
    *,
    codec: str = "ffv1",
    rate: int = 25,
    times: Sequence[int] | None = None,
    options: dict[str, str] | None = None,
    prepare: Callable[[VideoStream], None] | None = None,
) -> Path:
    """Encode frames as they are; frame k is shown at ``times[k] / rate`` seconds.

    Size and pixel format are the first frame's; ``prepare`` sets what else the stream says.
    """
    frames = list(frames)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options=options or {})
        stream.width, stream.height = frames[0].width, frames[0].height
        stream.pix_fmt = frames[0].format.name
        stream.codec_context.thread_count = 1
        stream.codec_context.time_base = Fraction(1, rate)
        if prepare is not None:
            prepare(stream)
        for number, frame in enumerate(frames):
            frame.pts = number if times is None else times[number]
            frame.time_base = Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def rgb_frame(picture: np.ndarray, pixel_format: str = "bgr0") -> VideoFrame:
    """An RGB picture as a frame; FFV1 keeps ``bgr0`` exactly."""
    return VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pixel_format)


def grey_frames(
    levels: Iterable[int], height: int = 32, width: int = 48, pixel_format: str = "bgr0"
) -> list[VideoFrame]:
    """Frames of one grey level each."""
    pictures = (np.full((height, width, 3), level, np.uint8) for level in levels)
    return [rgb_frame(picture, pixel_format) for picture in pictures]


def marked_as_woven(frames: Sequence[VideoFrame]) -> list[VideoFrame]:
    """The same frames with the mark of two fields, the upper lines first."""
    graph, first = Graph(), frames[0]
    source = graph.add_buffer(
        width=first.width, height=first.height, format=first.format, time_base=Fraction(1, 25)
    )
    graph.link_nodes(source, graph.add("setfield", "tff"), graph.add("buffersink"))
    graph.configure()
    marked = []
    for number, frame in enumerate(frames):
        frame.pts, frame.time_base = number, Fraction(1, 25)
        graph.vpush(frame)
        marked.append(graph.vpull())
    return marked


def wide_range_frame(code: Sequence[float], transfer: int, size: int = 32) -> VideoFrame:
    """One colour, coded in BT.2020 RGB in [0, 1], as 10-bit limited-range Y'CbCr (BT.2100).

    Args:
        code: Coded red, green, blue.
        transfer: FFmpeg's number of the transfer function: 16 PQ, 18 HLG.
        size: Width and height.
    """
    red, green, blue = code
    luma = 0.2627 * red + 0.6780 * green + 0.0593 * blue
    planes = (
        64 + 876 * luma,
        512 + 896 * (blue - luma) / 1.8814,
        512 + 896 * (red - luma) / 1.4746,
    )
    frame = plain_frame([round(plane) for plane in planes], "yuv444p10le", size)
    frame.color_trc, frame.color_primaries, frame.colorspace, frame.color_range = transfer, 9, 9, 1
    return frame


def plain_frame(levels: Sequence[int], pixel_format: str, size: int = 32) -> VideoFrame:
    """A frame of one 16-bit level a plane, in a format without subsampling."""
    frame = VideoFrame(size, size, pixel_format)
    for plane, level in zip(frame.planes, levels, strict=True):
        plane.update(np.full(plane.buffer_size // 2, level, np.uint16).tobytes())
    return frame

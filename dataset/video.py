"""Video files from outside, read at one frame rate, and files for people to play.

What comes from outside is decoded in a supervised child process: a file that crashes, stalls or
bloats FFmpeg is bad data like any other (docs/decisions/decoding.md). A file that ends early is an
error, where FFmpeg would hand out what it has in silence.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace
from jaxtyping import UInt8
from pydantic import TypeAdapter, ValidationError

from dataset.decoder_pool import DecoderPool
from dataset.decoding import Wanted
from dataset.durable import sync
from dataset.errors import ItemError
from dataset.probing import VideoProbe

__all__ = ["VideoProbe", "probe_video", "read_frames", "read_timed_frames", "write_playable"]

MAX_PIXELS = 8192 * 8192
"""Largest frame that is decoded at all."""

_POOL = DecoderPool()
_PROBE = TypeAdapter(VideoProbe)  # the child is not trusted to keep to the types


def probe_video(path: Path | str, *, max_pixels: int = MAX_PIXELS) -> VideoProbe:
    """Read a file's header, and one frame where its size is within bounds.

    Raises:
        ItemError: ``probe.missing``, ``probe.empty``, ``probe.not_video`` (text, pictures, sound,
            playlists), ``probe.no_video_stream``, ``probe.unknown_codec``, ``probe.truncated``,
            ``probe.too_large`` (more than ``max_pixels`` a frame), ``probe.no_frames``,
            ``probe.damaged`` (a header that contradicts itself);
            ``decode.crashed``, ``decode.timeout``, ``decode.memory`` where the decoder did not
            survive it.
    """
    told = _POOL.probe(Path(path), max_pixels=max_pixels)
    try:
        return _PROBE.validate_python(told)
    except ValidationError as error:
        raise ItemError("decode.crashed", f"{path}: the decoder's probe is broken") from error


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
    All frames have one size, square pixels and BT.709 colours: interlaced ones are made whole,
    high dynamic range is toned down, what is transparent shows white.

    Args:
        path: A video file; of several video streams the default one, else the first.
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
    timed = read_timed_frames(
        path, fps=fps, start_seconds=start_seconds, end_seconds=end_seconds, max_side=max_side
    )
    return _without_times(timed)


def read_timed_frames(
    path: Path | str,
    *,
    fps: float | None = None,
    start_seconds: float = 0.0,
    end_seconds: float | None = None,
    max_side: int | None = None,
) -> Iterator[tuple[float, UInt8[np.ndarray, "height width 3"]]]:
    """The frames of ``read_frames``, each with the time at which the source begins to show it.

    Times are the file's own, in seconds after its first frame. A frame that is shown again is the
    same array with the same time.
    """
    if fps is not None and not fps > 0:
        raise ValueError(f"fps must be above 0, got {fps}")
    if start_seconds < 0 or (end_seconds is not None and end_seconds <= start_seconds):
        raise ValueError(f"the span must be ordered, got {start_seconds} to {end_seconds} s")
    wanted = Wanted(
        fps=fps,
        start_seconds=start_seconds,
        end_seconds=end_seconds,
        max_side=max_side,
        max_pixels=MAX_PIXELS,
    )
    return _POOL.pictures(Path(path), asdict(wanted))


def _without_times(timed: Iterator[tuple[float, np.ndarray]]) -> Iterator[np.ndarray]:
    for _, frame in timed:
        yield frame


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

"""Which codec, group length and reader suit our streams: sizes, speeds, errors, on moving bodies.

    python -m benchmarks.streams [--pictures FOLDER] [--video FILE] [--frames 60] [--json]

Frames are the maps of a body that dances (512 x 512), drawn by our renderer, with those of
``--video`` as ``rgb``; or with ``--pictures`` a clip in the official layout
(``benchmarks.stream_clips``). Every setting is measured on the same frames in the same run; a worst
error of 0 is lossless. PNG is a file a frame, written by OpenCV as it does by default, of three
channels as the official folders have it, of one where that is enough, and at zlib's best. Times are
the processor's, of one thread. ``benchmarks.stream_reading`` compares whole clips.
"""

from __future__ import annotations

import argparse
import io
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypeVar

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from benchmarks.stream_clips import drawn_clip, picture_png, read_folder
from dataset.streams import CODINGS, Coding, decode_stream, encode_stream, h264_options
from rendering.colours import PART_COLOURS

Result = TypeVar("Result")
TOLERANCE = 2  # grey levels that a map other than semantic_map and mask may be off


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """An encoder, the pixels it is given, its options, and the file format."""

    name: str
    codec: str
    pixels: str
    options: dict[str, str]
    container: str = "mp4"


def settings(name: str, *, grey: bool) -> Iterator[Setting]:
    """What is tried on a stream: ours, x264 otherwise, FFV1; near-lossless ones too."""
    codec, pixels = ("libx264", "gray") if grey else ("libx264rgb", "rgb24")
    ours = CODINGS[name]
    tried = {
        "ours": ours,
        "lossless, key frames, CAVLC": Coding(),
        "lossless, key frames, CABAC": Coding(arithmetic=True),
        "lossless, groups of 12, CAVLC": Coding(group=12),
        "lossless, groups of 12, CABAC": Coding(group=12, arithmetic=True),
        "qp 3, key frames, CAVLC": Coding(quantiser=3),
    }
    if name == "rgb":
        tried |= {f"ours, qp {qp}": replace(ours, quantiser=qp) for qp in (8, 12, 18)}
        tried["ours without frames to skip"] = replace(ours, skippable=0)
        tried["ours, CABAC"] = replace(ours, arithmetic=True)
    for label, coding in tried.items():
        options = h264_options(coding)
        yield Setting(name=f"x264 {label}", codec=codec, pixels=pixels, options=options)
    if not grey:
        for qp in (3, 12) if name == "rgb" else (1, 3):
            options = h264_options(replace(ours, quantiser=qp))
            label = f"x264 yuv444p qp {qp}"
            yield Setting(name=label, codec="libx264", pixels="yuv444p", options=options)
    for label, coder in (("Golomb-Rice", "0"), ("range coder", "1")):
        options = {"level": "3", "slices": "4", "g": "1", "coder": coder}
        pixels = "gray" if grey else "bgr0"
        label = f"FFV1 {label}, Matroska"
        yield Setting(
            name=label, codec="ffv1", pixels=pixels, options=options, container="matroska"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What was measured of one setting, one group length or one reader."""

    subject: str
    stream: str
    kib_per_frame: float = 0.0
    encode_fps: float = 0.0
    decode_fps: float = 0.0
    worst_error: int = 0
    psnr_db: float = float("inf")  # of the worst frame
    worst_bias: float = 0.0  # mean error of a channel, grey levels
    labels_moved: int | None = None  # pixels whose part (or body) differs; None: not a label map
    random_frame_ms: float = 0.0
    window_ms: float = 0.0  # 24 frames, every 4th


def encode_with(setting: Setting, frames: np.ndarray) -> bytes:
    """The frames by any encoder."""
    buffer = io.BytesIO()
    grey = frames.shape[3] == 1
    with av.open(buffer, "w", format=setting.container) as container:
        stream = container.add_stream(setting.codec, rate=30, options=dict(setting.options))
        assert isinstance(stream, VideoStream)
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], setting.pixels
        stream.codec_context.thread_count = 1
        for index, pixels in enumerate(frames):
            picture = np.ascontiguousarray(pixels[..., 0] if grey else pixels)
            frame = VideoFrame.from_ndarray(picture, format="gray" if grey else "rgb24")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def decode_with(data: bytes, *, grey: bool) -> np.ndarray:
    """Every frame, by PyAV; luma is taken as it is, colour through FFmpeg's conversion."""
    with av.open(io.BytesIO(data), "r") as container:
        frames = [
            _luma(f) if grey else f.to_ndarray(format="rgb24") for f in container.decode(video=0)
        ]
    return np.stack(frames)


def _luma(frame: VideoFrame) -> np.ndarray:
    plane = frame.planes[0]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
    return rows[:, : frame.width, None]


def measure_setting(setting: Setting, name: str, frames: np.ndarray) -> Figures:
    """Size, speeds and errors of one encoder on one stream."""
    data, encoding = timed(lambda: encode_with(setting, frames))
    decoded, decoding = timed(lambda: decode_with(data, grey=frames.shape[3] == 1))
    figures = Figures(
        subject=setting.name,
        stream=name,
        kib_per_frame=len(data) / len(frames) / 1024,
        encode_fps=len(frames) / encoding,
        decode_fps=len(frames) / decoding,
    )
    return with_errors(figures, frames, decoded)


def with_errors(figures: Figures, frames: np.ndarray, decoded: np.ndarray) -> Figures:
    """The figures, with how the decoded frames differ."""
    difference = decoded.astype(np.int16) - frames
    square = float((difference.astype(np.float32) ** 2).mean((1, 2, 3)).max())
    moved = None
    if figures.stream in ("semantic_map", "mask"):
        touched = (difference != 0).any(-1)
        moved = int((labels(frames[touched]) != labels(decoded[touched])).sum())
    return replace(
        figures,
        worst_error=int(np.abs(difference).max()),
        psnr_db=10 * np.log10(255**2 / square) if square else float("inf"),
        worst_bias=float(np.abs(difference.mean((0, 1, 2))).max()),
        labels_moved=moved,
    )


def labels(pixels: np.ndarray) -> np.ndarray:
    """The part (or -1) of pixels x 3 by the nearest colour, of pixels x 1 whether it is body."""
    if pixels.shape[1] == 1:
        return pixels[:, 0] > 127
    colours = np.concatenate([np.zeros((1, 3)), PART_COLOURS]).astype(np.float32)
    chunks = np.array_split(pixels.astype(np.float32), len(pixels) // 100_000 + 1)
    near = [((chunk[:, None] - colours) ** 2).sum(-1).argmin(1) for chunk in chunks]
    return np.concatenate(near) - 1


def measure_png(kind: str, name: str, frames: np.ndarray) -> Figures:
    """PNG files of the frames, in memory."""
    grey = frames.shape[3] == 1
    channels = 1 if grey and kind != "official" else 3
    best = [cv2.IMWRITE_PNG_COMPRESSION, 9]
    wide = np.repeat(frames, channels // frames.shape[3], axis=3)
    flag = cv2.IMREAD_GRAYSCALE if grey else cv2.IMREAD_COLOR_RGB

    def write(frame: np.ndarray) -> bytes:
        if kind in ("official", "grey"):
            return picture_png(frame)
        return cv2.imencode(".png", np.ascontiguousarray(frame[..., ::-1]), best)[1].tobytes()

    files, encoding = timed(lambda: [write(frame) for frame in wide])
    _, decoding = timed(
        lambda: [cv2.imdecode(np.frombuffer(file, np.uint8), flag) for file in files]
    )
    return Figures(
        subject=f"PNG, {kind}",
        stream=name,
        kib_per_frame=sum(map(len, files)) / len(frames) / 1024,
        encode_fps=len(frames) / encoding,
        decode_fps=len(frames) / decoding,
        labels_moved=0 if name in ("semantic_map", "mask") else None,
    )


def measure_group(group: int, name: str, frames: np.ndarray) -> Figures:
    """What the group length costs in size and gives in random reads, our codec otherwise."""
    grey = frames.shape[3] == 1
    coding = replace(CODINGS[name], group=group)
    codec, pixels = ("libx264", "gray") if grey else ("libx264rgb", "rgb24")
    ours = Setting(name="ours", codec=codec, pixels=pixels, options=h264_options(coding))
    data = encode_with(ours, frames)
    single, window = _read_times(lambda indices: decode_stream(data, indices), len(frames))
    return Figures(
        subject=f"group of {group}",
        stream=name,
        kib_per_frame=len(data) / len(frames) / 1024,
        random_frame_ms=single,
        window_ms=window,
    )


def measure_reader(reader: str, name: str, frames: np.ndarray) -> Figures:
    """Random and sequential reads of one reader on our own stream, and whether it is exact."""
    data = encode_stream(frames, name=name, fps=30.0, lossless=True)
    read = {"pyav": _read_pyav, "decord": _read_decord}[reader]
    decoded, decoding = timed(lambda: read(data, list(range(len(frames)))))
    single, window = _read_times(lambda indices: read(data, indices), len(frames))
    truth = np.broadcast_to(frames, (*frames.shape[:3], 3)).astype(np.int16)
    return Figures(
        subject=reader,
        stream=name,
        decode_fps=len(frames) / decoding,
        worst_error=int(np.abs(decoded - truth).max()),
        random_frame_ms=single,
        window_ms=window,
    )


def _read_pyav(data: bytes, indices: list[int]) -> np.ndarray:
    return decode_stream(data, indices)


def _read_decord(data: bytes, indices: list[int]) -> np.ndarray:
    import decord  # an extra: only this benchmark needs it

    return decord.VideoReader(io.BytesIO(data), num_threads=1).get_batch(indices).asnumpy()


def _read_times(read: Callable[[list[int]], np.ndarray], frames: int) -> tuple[float, float]:
    """Milliseconds for one frame anywhere, and for a training window of 24, opening included."""
    places = np.random.default_rng(0).integers(0, frames, 12).tolist()
    window = list(range(0, min(frames, 93), 4))
    _, single = timed(lambda: [read([place]) for place in places])
    _, several = timed(lambda: read(window))
    return single / len(places) * 1000, several * 1000


def timed(work: Callable[[], Result]) -> tuple[Result, float]:
    """A result and the processor time it took, the shorter of two: the machine may be shared."""
    began = time.process_time()
    work()
    middle = time.process_time()
    result = work()
    return result, min(middle - began, time.process_time() - middle)


def measure(streams: dict[str, np.ndarray]) -> Iterator[tuple[str, Figures]]:
    """Every figure, with the table it belongs to."""
    for name, frames in streams.items():
        grey = frames.shape[3] == 1
        for kind in ("official", "grey", "best") if grey else ("official", "best"):
            few = frames[:12] if kind == "best" else frames  # zlib at its best takes a second
            yield "codec", measure_png(kind, name, few)
        for setting in settings(name, grey=grey):
            yield "codec", measure_setting(setting, name, frames)
    for name, frames in streams.items():
        for group in (1, 4, 12, 48):
            yield "group", measure_group(group, name, frames)
        for reader in ("pyav", "decord"):
            yield "reader", measure_reader(reader, name, frames)


def main() -> None:
    """Print the tables in Markdown, or with ``--json`` one line of JSON a figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pictures", type=Path, help="a clip in the official layout")
    parser.add_argument("--video", type=Path, help="a video whose frames become the rgb stream")
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    if options.pictures:
        streams = read_folder(options.pictures, options.frames)
    else:
        streams = drawn_clip(options.frames, options.video)
    for table, figures in measure(streams):
        if options.json:
            print(json.dumps({"table": table, **asdict(figures)}), flush=True)
        else:
            print(_markdown(table, figures), flush=True)


def _markdown(table: str, f: Figures) -> str:
    start = f"| {f.stream} | {f.subject} |"
    if table == "group":
        return f"{start} {f.kib_per_frame:.1f} | {f.random_frame_ms:.1f} | {f.window_ms:.0f} |"
    if table == "reader":
        reads = f"{f.random_frame_ms:.1f} | {f.window_ms:.0f} | {f.worst_error} |"
        return f"{start} {f.decode_fps:.0f} | {reads}"
    moved = "" if f.labels_moved is None else str(f.labels_moved)
    faithful = f"{f.worst_error} | {f.psnr_db:.1f} | {f.worst_bias:.2f} | {moved} |"
    return f"{start} {f.kib_per_frame:.1f} | {f.encode_fps:.0f} | {f.decode_fps:.0f} | {faithful}"


if __name__ == "__main__":
    main()

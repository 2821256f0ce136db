"""Which codec and which reader suit our streams: sizes, speeds, worst errors, on moving bodies.

    python -m benchmarks.streams [--pictures FOLDER] [--video FILE] [--frames 60] [--json]

Frames are the maps of a body that dances (512 x 512), drawn by our renderer, or with ``--pictures``
the PNG files in ``FOLDER/depth/`` and so on, one folder a stream, in the order of their names.
``--video`` gives real frames for the ``rgb`` stream, which is left out otherwise. Every setting is
measured on the same frames in the same run; a worst error of 0 is lossless. Times are the
processor's, of one thread.
"""

from __future__ import annotations

import argparse
import io
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from benchmarks.motions import make_motion
from dataset.records import STREAM_NAMES
from dataset.streams import decode_stream, encode_stream, stream_channels
from dataset.video import read_frames
from rendering.body_model import BodyModel
from rendering.maps import draw_maps
from rendering.rasterizer import open_rasterizer
from rendering.skeleton import smpl_to_wholebody_points

Result = TypeVar("Result")
GROUP_FRAMES = 12
TOLERANCE = 2  # grey levels that a stream other than semantic_map and mask may be off


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """An encoder, the pixels it is given, and its options."""

    name: str
    codec: str
    pixels: str
    options: dict[str, str]


X264 = {"bf": "0"}
X265 = "lossless=1:pools=1:frame-threads=1:log-level=none:bframes=0"
COLOUR = (
    *(
        Setting(
            name=f"x264rgb qp {qp} {preset}",
            codec="libx264rgb",
            pixels="rgb24",
            options={**X264, "qp": str(qp), "preset": preset},
        )
        for qp, preset in ((0, "superfast"), (0, "veryfast"), (0, "medium"), (1, "veryfast"),
                           (3, "veryfast"), (5, "veryfast"))
    ),
    Setting(name="x264 yuv444p qp 1", codec="libx264", pixels="yuv444p",
            options={**X264, "qp": "1", "preset": "veryfast"}),
    Setting(name="x264 yuv444p10 qp 4", codec="libx264", pixels="yuv444p10le",
            options={**X264, "qp": "4", "preset": "veryfast"}),
    Setting(name="x265 gbrp lossless", codec="libx265", pixels="gbrp",
            options={"x265-params": X265, "preset": "ultrafast"}),
    Setting(name="vp9 gbrp lossless", codec="libvpx-vp9", pixels="gbrp",
            options={"lossless": "1", "deadline": "realtime", "cpu-used": "6"}),
)  # fmt: skip
GREY = (
    *(
        Setting(
            name=f"x264 gray qp {qp} {preset}",
            codec="libx264",
            pixels="gray",
            options={**X264, "qp": str(qp), "preset": preset},
        )
        for qp, preset in ((0, "superfast"), (0, "veryfast"), (0, "medium"), (3, "veryfast"))
    ),
    Setting(name="x265 gray lossless", codec="libx265", pixels="gray",
            options={"x265-params": X265, "preset": "ultrafast"}),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What was measured of one setting, one group length or one reader."""

    subject: str
    stream: str
    kib_per_frame: float = 0.0
    encode_fps: float = 0.0
    decode_fps: float = 0.0
    worst_error: int = 0
    random_frame_ms: float = 0.0
    window_ms: float = 0.0  # 24 frames, every 4th


def rendered_streams(frames: int) -> dict[str, np.ndarray]:
    """The maps of a dancing body, as the pipeline draws them."""
    body = BodyModel.load()
    track = make_motion("dance", frames, seed=0)
    points = smpl_to_wholebody_points(body.joints(track), track)
    rasterizer = open_rasterizer("auto")
    try:
        maps = draw_maps(rasterizer, body.mesh, body.vertices(track), points, track.camera)
    finally:
        rasterizer.close()
    return {name: getattr(maps, name) for name in STREAM_NAMES if name != "rgb"}


def picture_streams(folder: Path, frames: int) -> dict[str, np.ndarray]:
    """PNG sequences, one folder a stream; ``ValueError`` where there are none."""
    streams = {}
    for name in STREAM_NAMES:
        files = sorted((folder / name).glob("*.png"))[:frames]
        if files:
            flag = cv2.IMREAD_GRAYSCALE if stream_channels(name) == 1 else cv2.IMREAD_COLOR_RGB
            pictures = np.stack([np.asarray(cv2.imread(str(file), flag)) for file in files])
            streams[name] = pictures.reshape(*pictures.shape[:3], stream_channels(name))
    if not streams:
        raise ValueError(f"no PNG files in {folder}/{{{','.join(STREAM_NAMES)}}}/")
    return streams


def encode_with(setting: Setting, frames: np.ndarray, group: int = GROUP_FRAMES) -> bytes:
    """The frames by any encoder, as MP4, groups of a fixed length."""
    buffer = io.BytesIO()
    grey = frames.shape[3] == 1
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream(setting.codec, rate=30, options=dict(setting.options))
        assert isinstance(stream, VideoStream)
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], setting.pixels
        stream.codec_context.gop_size = group
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
    """Size, speeds and worst error of one encoder on one stream."""
    data, encoding = timed(lambda: encode_with(setting, frames))
    decoded, decoding = timed(lambda: decode_with(data, grey=frames.shape[3] == 1))
    return Figures(
        subject=setting.name,
        stream=name,
        kib_per_frame=len(data) / len(frames) / 1024,
        encode_fps=len(frames) / encoding,
        decode_fps=len(frames) / decoding,
        worst_error=int(np.abs(decoded.astype(np.int16) - frames).max()),
    )


def measure_group(group: int, name: str, frames: np.ndarray) -> Figures:
    """What the group length costs in size and gives in random reads, our codec otherwise."""
    setting = (GREY if frames.shape[3] == 1 else COLOUR)[1]
    data = encode_with(setting, frames, group)
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
    data = encode_stream(frames, name=name, fps=30.0)
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
        for setting in GREY if frames.shape[3] == 1 else COLOUR:
            yield "codec", measure_setting(setting, name, frames)
    for name in streams:
        for group in (1, 3, 6, 12, 24):
            yield "group", measure_group(group, name, streams[name])
        for reader in ("pyav", "decord"):
            yield "reader", measure_reader(reader, name, streams[name])


def main() -> None:
    """Print the tables, or with ``--json`` one line of JSON a figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--pictures", type=Path, help="folder of PNG sequences, one a stream")
    parser.add_argument("--video", type=Path, help="a video whose frames become the rgb stream")
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.pictures:
        streams = picture_streams(options.pictures, options.frames)
    else:
        streams = rendered_streams(options.frames)
    if options.video:
        frames = islice(read_frames(options.video, max_side=768), options.frames)
        streams["rgb"] = np.stack(list(frames))
    for table, figures in measure(streams):
        if options.json:
            print(json.dumps({"table": table, **asdict(figures)}), flush=True)
            continue
        print(
            f"{table:6} {figures.stream:12} {figures.subject:24}"
            f"{figures.kib_per_frame:8.1f} KiB {figures.encode_fps:6.0f} enc/s"
            f"{figures.decode_fps:6.0f} dec/s  worst {figures.worst_error:3}"
            f"{'  ' if figures.worst_error <= TOLERANCE else ' !'}"
            f"{figures.random_frame_ms:7.1f} ms/frame {figures.window_ms:7.1f} ms/window",
            flush=True,
        )


if __name__ == "__main__":
    main()

"""Clips for the benchmarks of streams: drawn here, or read from and written to official folders.

    python -m benchmarks.stream_clips VIDEO OUT [--frames 120]

makes such a folder of a real video: its longest selected clip, fitted and drawn as the render job
does, with the default settings.

The official layout is a folder a stream (``FOLDERS``) with a PNG a frame; depth and mask have three
equal channels in it (the official reader takes the mask's first).
"""

from __future__ import annotations

import argparse
from collections.abc import Collection
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from benchmarks.motions import make_motion
from curation.curate import CurateStage
from curation.decisions import decide
from curation.people.settings import PeopleSettings
from curation.select import SelectSettings
from curation.settings import CurateSettings
from dataset.records import MAP_NAMES, STREAM_NAMES
from dataset.streams import decode_stream, stream_channels
from dataset.video import probe_video, read_frames
from rendering.body_model import BodyModel
from rendering.maps import draw_maps
from rendering.rasterizer import open_rasterizer
from rendering.render import RenderStage
from rendering.settings import RenderSettings
from rendering.skeleton import smpl_to_wholebody_points

FOLDERS = {"rgb": "images"} | {name: name for name in (*MAP_NAMES, "mask")}

Clip = dict[str, UInt8[np.ndarray, "frames height width channels"]]


def drawn_clip(frames: int, video: Path | None = None) -> Clip:
    """The maps of a dancing body at 512 x 512, and frames of a video as ``rgb`` if there is one."""
    body = BodyModel.load()
    track = make_motion("dance", frames, seed=0)
    points = smpl_to_wholebody_points(body.joints(track), track)
    rasterizer = open_rasterizer("auto")
    try:
        maps = draw_maps(rasterizer, body.mesh, body.vertices(track), points, track.camera)
    finally:
        rasterizer.close()
    clip = {name: getattr(maps, name) for name in STREAM_NAMES if name != "rgb"}
    if video:
        clip["rgb"] = np.stack(list(islice(read_frames(video, max_side=768), frames)))
    return clip


def read_folder(folder: Path, frames: int) -> Clip:
    """A clip in the official layout; ``ValueError`` where there are no PNG files."""
    clip = {}
    for name in STREAM_NAMES:
        files = sorted((folder / FOLDERS[name]).glob("*.png"))[:frames]
        if files:
            clip[name] = np.stack([read_picture(file, name) for file in files])
    if not clip:
        raise ValueError(f"no PNG files in {folder}/{{{','.join(FOLDERS.values())}}}/")
    return clip


def read_picture(path: Path, name: str) -> UInt8[np.ndarray, "height width channels"]:
    """One PNG with the channels of its stream."""
    flag = cv2.IMREAD_GRAYSCALE if stream_channels(name) == 1 else cv2.IMREAD_COLOR_RGB
    picture = np.asarray(cv2.imread(str(path), flag))
    return picture.reshape(*picture.shape[:2], stream_channels(name))


def write_folder(folder: Path, clip: Clip, *, grey: Collection[str] = ()) -> None:
    """A clip in the official layout, but PNG of one channel for the streams of ``grey``."""
    for name, frames in clip.items():
        (folder / FOLDERS[name]).mkdir(parents=True, exist_ok=True)
        for number, frame in enumerate(frames):
            png = picture_png(frame if name in grey else np.repeat(frame, 3 // frame.shape[2], 2))
            (folder / FOLDERS[name] / f"{number:04d}.png").write_bytes(png)


def picture_png(frame: UInt8[np.ndarray, "height width channels"]) -> bytes:
    """A frame as OpenCV writes it by default."""
    return cv2.imencode(".png", np.ascontiguousarray(frame[..., ::-1]))[1].tobytes()


def rendered_clip(video: Path, frames: int) -> Clip:
    """The longest clip of a video that is selected, rendered; at most so many of its frames.

    Raises:
        ValueError: No clip of the video is selected.
        ItemError: As curating and rendering it.
    """
    people, probe = PeopleSettings(), probe_video(video)
    curate = CurateStage(CurateSettings(), people, video.parent)
    render = RenderStage(RenderSettings(), people, video.parent)
    curate.load()
    render.load()
    size = {"width": probe.width, "height": probe.height}
    clips = list(curate.process({"source_id": video.stem, "path": video.name, **size}))
    chosen = [clip for clip in clips if decide(clip, SelectSettings())[0]]
    if not chosen:
        raise ValueError(f"no clip of {video} is selected: give a video of one person")
    longest = max(chosen, key=lambda clip: clip["frames"])
    (row,) = render.process(longest)
    count = min(frames, row["frames"])
    clip = {
        name: decode_stream(row[name], range(count), channels=stream_channels(name))
        for name in STREAM_NAMES
    }
    # The frames as the video has them, which our stream keeps only nearly.
    video_frames = read_frames(
        video,
        fps=longest["fps"],
        start_seconds=longest["start_seconds"],
        end_seconds=longest["end_seconds"],
        max_side=render.settings.max_side,
    )
    return clip | {"rgb": np.stack(list(islice(video_frames, count)))}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("video", type=Path)
    parser.add_argument("out", type=Path, help="the folder to write")
    parser.add_argument("--frames", type=int, default=120)
    arguments = parser.parse_args()
    clip = rendered_clip(arguments.video, arguments.frames)
    write_folder(arguments.out, clip)
    print(f"{len(clip['mask'])} frames in {arguments.out}")


if __name__ == "__main__":
    main()

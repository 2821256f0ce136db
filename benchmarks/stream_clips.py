"""Clips for the benchmarks of streams: drawn here, or read from and written to official folders.

The official layout is a folder a stream (``FOLDERS``) with a PNG a frame; depth and mask have three
equal channels in it (the official reader takes the mask's first).
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from benchmarks.motions import make_motion
from dataset.records import MAP_NAMES, STREAM_NAMES
from dataset.streams import stream_channels
from dataset.video import read_frames
from rendering.body_model import BodyModel
from rendering.maps import draw_maps
from rendering.rasterizer import open_rasterizer
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

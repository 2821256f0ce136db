"""The pictures of the report: a clip's streams, animations beside the truth, loss curves."""

from __future__ import annotations

import base64
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image

from dataset.records import MAP_NAMES
from dataset.storage import Location, read_file
from dataset.streams import decode_stream
from dataset.video import write_playable
from inference.framing import as_shown
from rendering.body_model import BodyModel
from rendering.overlay import overlay_body
from rendering.render import read_track

Frames = UInt8[np.ndarray, "frames height width 3"]
PANEL_HEIGHT = 320
FILM_WIDTH = 900
PANELS = ("frame", "fitted body", *MAP_NAMES)


def clip_strip(row: dict[str, Any], body: BodyModel) -> Frames:
    """A clip's frames, its fitted body shaded over them, and its maps, side by side."""
    rgb = decode_stream(row["rgb"])
    track = read_track(row)
    vertices = body.vertices(track)
    over = [
        overlay_body(frame, mesh, body.mesh.triangles, track.camera)
        for frame, mesh in zip(rgb, vertices, strict=True)
    ]
    panels = [rgb, np.stack(over)] + [decode_stream(row[name]) for name in MAP_NAMES]
    return side_by_side([person_view(panel, row) for panel in panels])


def animation_strip(
    root: Location, row: dict[str, Any], clip: dict[str, Any], reference: int
) -> Frames:
    """The reference repeated, the animation, and the true frames, side by side."""
    drawn = decode_stream(read_file(root / row["frames_path"]))
    span = range(row["start_frame"], row["start_frame"] + row["frames"])
    true = as_shown(decode_stream(clip["rgb"], span), row)
    first = as_shown(decode_stream(clip["rgb"], [reference]), row)
    return side_by_side([np.repeat(first, len(drawn), 0), drawn, true])


def side_by_side(panels: Sequence[Frames]) -> Frames:
    """Videos of equal length scaled to one height and put next to each other."""
    return np.concatenate([_scaled(panel) for panel in panels], axis=2)


def _scaled(panel: Frames) -> Frames:
    height, width = panel.shape[1:3]
    size = (max(2, round(width * PANEL_HEIGHT / height)), PANEL_HEIGHT)
    # Pixels of a small network's video are shown as they are, not smoothed into a better picture.
    method = cv2.INTER_AREA if height >= PANEL_HEIGHT else cv2.INTER_NEAREST
    return np.stack([cv2.resize(frame, size, interpolation=method) for frame in panel])


def person_view(panel: Frames, row: dict[str, Any]) -> Frames:
    """The part of the frame where the person is, with some room around."""
    boxes = np.asarray(row["boxes"], np.float32).reshape(-1, 4)
    low, high = np.nanmin(boxes[:, :2], 0), np.nanmax(boxes[:, 2:], 0)
    room = 0.1 * (high - low).max()
    height, width = panel.shape[1:3]
    x0, y0 = np.maximum(0, low - room).astype(int)
    x1, y1 = np.minimum((width, height), np.ceil(high + room)).astype(int)
    return panel[:, y0:y1, x0:x1]


def video_uri(frames: Frames, fps: float) -> str:
    """The frames as an H.264 video inside a data URI, playable in every browser."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "strip.mp4"
        write_playable(path, frames, fps=fps)
        return "data:video/mp4;base64," + base64.b64encode(path.read_bytes()).decode()


def picture_uri(picture: UInt8[np.ndarray, "height width 3"]) -> str:
    """A picture as WebP inside a data URI."""
    done, data = cv2.imencode(".webp", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    if not done:
        raise RuntimeError(f"OpenCV could not encode a picture of shape {picture.shape} as WebP")
    return "data:image/webp;base64," + base64.b64encode(data.tobytes()).decode()


def write_film(path: Path, rows: Sequence[Frames], fps: float) -> Path:
    """Videos under each other as an animated WebP, which a README can show; the longest loops.

    Rows are scaled to one width; shorter ones repeat.
    """
    length, width = max(len(row) for row in rows), min(FILM_WIDTH, rows[0].shape[2])
    pictures = []
    for index in range(length):
        stacked = [_to_width(row[index % len(row)], width) for row in rows]
        pictures.append(Image.fromarray(np.concatenate(stacked)))
    path.parent.mkdir(parents=True, exist_ok=True)
    first, *rest = pictures
    duration = round(1000 / fps)
    first.save(path, save_all=True, append_images=rest, duration=duration, loop=0, quality=60)
    return path


def _to_width(
    picture: UInt8[np.ndarray, "height width 3"], width: int
) -> UInt8[np.ndarray, "height width 3"]:
    height = round(picture.shape[0] * width / picture.shape[1])
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)


def curve_points(values: Sequence[float], width: int = 560, height: int = 160) -> str:
    """A smoothed loss curve as the points of an SVG polyline, logarithmic upwards."""
    if len(values) < 2:
        return ""
    window = max(1, len(values) // 60)
    kernel = np.ones(window) / window
    smooth = np.log10(np.maximum(np.convolve(values, kernel, "valid"), 1e-12))
    low, high = float(smooth.min()), float(smooth.max())
    span = (high - low) or 1.0
    step = width / max(1, len(smooth) - 1)
    rows = (height * (1 - (value - low) / span) for value in smooth)
    return " ".join(f"{i * step:.1f},{y:.1f}" for i, y in enumerate(rows) if math.isfinite(y))

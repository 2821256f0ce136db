"""A rendered clip as a folder in the layout of the official release.

    images/ depth/ normal/ semantic_map/ dwpose/ mask/   0000.png, 0001.png, ... RGB, 8 bit
    human_bbox.json   a box a frame: x0, y0, x1, y1 in pixels
    smpl_results/     the body as the official tools save it: 0000.npy, ..., smpls_group.npz
    clip.json         whose clip it is, under which licence, at how many frames a second

The official loader counts the files of the folders of pictures and takes them in the order of their
names, so there is nothing else in them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float32, UInt8
from scipy.spatial.transform import Rotation

from dataset.durable import sync
from dataset.records import MAP_NAMES, STREAM_NAMES
from dataset.streams import decode_stream
from rendering.render import TRACK_COLUMNS, read_track

FOLDERS = {"rgb": "images"} | {name: name for name in (*MAP_NAMES, "mask")}
"""The folder of every stream."""

ROW_COLUMNS = (*TRACK_COLUMNS, "clip_id", "source_id", "fps", "frames", "boxes", "recipe")
"""What is read of a ``guidance`` row beside its streams."""

CLIP_FILE = "clip.json"
_CHUNK_BYTES = 64 << 20  # of decoded frames; one frame is always decoded


def write_clip(
    folder: Path,
    row: Mapping[str, Any],
    read_stream: Callable[[str], bytes],
    *,
    provenance: Mapping[str, object],
) -> None:
    """Write a clip into an empty folder, durably; a part of a stream is in memory at a time.

    Args:
        folder: Is made.
        row: ``ROW_COLUMNS`` of a row of ``guidance``.
        read_stream: The MP4 bytes of a stream.
        provenance: What ``clip.json`` says beside the clip's own numbers.

    Raises:
        ItemError: ``stream.damaged``, ``shard.damaged``: a stream cannot be decoded.
    """
    names = frame_names(row["frames"])
    for name in STREAM_NAMES:
        part = folder / FOLDERS[name]
        part.mkdir(parents=True)
        _write_pictures(part, names, read_stream(name), row["width"] * row["height"] * 3)
    _write_bodies(folder / "smpl_results", row, names)
    boxes = known_boxes(row["boxes"], row["width"], row["height"])
    _write_json(folder / "human_bbox.json", boxes.round(2).tolist())
    own = {name: row[name] for name in ("clip_id", "source_id", "fps", "frames", "recipe")}
    _write_json(folder / CLIP_FILE, {**own, **provenance})
    sync(folder)


def frame_names(frames: int) -> list[str]:
    """Names whose order is that of the frames, four digits or as many as it takes."""
    digits = max(4, len(str(frames - 1)))
    return [f"{number:0{digits}d}" for number in range(frames)]


def known_boxes(
    boxes: Sequence[float] | Float32[np.ndarray, " numbers"], width: int, height: int
) -> Float32[np.ndarray, "frames 4"]:
    """The boxes (four numbers a frame, flat); a frame without one is between its neighbours.

    Where no frame has a box it is the whole picture: the loader cannot do without.
    """
    found = np.asarray(boxes, np.float32).reshape(-1, 4)
    known = np.isfinite(found).all(1)
    if not known.any():
        return np.tile(np.array([0, 0, width, height], np.float32), (len(found), 1))
    frames = np.arange(len(found))
    columns = [np.interp(frames, frames[known], found[known, side]) for side in range(4)]
    return np.stack(columns, 1).astype(np.float32)


def _write_pictures(folder: Path, names: Sequence[str], stream: bytes, frame_bytes: int) -> None:
    """A PNG a frame, three channels each: the official reader takes the mask's first."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start, frames in _decoded(stream, len(names), frame_bytes):
            paths = [folder / f"{name}.png" for name in names[start : start + len(frames)]]
            for _ in pool.map(_write_picture, paths, frames):
                pass
    sync(folder)


def _decoded(
    stream: bytes, frames: int, frame_bytes: int
) -> Iterator[tuple[int, UInt8[np.ndarray, "frames height width 3"]]]:
    step = max(1, _CHUNK_BYTES // frame_bytes)
    for start in range(0, frames, step):
        yield start, decode_stream(stream, range(start, min(start + step, frames)))


def _write_picture(path: Path, frame: UInt8[np.ndarray, "height width 3"]) -> None:
    written, data = cv2.imencode(".png", frame[..., ::-1])
    if not written:
        raise RuntimeError(f"OpenCV could not encode {path.name} of {frame.shape}")
    path.write_bytes(data.tobytes())
    sync(path)


def _write_bodies(folder: Path, row: Mapping[str, Any], names: Sequence[str]) -> None:
    """A file a frame, and one of all frames, with the dictionaries that the official tools save.

    NumPy pickles dictionaries; nothing here reads them again. ``verts`` is empty: the official
    transfer computes it anew from the parameters, with SMPL itself.
    """
    folder.mkdir()
    track = read_track(dict(row))
    focal = np.float32(track.camera.focal_length_px)
    turns = np.concatenate([track.global_orient[:, None], track.body_pose], 1)
    matrices = Rotation.from_rotvec(turns.reshape(-1, 3)).as_matrix().reshape(-1, 1, 24, 3, 3)
    bodies = [
        {
            "betas": track.betas[None],
            "global_orient": each[:, :1].astype(np.float32),
            "body_pose": each[:, 1:].astype(np.float32),
        }
        for each in matrices
    ]
    for name, body, transl in zip(names, bodies, track.transl, strict=True):
        frame: dict[str, object] = {
            "verts": [np.empty((0, 3), np.float32)],
            "cam_t": [transl],
            "render_res": np.array([row["width"], row["height"]], np.float32),
            "smpls": body,
            "scaled_focal_length": focal,
        }
        np.save(folder / f"{name}.npy", np.array(frame, object))
        sync(folder / f"{name}.npy")
    np.savez(
        folder / "smpls_group.npz",
        smpl=np.array(bodies, object),
        camera=track.transl,
        scaled_focal_length=np.full(len(names), focal),
    )
    sync(folder / "smpls_group.npz")
    sync(folder)


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    sync(path)

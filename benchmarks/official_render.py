"""Compare our guidance maps with what the official Blender scene renders from the same meshes.

    python -m benchmarks.official_render FOLDER --focal 9000 --json [--backend cpu|egl|osmesa|auto]

FOLDER holds ``meshes.npz`` (``verts`` (frames, V, 3) in camera axes, ``faces`` (T, 3), ``part``
(V,), ``cam_t`` (frames, 3)) and 8-bit pictures of any size in ``depth/``, ``mask/``, ``normal/``
and ``semantic_map/``, named by the frame's number. Errors are in grey levels, the worst frame's,
inside the mask eroded by two pixels: at a silhouette two rasterisers may differ by a pixel. The
official pictures are brighter by 0 to 0.84 grey levels, as a dither would make them: no plain
drawing gets under a mean of about 0.42 where colours are flat.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

from dataset.records import Camera
from rendering.maps import draw_body
from rendering.mesh import Mesh
from rendering.rasterizer import Backend, Rasterizer, open_rasterizer

ERODED_PIXELS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficialFrame:
    """One frame: the vertices (translation added) and the official pictures, RGB or grey."""

    vertices: np.ndarray
    depth: UInt8[np.ndarray, "height width"]
    normal: UInt8[np.ndarray, "height width 3"]
    semantic_map: UInt8[np.ndarray, "height width 3"]
    mask: Bool[np.ndarray, "height width"]


def load_folder(folder: Path) -> tuple[Mesh, list[OfficialFrame]]:
    """Read the meshes and pictures of a folder of official renders.

    Raises:
        ValueError: ``meshes.npz`` or a picture of one of its frames is missing.
    """
    if not (folder / "meshes.npz").is_file():
        raise ValueError(f"expected meshes.npz in the folder of official renders, {folder}")
    with np.load(folder / "meshes.npz", allow_pickle=False) as meshes:
        vertices = (meshes["verts"] + meshes["cam_t"][:, None]).astype(np.float32)
        mesh = Mesh(
            triangles=meshes["faces"].astype(np.int32), vertex_parts=meshes["part"].astype(np.int32)
        )
    frames = [
        OfficialFrame(
            vertices=vertices[frame],
            depth=_read_picture(folder, "depth", frame, cv2.IMREAD_GRAYSCALE),
            normal=_read_picture(folder, "normal", frame, cv2.IMREAD_COLOR)[..., ::-1],
            semantic_map=_read_picture(folder, "semantic_map", frame, cv2.IMREAD_COLOR)[..., ::-1],
            mask=_read_picture(folder, "mask", frame, cv2.IMREAD_GRAYSCALE) > 127,
        )
        for frame in range(len(vertices))
    ]
    return mesh, frames


def _read_picture(folder: Path, kind: str, frame: int, mode: int) -> np.ndarray:
    matches = [p for p in sorted((folder / kind).glob("*.png")) if int(p.stem) == frame]
    picture = cv2.imread(str(matches[0]), mode) if matches else None
    if picture is None:
        raise ValueError(f"expected a picture of frame {frame} in {folder / kind}, found none")
    return picture


def compare_frame(
    frame: OfficialFrame, mesh: Mesh, rasterizer: Rasterizer, focal_length_px: float
) -> dict[str, float]:
    """The errors of one frame, in grey levels, and the IoU of the masks."""
    height, width = frame.mask.shape
    camera = Camera(focal_length_px=focal_length_px, width=width, height=height)
    maps = draw_body(rasterizer, mesh, frame.vertices[None], camera)
    kernel = np.ones((2 * ERODED_PIXELS + 1,) * 2, np.uint8)
    inside = cv2.erode(frame.mask.astype(np.uint8), kernel).astype(bool)
    semantic_error = _errors(maps.semantic_map[0], frame.semantic_map, inside)
    mask = maps.mask[0, ..., 0] > 0
    return {
        "depth_mae": float(_errors(maps.depth[0, ..., 0], frame.depth, inside).mean()),
        "normal_mae": float(_errors(maps.normal[0], frame.normal, inside).mean()),
        "semantic_mae": float(semantic_error.mean()),
        "semantic_p999": float(np.percentile(semantic_error, 99.9)),
        "mask_iou": float((mask & frame.mask).sum() / (mask | frame.mask).sum()),
    }


def _errors(ours: np.ndarray, official: np.ndarray, inside: np.ndarray) -> np.ndarray:
    return np.abs(ours[inside].astype(np.float64) - official[inside])


def compare_folder(
    folder: Path, rasterizer: Rasterizer, focal_length_px: float
) -> dict[str, float]:
    """The figures of the worst frame of a folder, each on its own."""
    mesh, frames = load_folder(folder)
    figures = [compare_frame(frame, mesh, rasterizer, focal_length_px) for frame in frames]
    return {
        name: (min if name == "mask_iou" else max)(frame[name] for frame in figures)
        for name in figures[0]
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="meshes.npz and the pictures rendered from it")
    parser.add_argument("--focal", type=float, default=9000.0, help="focal length in pixels")
    parser.add_argument("--backend", choices=get_args(Backend), default="auto")
    parser.add_argument("--json", action="store_true", help="print one JSON line")
    arguments = parser.parse_args()
    rasterizer = open_rasterizer(arguments.backend)
    figures = compare_folder(arguments.folder, rasterizer, arguments.focal)
    if arguments.json:
        print(json.dumps(figures))
    else:
        print(f"{arguments.folder} drawn by {rasterizer.name}, worst frame:")
        for name, value in figures.items():
            print(f"  {name:14} {value:.4f}")
    rasterizer.close()


if __name__ == "__main__":
    main()

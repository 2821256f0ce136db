"""What the official code was given, as files that the command takes: picture, maps, weights."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
from typer.testing import CliRunner

from dataset.records import MAP_NAMES
from dataset.streams import decode_stream
from dataset.tables import read_table
from pipeline.cli import app


def write_picture(path: Path, picture: np.ndarray) -> None:
    """A PNG of RGB pixels, or of one channel."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), picture[..., ::-1] if picture.shape[-1] == 3 else picture)


def write_maps(folder: Path, maps: dict[str, np.ndarray]) -> None:
    """Frames of each map as the official layout has them."""
    for name, frames in maps.items():
        for index, frame in enumerate(frames):
            write_picture(folder / name / f"{index:04d}.png", frame)


def write_manifest(path: Path, rows: list[dict[str, object]]) -> Path:
    """Animations as CSV; all rows have the same columns."""
    with path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def champ(*arguments: object) -> str:
    """Run a command of `champ`; what it printed."""
    result = CliRunner().invoke(app, [str(each) for each in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def read_animation(dataset: Path, animation_id: str) -> tuple[dict, np.ndarray]:
    """The row of an animation and its exact frames."""
    rows = {row["animation_id"]: row for row in read_table(dataset, "animations").to_pylist()}
    row = rows[animation_id]
    return row, decode_stream((dataset / row["frames_path"]).read_bytes())


def noise_maps(frames: int, height: int, width: int) -> dict[str, np.ndarray]:
    """Maps of smooth noise: every frame and map another picture."""
    random = np.random.default_rng(0)
    maps = {}
    for name in MAP_NAMES:
        coarse = random.integers(0, 256, (frames, 6, 6, 3), dtype=np.uint8)
        maps[name] = np.stack([cv2.resize(frame, (width, height)) for frame in coarse])
    return maps

"""Contact sheets: a few clips of every fate, subject boxed, that play under the pointer."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from jaxtyping import UInt8
from rich.progress import track

from dataset.errors import ItemError
from dataset.storage import local_file
from dataset.tables import read_table
from dataset.video import read_frames
from pipeline.recipes import curate_recipe, select_recipe
from pipeline.report_pictures import picture_uri, video_uri
from pipeline.workspace import Workspace

CLIPS_PER_SHEET = 12
PREVIEW_SECONDS = 2.0
PREVIEW_FPS = 10.0
PREVIEW_SIDE = 256
"""Small and short, as a page may hold hundreds of them."""

KEPT = "selected"
_BOX_COLOUR = (80, 220, 120)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """A clip on a sheet; ``video`` and ``poster`` are data URIs, empty when it cannot be read."""

    clip_id: str
    seconds: float
    video: str
    poster: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """Clips that met the same fate: ``shown`` of them here, ``total`` in all."""

    fate: str
    total: int
    shown: tuple[Preview, ...]


def contact_sheets(workspace: Workspace) -> list[Sheet]:
    """A sheet for the selected clips and one for every reason against the others."""
    root, config = workspace.root, workspace.config
    columns = ["clip_id", "selected", "reason"]
    fates: dict[str, list[str]] = defaultdict(list)
    for row in read_table(
        root, "selection", columns=columns, recipe=select_recipe(config)
    ).to_pylist():
        fates[KEPT if row["selected"] else row["reason"]].append(row["clip_id"])
    chosen = {fate: _some(clips) for fate, clips in fates.items()}
    wanted = {clip_id for clips in chosen.values() for clip_id in clips}
    rows = _places(workspace, wanted)
    previews = {
        clip_id: _preview(workspace, rows[clip_id])
        for clip_id in track(
            sorted(wanted & rows.keys()), "contact sheets", disable=workspace.options.quiet
        )
    }
    sheets = [
        Sheet(
            fate=fate,
            total=len(fates[fate]),
            shown=tuple(previews[clip_id] for clip_id in clips if clip_id in previews),
        )
        for fate, clips in chosen.items()
    ]
    return sorted(sheets, key=lambda sheet: (sheet.fate != KEPT, -sheet.total, sheet.fate))


def _some(clip_ids: list[str]) -> list[str]:
    """A fixed choice that favours no source: by a hash of the names."""
    by_hash = sorted(clip_ids, key=lambda name: hashlib.sha256(name.encode()).digest())
    return sorted(by_hash[:CLIPS_PER_SHEET])


def _places(workspace: Workspace, wanted: set[str]) -> dict[str, dict[str, Any]]:
    """Where the clips lie in their videos."""
    columns = ["clip_id", "video_path", "start_seconds", "end_seconds", "fps", "width", "height"]
    recipe = curate_recipe(workspace.config)
    rows = read_table(workspace.root, "clips", columns=[*columns, "boxes"], recipe=recipe)
    keep = [name in wanted for name in rows.column("clip_id").to_pylist()]
    return {row["clip_id"]: row for row in rows.filter(keep).to_pylist()}


def _preview(workspace: Workspace, clip: dict[str, Any]) -> Preview:
    seconds = clip["end_seconds"] - clip["start_seconds"]
    video, poster, note = "", "", ""
    try:
        frames = list(_boxed(workspace, clip))
    except ItemError as error:  # the source may be gone or damaged since
        note = str(error)
    else:
        video = video_uri(np.stack(frames), PREVIEW_FPS)
        poster = picture_uri(frames[len(frames) // 2])
    return Preview(clip_id=clip["clip_id"], seconds=seconds, video=video, poster=poster, note=note)


def _boxed(
    workspace: Workspace, clip: dict[str, Any]
) -> Iterable[UInt8[np.ndarray, "height width 3"]]:
    """The clip's first seconds, small, with the subject's box drawn in."""
    boxes = np.asarray(clip["boxes"], np.float32).reshape(-1, 4)
    start, end = clip["start_seconds"], clip["end_seconds"]
    with local_file(workspace.root / clip["video_path"]) as path:
        frames = read_frames(
            path,
            fps=PREVIEW_FPS,
            start_seconds=start,
            end_seconds=min(end, start + PREVIEW_SECONDS),
            max_side=PREVIEW_SIDE,
        )
        for index, frame in enumerate(frames):
            shown = frame.copy()
            box = boxes[min(len(boxes) - 1, round(index * clip["fps"] / PREVIEW_FPS))]
            scale = frame.shape[1] / clip["width"]
            x0, y0, x1, y1 = (box * scale).round().astype(int).tolist()
            cv2.rectangle(shown, (x0, y0), (x1, y1), _BOX_COLOUR, 1)
            yield shown

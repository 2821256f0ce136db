"""`champ report`: one HTML page that tells what became of every video, clip and animation."""

from __future__ import annotations

import json
import os
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from dataset.records import STREAM_NAMES
from dataset.storage import local_file
from dataset.tables import newest_recipe, read_row, read_table
from dataset.video import read_frames
from inference.manifest import own_frame
from pipeline.recipes import render_recipe
from pipeline.report_funnel import clip_funnels, source_funnels
from pipeline.report_pictures import (
    PANELS,
    animation_strip,
    clip_strip,
    curve_points,
    picture_uri,
    video_uri,
)
from pipeline.report_scores import score_histograms, threshold_bounds
from pipeline.report_sheets import contact_sheets
from pipeline.workspace import Workspace
from rendering.body_model import BodyModel
from rendering.render import TRACK_COLUMNS

MOST_BODIES = 12  # each is a video inside the page
RUN_NAMES = {"vae": "VAE", "stage1": "Stage 1 (frames)", "stage2": "Stage 2 (motion)"}


def write_report(workspace: Workspace, out: Path) -> Path:
    """Write the page; it holds its pictures and videos, so it opens as a file, alone."""
    clips, rendered = _clips(workspace)
    template = resources.files("pipeline").joinpath("report.html.j2").read_text(encoding="utf-8")
    page = jinja2.Environment(autoescape=True).from_string(template)
    text = page.render(
        sources=source_funnels(workspace),
        candidates=clip_funnels(workspace),
        histograms=score_histograms(workspace, threshold_bounds(workspace.config.select)),
        sheets=contact_sheets(workspace),
        clips=clips,
        rendered=rendered,
        panels=PANELS,
        curves=_curves(workspace.root / "runs") if isinstance(workspace.root, Path) else [],
        animations=_animations(workspace),
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(f"{out.name}.{os.getpid()}.tmp")
    temporary.write_text(text, encoding="utf-8")
    return temporary.replace(out)


def _clips(workspace: Workspace) -> tuple[list[dict[str, Any]], int]:
    """The first rendered clips with their bodies and maps, and how many there are in all."""
    body = BodyModel.load(workspace.config.render.body_model)
    recipe = render_recipe(workspace.config)
    columns = [*TRACK_COLUMNS, *STREAM_NAMES, "boxes", "fps", "frames", "silhouette_iou"]
    rows = read_table(workspace.root, "guidance", columns=["clip_id"], recipe=recipe)
    clip_ids = sorted(rows.column("clip_id").to_pylist())
    clips = []
    for clip_id in clip_ids[:MOST_BODIES]:
        row = read_row(workspace.root, "guidance", clip_id, recipe=recipe, columns=columns)
        strip = clip_strip(row, body)
        clips.append(
            {
                "clip_id": clip_id,
                "frames": row["frames"],
                "error": float(np.nanmedian(row["reprojection_error_px"])),
                "iou": row["silhouette_iou"],
                "video": video_uri(strip, row["fps"]),
                "poster": picture_uri(strip[len(strip) // 2]),
            }
        )
    return clips, len(clip_ids)


def _curves(runs: Path) -> list[dict[str, Any]]:
    curves = []
    for name, title in RUN_NAMES.items():
        path = runs / name / "metrics.jsonl"
        if path.is_file():
            rows = [json.loads(line) for line in path.read_text().splitlines()]
            losses = [row["loss"] for row in rows]
            points = curve_points(losses)
            steps = rows[-1]["step"] if rows else 0
            last = float(np.mean(losses[-max(1, len(losses) // 20) :])) if losses else 0.0
            curves.append({"title": title, "points": points, "steps": steps, "last": last})
    return curves


def _animations(workspace: Workspace) -> list[dict[str, Any]]:
    root, recipe = workspace.root, newest_recipe(workspace.root, "animations")
    if recipe is None:
        return []
    metrics = read_table(root, "metrics").to_pylist()
    shown = []
    for row in read_table(root, "animations", recipe=recipe).to_pylist():
        scores = {
            score["method"]: score
            for score in metrics
            if (score["animation_id"], score["animation_recipe"]) == (row["animation_id"], recipe)
        }
        shown.append(row | {"scores": scores, "video": _animation_video(workspace, row)})
    return sorted(shown, key=lambda row: row["animation_id"])


def _animation_video(workspace: Workspace, row: dict[str, Any]) -> str:
    """Beside the truth where there is one, else the animation alone."""
    root = workspace.root
    reference = own_frame(row["reference"], row["motion"])
    if reference is None:
        with local_file(root / row["video_path"]) as path:
            frames = np.stack(list(read_frames(path)))
        small = frames.shape[2] < 160
        return video_uri(frames.repeat(4, 1).repeat(4, 2) if small else frames, 30.0)
    recipe = render_recipe(workspace.config)
    clip = read_row(root, "guidance", row["motion"], recipe=recipe, columns=["rgb", "fps"])
    return video_uri(animation_strip(root, row, clip, reference), clip["fps"])

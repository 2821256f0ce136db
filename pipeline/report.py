"""`champ report`: one HTML page that tells what became of every video, clip and animation."""

from __future__ import annotations

import json
import os
from collections import Counter
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from dataset.outcomes import read_outcomes
from dataset.records import STREAM_NAMES
from dataset.tables import newest_recipe, read_row, read_table
from dataset.video import read_frames
from inference.manifest import own_frame
from pipeline.recipes import curate_recipe, fetch_recipe, render_recipe, select_recipe
from pipeline.report_pictures import (
    PANELS,
    animation_strip,
    clip_strip,
    curve_points,
    picture_uri,
    video_uri,
)
from pipeline.workspace import Workspace
from rendering.body_model import BodyModel
from rendering.render import TRACK_COLUMNS

RUN_NAMES = {"vae": "VAE", "stage1": "Stage 1 (frames)", "stage2": "Stage 2 (motion)"}


def write_report(workspace: Workspace, out: Path) -> Path:
    """Write the page; it holds its pictures and videos, so it opens as a file, alone."""
    template = resources.files("pipeline").joinpath("report.html.j2").read_text(encoding="utf-8")
    page = jinja2.Environment(autoescape=True).from_string(template)
    text = page.render(
        funnel=_funnel(workspace),
        clips=_clips(workspace),
        unselected=_unselected(workspace),
        panels=PANELS,
        curves=_curves(workspace.root / "runs"),
        animations=_animations(workspace),
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(f"{out.name}.{os.getpid()}.tmp")
    temporary.write_text(text, encoding="utf-8")
    return temporary.replace(out)


def _funnel(workspace: Workspace) -> list[dict[str, Any]]:
    """For every step: how many items it was given, and what became of them, by reason."""
    root, config = workspace.root, workspace.config
    steps = []
    for job, recipe in (
        ("fetch", fetch_recipe(config)),
        ("curate", curate_recipe(config)),
        ("render", render_recipe(config)),
    ):
        latest = {row.key: row for row in read_outcomes(root, job, recipe)}
        reasons = Counter(row.reason or row.status for row in latest.values())
        steps.append({"step": job, "total": len(latest), "reasons": reasons.most_common()})
    decisions = read_table(root, "selection", recipe=select_recipe(config)).to_pylist()
    reasons = Counter("ok" if row["selected"] else row["reason"] for row in decisions)
    chosen = {"step": "select", "total": len(decisions), "reasons": reasons.most_common()}
    return [*steps[:2], chosen, steps[2]]


def _clips(workspace: Workspace) -> list[dict[str, Any]]:
    body = BodyModel.load(workspace.config.render.body_model)
    recipe = render_recipe(workspace.config)
    columns = [*TRACK_COLUMNS, *STREAM_NAMES, "boxes", "fps", "frames", "silhouette_iou"]
    rows = read_table(workspace.root, "guidance", columns=["clip_id"], recipe=recipe)
    clips = []
    for clip_id in sorted(rows.column("clip_id").to_pylist()):
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
    return clips


def _unselected(workspace: Workspace) -> list[dict[str, Any]]:
    """Candidates that the thresholds turned down, with a frame from their middle."""
    root, config = workspace.root, workspace.config
    decisions = read_table(root, "selection", recipe=select_recipe(config)).to_pylist()
    turned_down = {row["clip_id"]: row["reason"] for row in decisions if not row["selected"]}
    clips = read_table(root, "clips", recipe=curate_recipe(config)).to_pylist()
    shown = []
    for clip in clips:
        if clip["clip_id"] in turned_down and len(shown) < 60:
            middle = (clip["start_seconds"] + clip["end_seconds"]) / 2
            frames = read_frames(
                root / clip["video_path"], fps=clip["fps"], start_seconds=middle, max_side=320
            )
            picture = picture_uri(next(iter(frames)))
            reason = turned_down[clip["clip_id"]]
            shown.append({"clip_id": clip["clip_id"], "reason": reason, "picture": picture})
    return shown


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
        frames = np.stack(list(read_frames(root / row["video_path"])))
        return video_uri(frames.repeat(4, 1).repeat(4, 2) if row["size"] < 160 else frames, 30.0)
    recipe = render_recipe(workspace.config)
    clip = read_row(root, "guidance", row["motion"], recipe=recipe, columns=["rgb", "fps"])
    return video_uri(animation_strip(root, row, clip, reference), clip["fps"])

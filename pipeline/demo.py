"""`champ demo`: every job, one after the other, on sample videos; the same jobs a user runs."""

from __future__ import annotations

import csv
import json
import time
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from dataset.assets import asset_path
from dataset.fingerprint import fingerprint
from dataset.outcomes import read_outcomes
from dataset.records import STREAM_NAMES
from dataset.schemas import SCHEMAS
from dataset.tables import read_row, read_table
from pipeline.demo_memory import sampled, tree_gigabytes
from pipeline.jobs.animate import animate, evaluate
from pipeline.jobs.curate import curate
from pipeline.jobs.encode import encode
from pipeline.jobs.fetch import fetch
from pipeline.jobs.render import render
from pipeline.jobs.train import checkpoint_folder, runs_folder, train, vae_folder
from pipeline.recipes import animate_recipe, evaluate_recipe, render_recipe
from pipeline.report import write_report
from pipeline.report_pictures import animation_strip, clip_strip, write_film
from pipeline.runner import ray_session
from pipeline.workspace import Workspace
from rendering.body_model import BodyModel
from rendering.render import TRACK_COLUMNS

SAMPLES = ("treadmill_cam03", "jumping_jacks", "two_people_cam01")
"""A man alone, one who is alone until somebody walks through, and two people (turned down)."""

SUMMARY_NAMES = {
    "animation": ("held-in", "animation"),
    "repeated_reference": ("held-in", "repeated_reference"),
    "shuffled_maps": ("shuffled", "animation"),
    "held_out_animation": ("held-out", "animation"),
    "held_out_repeated_reference": ("held-out", "repeated_reference"),
}
"""The figures of ``summary.json``: which animations of the clips, and which method."""


def run_demo(workspace: Workspace, folder: Path) -> dict[str, Any]:
    """Run every job; safe to stop and to call again, then it goes on or finishes in seconds.

    Returns:
        What it wrote to ``folder/summary.json``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    options = workspace.options
    session = nullcontext() if options.in_process else ray_session(options.address)
    seconds: dict[str, float] = {}
    with sampled(tree_gigabytes, every_seconds=1.0) as memory, session:
        for name, step in _steps(workspace, folder):
            Console().rule(f"champ {name}")
            started = time.monotonic()
            print(step())
            seconds[name] = round(time.monotonic() - started, 2)
    summary = _summary(workspace, folder) | {
        "seconds": seconds,
        "seconds_total": round(sum(seconds.values()), 2),
        "peak_memory_gb": round(max(memory), 2),
    }
    path = folder / "summary.json"
    path.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    _tell(summary, path)
    return summary


def _steps(workspace: Workspace, folder: Path) -> list[tuple[str, Callable[[], object]]]:
    runs = runs_folder(workspace.root)

    def animated() -> object:
        manifest = _animation_manifest(workspace, folder)
        return animate(
            workspace, manifest, checkpoint=checkpoint_folder(runs), vae=vae_folder(workspace)
        )

    def evaluated() -> object:
        return evaluate(workspace, checkpoint=checkpoint_folder(runs), vae=vae_folder(workspace))

    def reported() -> object:
        if _report_is_current(workspace, folder):
            return f"{folder / 'report.html'} was written before"
        _write_overview(workspace, folder / "overview.webp")
        return write_report(workspace, folder / "report.html")

    return [
        ("fetch", lambda: fetch(workspace, _source_manifest(folder))),
        ("curate", lambda: curate(workspace)),
        ("render", lambda: render(workspace)),
        ("train --stage vae", lambda: train(workspace, "vae")),
        ("encode", lambda: encode(workspace, vae_folder(workspace))),
        ("train --stage 1", lambda: train(workspace, "1")),
        ("train --stage 2", lambda: train(workspace, "2")),
        ("animate", animated),
        ("evaluate", evaluated),
        ("report", reported),
    ]


def _source_manifest(folder: Path) -> Path:
    """The sample videos, taken from packages whose licence allows it, as a source manifest."""
    rows = [
        {
            "source_id": name,
            "path": str(asset_path(f"video/{name}")),
            "platform": "sample",
            "licence": "BSD-3-Clause",
            "consent": "published as a sample by its authors",
        }
        for name in SAMPLES
    ]
    return _write_csv(folder / "sources.csv", rows)


def _animation_manifest(workspace: Workspace, folder: Path) -> Path:
    """For every clip: its trained span, the same with shuffled maps, its unseen rest.

    And each person making the next clip's motion, which has no truth to be compared with.
    """
    clips = _rendered_clips(workspace)
    share = workspace.config.train.train_fraction
    rows: list[dict[str, Any]] = []
    for index, (clip_id, frames) in enumerate(clips):
        seen = int(frames * share)
        own = {"reference": f"{clip_id}#0", "motion": clip_id, "seed": 1}
        start = {"start_frame": 0, "end_frame": seen, "frame_order": "as_is"}
        rows.append({"animation_id": f"{clip_id}-held-in"} | own | start)
        shuffled = start | {"frame_order": "shuffled"}
        rows.append({"animation_id": f"{clip_id}-shuffled"} | own | shuffled)
        rest = start | {"start_frame": seen, "end_frame": frames}
        rows.append({"animation_id": f"{clip_id}-held-out"} | own | rest)
        other = clips[(index + 1) % len(clips)][0]
        if other != clip_id:
            whole = start | {"end_frame": frames}
            name = f"{clip_id}-moves-as-{other}"
            rows.append({"animation_id": name} | own | {"motion": other} | whole)
    return _write_csv(folder / "animations.csv", rows)


def _rendered_clips(workspace: Workspace) -> list[tuple[str, int]]:
    recipe = render_recipe(workspace.config)
    rows = read_table(workspace.root, "guidance", columns=["clip_id", "frames"], recipe=recipe)
    clips = sorted((row["clip_id"], row["frames"]) for row in rows.to_pylist())
    if not clips:
        raise ValueError(
            f"no clip of the sample videos was rendered; `champ report {workspace.root}` shows why"
        )
    return clips


def _report_is_current(workspace: Workspace, folder: Path) -> bool:
    """Whether the report was written with this configuration, after the last commit and step."""
    page, told = folder / "report.html", folder / "summary.json"
    if not page.is_file() or not told.is_file():
        return False
    if json.loads(told.read_text()).get("configuration") != _configuration(workspace):
        return False
    runs = runs_folder(workspace.root)
    sources = [*runs.parent.glob("*/_delta_log/*.json"), *runs.glob("*/*.json*")]
    return all(path.stat().st_mtime < page.stat().st_mtime for path in sources)


def _configuration(workspace: Workspace) -> str:
    return fingerprint("demo", 1, workspace.config)


def _write_overview(workspace: Workspace, out: Path) -> Path:
    """The last clip's streams, and under them its animation beside the truth."""
    root, recipe = workspace.root, render_recipe(workspace.config)
    clip_id = _rendered_clips(workspace)[-1][0]
    columns = [*TRACK_COLUMNS, *STREAM_NAMES, "boxes", "fps"]
    clip = read_row(root, "guidance", clip_id, recipe=recipe, columns=columns)
    runs = runs_folder(root)
    made = animate_recipe(workspace.config, checkpoint_folder(runs), vae_folder(workspace))
    row = read_row(
        root,
        "animations",
        f"{clip_id}-held-in",
        recipe=made,
        columns=["frames_path", "start_frame", "frames", "crop", "size"],
    )
    seen = row["frames"]
    strip = clip_strip(clip, BodyModel.load(workspace.config.render.body_model))[:seen]
    return write_film(out, [strip, animation_strip(root, row, clip, 0)], clip["fps"])


def _write_csv(path: Path, rows: list[dict[str, Any]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def _summary(workspace: Workspace, folder: Path) -> dict[str, Any]:
    root = workspace.root
    runs = runs_folder(root)
    recipe = animate_recipe(workspace.config, checkpoint_folder(runs), vae_folder(workspace))
    metrics = read_table(root, "metrics", recipe=evaluate_recipe(recipe)).to_pylist()
    drawn = read_table(root, "animations", recipe=recipe).to_pylist()
    statuses = Counter(f"{row.job}: {row.reason or row.status}" for row in read_outcomes(root))
    return {
        "configuration": _configuration(workspace),
        "rows": {table: read_table(root, table, columns=["recipe"]).num_rows for table in SCHEMAS},
        "statuses": dict(sorted(statuses.items())),
        **{
            name: _mean_scores(metrics, kind, method)
            for name, (kind, method) in SUMMARY_NAMES.items()
        },
        "per_animation": {
            f"{row['animation_id']} ({row['method']})": {
                name: round(row[name], 4)
                for name in ("psnr", "ssim", "l1", "psnr_body", "motion_energy")
            }
            for row in metrics
        },
        "alignment_iou": {
            row["animation_id"]: round(row["alignment_iou"], 4)
            for row in drawn
            if row["alignment_iou"] is not None
        },
        "notes": sorted({row["notes"] for row in drawn if row["notes"]}),
        "report": str(folder / "report.html"),
        "video": next((str(root / row["video_path"]) for row in drawn), None),
    }


def _mean_scores(metrics: list[dict[str, Any]], kind: str, method: str) -> dict[str, float]:
    """The mean over clips of one kind of animation."""
    rows = [
        row
        for row in metrics
        if row["animation_id"].endswith(f"-{kind}") and row["method"] == method
    ]
    names = ("psnr", "ssim", "psnr_body", "motion_energy")
    return {name: round(float(np.mean([row[name] for row in rows])), 4) for name in names}


def _tell(summary: dict[str, Any], path: Path) -> None:
    console = Console()
    console.rule("done")
    for name in SUMMARY_NAMES:
        scores = summary[name]
        console.print(f"{name:28} {scores['psnr']:6.2f} dB PSNR  {scores['ssim']:.3f} SSIM")
    for note in summary["notes"]:
        console.print(f"[yellow]note:[/yellow] {note}")
    console.print(
        f"{summary['seconds_total']:.0f} s, {summary['peak_memory_gb']:.1f} GB at most; "
        f"open {summary['report']}, read {path}",
        soft_wrap=True,
    )

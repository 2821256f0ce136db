"""`champ animate` and `champ evaluate`: a manifest into videos, and how close they are."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from dataset.tables import read_table
from inference.animate import AnimateStage
from inference.evaluate import EvaluateStage
from inference.manifest import read_animation_manifest
from pipeline.job import JobSummary, run_job
from pipeline.recipes import animate_recipe, evaluate_recipe, render_recipe
from pipeline.resume import TableRows
from pipeline.stage import StageSpec
from pipeline.workspace import Workspace

_WHAT_IT_SHOWS = ("reference", "motion", "seed", "start_frame", "frame_order")


def animate(workspace: Workspace, manifest: Path, *, checkpoint: Path, vae: Path) -> JobSummary:
    """Animate every row of the manifest that was not animated before with these weights.

    Raises:
        ValueError: The manifest is not valid, or names an animation that exists and shows
            something else.
    """
    root, config = workspace.root, workspace.config
    rows = [row.model_dump() for row in read_animation_manifest(manifest)]
    recipe = animate_recipe(config, checkpoint, vae)
    _check_names(rows, read_table(root, "animations", recipe=recipe).to_pylist())
    spec = StageSpec(
        make=partial(
            AnimateStage,
            config.animate,
            config.render,
            config.people,
            root=root,
            checkpoint=checkpoint,
            vae=vae,
            image_encoder=config.models.image_encoder,
            image_encoder_sizes=config.models.image_encoder_sizes,
            guidance_recipe=render_recipe(config),
            recipe=recipe,
            gpus=config.job.gpus,
            tell=print if workspace.options.in_process and not workspace.options.quiet else None,
        ),
        job="animate",
        table="animations",
        key="animation_id",
        root=root,
        recipe=recipe,
    )
    return run_job(spec, rows, workspace.options)


def evaluate(workspace: Workspace, *, checkpoint: Path, vae: Path) -> JobSummary:
    """Score every animation of a clip's own person against the clip, and the trivial answer too."""
    root, config = workspace.root, workspace.config
    animations = animate_recipe(config, checkpoint, vae)
    spec = StageSpec(
        make=partial(EvaluateStage, root, render_recipe(config)),
        job="evaluate",
        table="metrics",
        key="animation_id",
        root=root,
        recipe=evaluate_recipe(animations),
    )
    rows = read_table(root, "animations", recipe=animations)
    return run_job(spec, TableRows(rows), workspace.options)


def _check_names(rows: list[dict[str, Any]], made: list[dict[str, Any]]) -> None:
    """An animation_id names one thing for good; resume would otherwise keep the old one."""
    before = {row["animation_id"]: row for row in made}
    for row in rows:
        old = before.get(row["animation_id"])
        if old and any(row[name] != old[name] for name in _WHAT_IT_SHOWS):
            raise ValueError(
                f"animation_id {row['animation_id']!r} exists and shows another reference, motion, "
                "seed or span: give the changed row another animation_id"
            )

"""`champ render`: selected clips into bodies and guidance streams."""

from __future__ import annotations

from functools import partial

import pyarrow.compute as pc

from dataset.tables import read_table
from pipeline.job import JobSummary, run_job
from pipeline.recipes import curate_recipe, render_recipe, select_recipe
from pipeline.resume import TableRows
from pipeline.stage import StageSpec
from pipeline.workspace import Workspace
from rendering.body_model import BodyModel
from rendering.render import RenderStage


def render(workspace: Workspace) -> JobSummary:
    """Fit and draw every clip that the current thresholds select.

    Raises:
        ValueError: Nothing was decided under this configuration (``champ curate`` comes first),
            the body model is not one, or HMR2 is wanted without its checkpoint.
    """
    root, config = workspace.root, workspace.config
    decisions = read_table(root, "selection", recipe=select_recipe(config))
    if not decisions.num_rows:
        raise ValueError(
            f"{root} holds no selection under this configuration: run `champ curate` (or `champ "
            "select`, after a change of thresholds) with the same configuration first"
        )
    if config.render.body_model:
        BodyModel.load(config.render.body_model)  # a wrong file is told before any worker starts
    chosen = decisions.filter(pc.field("selected"))["clip_id"].combine_chunks()
    clips = read_table(root, "clips", recipe=curate_recipe(config))
    selected = clips.filter(pc.field("clip_id").isin(chosen))
    spec = StageSpec(
        make=partial(RenderStage, config.render, config.people, root, gpus=config.job.render_gpus),
        job="render",
        table="guidance",
        key="clip_id",
        root=root,
        recipe=render_recipe(config),
    )
    return run_job(spec, TableRows(selected), workspace.options)

"""`champ curate` and `champ select`: videos into scored clips, and the decision over them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from curation.curate import CurateStage
from curation.select import SelectStage
from dataset.tables import read_table
from pipeline.job import JobSummary, run_job
from pipeline.recipes import curate_recipe, fetch_recipe, select_recipe
from pipeline.stage import StageSpec
from pipeline.workspace import Workspace

DECISIONS_PER_SHARD = 100_000


def curate(workspace: Workspace) -> JobSummary:
    """Cut and score every fetched video, one decode each; then decide."""
    videos = read_table(workspace.root, "videos", recipe=fetch_recipe(workspace.config))
    spec = StageSpec(
        make=partial(CurateStage, workspace.config.curate, workspace.config.people, workspace.root),
        job="curate",
        table="clips",
        key="source_id",
        root=workspace.root,
        recipe=curate_recipe(workspace.config),
    )
    summary = run_job(spec, videos.to_pylist(), workspace.options)
    if not workspace.options.dry_run:
        select(workspace)
    return summary


def select(workspace: Workspace) -> JobSummary:
    """Decide over every candidate clip by its scores; touches no video."""
    clips = read_table(workspace.root, "clips", recipe=curate_recipe(workspace.config))
    spec = StageSpec(
        make=partial(SelectStage, workspace.config.select),
        job="select",
        table="selection",
        key="clip_id",
        root=workspace.root,
        recipe=select_recipe(workspace.config),
    )
    settings = workspace.options.settings.model_copy(
        update={"items_per_shard": DECISIONS_PER_SHARD}
    )
    # A decision is arithmetic on a row: workers would cost more than they do.
    options = replace(workspace.options, settings=settings, in_process=True, quiet=True)
    return run_job(spec, clips.to_pylist(), options)

"""`champ curate`: videos into scored clips, then copies among them and the decision over them."""

from __future__ import annotations

from functools import partial

from curation.curate import CurateStage
from dataset.tables import read_table
from pipeline.job import JobSummary, run_job
from pipeline.jobs.duplicates import duplicates
from pipeline.jobs.select import select
from pipeline.recipes import curate_recipe, fetch_recipe
from pipeline.resume import TableRows
from pipeline.stage import StageSpec
from pipeline.workspace import Workspace


def curate(workspace: Workspace) -> JobSummary:
    """Cut and score every fetched video, one decode each; then find copies and decide."""
    videos = read_table(workspace.root, "videos", recipe=fetch_recipe(workspace.config))
    spec = StageSpec(
        make=partial(CurateStage, workspace.config.curate, workspace.config.people, workspace.root),
        job="curate",
        table="clips",
        key="source_id",
        root=workspace.root,
        recipe=curate_recipe(workspace.config),
    )
    summary = run_job(spec, TableRows(videos), workspace.options)
    if not workspace.options.dry_run:
        duplicates(workspace)
        select(workspace)
    return summary

"""`champ fetch`: a source manifest into the ``videos`` table and content-addressed files."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from curation.fetch import FetchStage
from curation.sources import BadRow, read_manifest
from dataset.outcomes import Outcome, append_outcomes, finished_keys
from pipeline.job import JobSummary, run_job
from pipeline.recipes import fetch_recipe
from pipeline.stage import StageSpec
from pipeline.workspace import Workspace


def fetch(workspace: Workspace, manifest: Path) -> JobSummary:
    """Fetch every source of the manifest that was not fetched before.

    Raises:
        ValueError: The manifest cannot be read; a bad row of it is a rejected outcome instead.
    """
    sources, bad_rows = read_manifest(manifest)
    recipe = fetch_recipe(workspace.config)
    spec = StageSpec(
        make=partial(FetchStage, workspace.config.fetch, workspace.root),
        job="fetch",
        table="videos",
        key="source_id",
        root=workspace.root,
        recipe=recipe,
    )
    if not workspace.options.dry_run:
        _reject(workspace.root, recipe, bad_rows)
    return run_job(spec, [source.as_item() for source in sources], workspace.options)


def _reject(root: Path, recipe: str, bad_rows: list[BadRow]) -> None:
    known = finished_keys(root, "fetch", recipe)
    append_outcomes(
        root,
        [
            Outcome(
                key=row.source_id,
                job="fetch",
                recipe=recipe,
                status="rejected",
                reason=row.reason,
                message=row.message,
            )
            for row in bad_rows
            if row.source_id not in known
        ],
    )

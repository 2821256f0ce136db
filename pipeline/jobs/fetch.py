"""`champ fetch`, `champ retry`: sources into the ``videos`` table and content-addressed files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from curation.fetch import FetchStage
from curation.fetching.budgets import PlatformBudgets
from curation.fetching.failures import RETRY_CLASSES, retry_class
from curation.fetching.source_table import store_sources, stored_sources
from curation.fetching.sources import BadRow, read_manifest
from dataset.outcomes import Outcome, append_outcomes, finished_keys, read_outcomes
from pipeline.budget_actor import RayBudget
from pipeline.job import JobSummary, run_job
from pipeline.recipes import fetch_recipe
from pipeline.stage import Item, StageSpec
from pipeline.workspace import Workspace


def fetch(workspace: Workspace, manifest: Path) -> JobSummary:
    """Fetch every source of the manifest that was not fetched before.

    Raises:
        ValueError: The manifest cannot be read; a bad row of it is a rejected outcome instead.
    """
    sources, bad_rows = read_manifest(manifest)
    if not workspace.options.dry_run:
        _reject(workspace, bad_rows)
        store_sources(workspace.root, sources)
    return _run(workspace, [source.as_item() for source in sources])


def retry(workspace: Workspace, only: str) -> tuple[JobSummary, int]:
    """Fetch failed sources again, of those that manifests named before.

    Args:
        workspace: The dataset.
        only: ``transient``, ``permanent`` or ``blocked`` (also what was put off because its
            platform was paused), ``all``, or one reason such as ``fetch.http_404``.

    Returns:
        What the job did, and how many sources could not be tried because their address held a
        signature, which is not kept.

    Raises:
        ValueError: No such class or reason.
    """
    if only not in (*RETRY_CLASSES, "all") and "." not in only:
        known = ", ".join(RETRY_CLASSES)
        raise ValueError(f"--only takes {known}, all, or a reason like fetch.http_404; got {only}")
    newest = _newest_outcomes(workspace)
    rows = [row for row in stored_sources(workspace.root) if _wanted(row, newest, only)]
    usable = [row for row in rows if not row["needs_manifest"]]
    options = replace(workspace.options, retry_failed=True)
    return _run(replace(workspace, options=options), usable), len(rows) - len(usable)


def _run(workspace: Workspace, items: Sequence[Item]) -> JobSummary:
    budget = PlatformBudgets() if workspace.options.in_process else RayBudget()
    spec = StageSpec(
        make=partial(FetchStage, workspace.config.fetch, workspace.root, budget),
        job="fetch",
        table="videos",
        key="source_id",
        root=workspace.root,
        recipe=fetch_recipe(workspace.config),
    )
    return run_job(spec, items, workspace.options)


def _newest_outcomes(workspace: Workspace) -> dict[str, Outcome]:
    recipe = fetch_recipe(workspace.config)
    return {outcome.key: outcome for outcome in read_outcomes(workspace.root, "fetch", recipe)}


def _wanted(row: dict[str, Any], newest: dict[str, Outcome], only: str) -> bool:
    outcome = newest.get(row["source_id"])
    if outcome is None:  # put off, or its job was stopped before
        return only in ("blocked", "all")
    if outcome.status not in ("failed", "quarantined"):
        return False
    return only in ("all", outcome.reason, retry_class(outcome.reason))


def _reject(workspace: Workspace, bad_rows: list[BadRow]) -> None:
    recipe = fetch_recipe(workspace.config)
    known = finished_keys(workspace.root, "fetch", recipe)
    append_outcomes(
        workspace.root,
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

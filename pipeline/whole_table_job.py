"""A job whose rows depend on all rows of its inputs: made as a whole, exchanged as a whole.

What it was made of is in the name of its file, so that a repeated run sees whether there is
anything to do. Killed at any moment, the table is as before or as after.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dataset.locks import dataset_lock
from dataset.outcomes import Outcome, append_outcomes, finished_keys
from dataset.replacing import replace_rows
from dataset.storage import Location
from dataset.tables import has_shard, live_files, raise_fence, write_shard
from pipeline.job import JobSummary, RunOptions
from pipeline.versions import code_versions


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeTableSpec:
    """What is made, and of which (table, recipe)s."""

    job: str
    table: str
    root: Location
    recipe: str
    inputs: Sequence[tuple[str, str]]

    def shard_name(self) -> str:
        """A name that changes with the files of the inputs; a takedown changes them too."""
        named = [
            f"{table}/{path.name}"
            for table, recipe in self.inputs
            for path in live_files(self.root, table, recipe=recipe)
        ]
        digest = hashlib.sha256("\n".join(named).encode()).hexdigest()[:16]
        return f"{self.job}-{self.recipe}-{digest}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """All rows of the table, how many of which kind, and what a person should know of it."""

    rows: Iterable[Mapping[str, Any]]
    statuses: Mapping[str, int]
    notes: Sequence[str] = field(default=())


def run_whole_table(
    spec: WholeTableSpec, make: Callable[[], Made], options: RunOptions
) -> JobSummary:
    """Make the table's rows of the recipe anew where the inputs changed since they were made.

    One outcome tells of all of it; every row of the table is the outcome of its item.
    """
    started = time.monotonic()
    with dataset_lock(spec.root, spec.job) as fence:
        raise_fence(spec.root, spec.table, fence)
        name = spec.shard_name()
        done = has_shard(spec.root, spec.table, name)
        if done and name not in finished_keys(spec.root, spec.job, spec.recipe):
            found = Made(rows=(), statuses={}, notes=["found committed by a run that was killed"])
            append_outcomes(spec.root, [_outcome(spec, name, found, 0.0)])
        made = Made(rows=(), statuses={}) if done else make()
        total = sum(made.statuses.values())
        if total and not options.dry_run:
            rows = ({**row, "recipe": spec.recipe} for row in made.rows)
            shard = write_shard(spec.root, spec.table, rows, name=name)
            replace_rows(spec.root, spec.table, shard, recipe=spec.recipe, fence=fence)
            append_outcomes(spec.root, [_outcome(spec, name, made, time.monotonic() - started)])
    return JobSummary(
        job=spec.job,
        recipe=spec.recipe,
        items=total,
        already_done=0,
        statuses=dict(made.statuses),
        deferred={},
        seconds=time.monotonic() - started,
        notes=tuple(made.notes),
    )


def _outcome(spec: WholeTableSpec, name: str, made: Made, seconds: float) -> Outcome:
    counts = ", ".join(f"{count} {what}" for what, count in made.statuses.items())
    return Outcome(
        key=name,
        job=spec.job,
        recipe=spec.recipe,
        status="ok",
        message="; ".join(filter(None, [counts, *made.notes])),
        seconds=seconds,
        versions=code_versions(),
    )

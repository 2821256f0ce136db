"""A job: the items of one table that another table lacks, run through a stage, committed once.

Resume is an anti-join on key and recipe; a commit is one Delta transaction after the shard files
are durable. Two tables cannot commit as one: the output table is the truth about success,
``outcomes`` is written after it and reconciled with it when a job starts.
"""

from __future__ import annotations

import fcntl
import hashlib
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from dataset.outcomes import (
    STATUSES,
    Outcome,
    append_outcomes,
    finished_keys,
    read_outcomes,
)
from dataset.tables import commit, read_table
from pipeline.runner import ray_session, run_in_process, run_on_ray
from pipeline.settings import JobSettings
from pipeline.stage import BatchResult, Item, StageSpec

FINAL = ("ok", "rejected")
"""Outcomes that another attempt would not change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How the caller wants a job to run."""

    settings: JobSettings = field(default_factory=JobSettings)
    address: str | None = None
    in_process: bool = False
    dry_run: bool = False
    retry_failed: bool = False
    quiet: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSummary:
    """What a job found and did."""

    job: str
    recipe: str
    items: int
    already_done: int
    statuses: dict[str, int]
    seconds: float

    def __str__(self) -> str:
        did = ", ".join(f"{count} {status}" for status, count in sorted(self.statuses.items()))
        return (
            f"{self.job} [{self.recipe}]: {self.items} items, {self.already_done} done before, "
            f"{did or 'nothing to do'} in {self.seconds:.1f} s"
        )


def run_job(spec: StageSpec, items: Sequence[Item], options: RunOptions) -> JobSummary:
    """Run the items that have no outcome yet under the job's recipe; safe to kill and to repeat."""
    started = time.monotonic()
    with dataset_lock(spec.root, spec.job):
        _reconcile(spec)
        statuses = FINAL if options.retry_failed else STATUSES
        done = finished_keys(spec.root, spec.job, spec.recipe, statuses=statuses)
        pending = [item for item in items if str(item[spec.key]) not in done]
        counts: Counter[str] = Counter()
        if options.dry_run:
            counts["to do"] = len(pending)
        elif pending:
            committer = _Committer(spec, options.settings.commit_seconds)
            for result in _progress(spec, pending, options):
                counts.update(outcome.status for outcome in result.outcomes)
                committer.add(result)
            committer.flush()
    return JobSummary(
        job=spec.job,
        recipe=spec.recipe,
        items=len(items),
        already_done=len(items) - len(pending),
        statuses=dict(counts),
        seconds=time.monotonic() - started,
    )


def _progress(spec: StageSpec, pending: list[Item], options: RunOptions) -> Iterator[BatchResult]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[told]}"),
    )
    told: Counter[str] = Counter()
    with Progress(*columns, disable=options.quiet) as bar:
        task = bar.add_task(spec.job, total=len(pending), told="")
        for result in _results(spec, pending, options):
            told.update(outcome.reason or outcome.status for outcome in result.outcomes)
            text = " ".join(f"{name} {count}" for name, count in told.most_common(4))
            bar.update(task, advance=len(result.outcomes), told=text)
            yield result


def _results(spec: StageSpec, pending: list[Item], options: RunOptions) -> Iterator[BatchResult]:
    size = _batch_size(len(pending), options.settings)
    batches = [pending[i : i + size] for i in range(0, len(pending), size)]
    if options.in_process:
        yield from run_in_process(spec, batches, options.settings)
        return
    with ray_session(options.address):
        yield from run_on_ray(spec, batches, options.settings)


def _batch_size(items: int, settings: JobSettings) -> int:
    """Few items are spread one a batch, so that every worker has some and progress is seen."""
    return max(1, min(settings.items_per_shard, items // 16))


class _Committer:
    """Commits shards and then outcomes, in batches; what was killed in between is redone."""

    def __init__(self, spec: StageSpec, every_seconds: float) -> None:
        self._spec, self._every = spec, every_seconds
        past = read_outcomes(spec.root, spec.job, spec.recipe)
        self._attempts = {outcome.key: outcome.attempts for outcome in past}
        self._waiting: list[BatchResult] = []
        self._last = time.monotonic()

    def add(self, result: BatchResult) -> None:
        self._waiting.append(result)
        if time.monotonic() - self._last >= self._every:
            self.flush()

    def flush(self) -> None:
        shards = [result.shard for result in self._waiting if result.shard is not None]
        outcomes = [
            replace(outcome, attempts=outcome.attempts + self._attempts.get(outcome.key, 0))
            for result in self._waiting
            for outcome in result.outcomes
        ]
        if shards:
            names = "\n".join(sorted(shard.path for shard in shards))
            digest = hashlib.sha256(names.encode()).hexdigest()[:16]
            commit(self._spec.root, self._spec.table, shards, app=f"{self._spec.job}-{digest}")
        append_outcomes(self._spec.root, outcomes)
        self._waiting, self._last = [], time.monotonic()


def _reconcile(spec: StageSpec) -> None:
    """Write the outcomes of rows that were committed just before a job was killed."""
    rows = read_table(spec.root, spec.table, columns=[spec.key], recipe=spec.recipe)
    committed = set(rows.column(spec.key).to_pylist())
    missing = sorted(committed - finished_keys(spec.root, spec.job, spec.recipe))
    append_outcomes(spec.root, [_recovered(spec, key) for key in missing])


def _recovered(spec: StageSpec, key: str) -> Outcome:
    return Outcome(
        key=key,
        job=spec.job,
        recipe=spec.recipe,
        status="ok",
        message="found committed when the job was started again",
    )


@contextmanager
def dataset_lock(root: Path, job: str) -> Iterator[None]:
    """Hold the right to run ``job`` on this dataset; a second driver waits for the first.

    The kernel drops the lock when its holder dies, so a killed job never blocks the next one.
    """
    path = root / ".locks" / f"{job}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield

"""A job: the items of one table that another table lacks, run through a stage, committed once.

Items stream through: the workers hold those in flight, the driver a few batches ahead of them. A
commit is one Delta transaction after the shard files are durable (pipeline/resume.py has what
happens when a job is killed between two).
"""

from __future__ import annotations

import itertools
import secrets
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sized
from dataclasses import dataclass, field, replace

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from dataset.leases import Fence
from dataset.locks import dataset_lock
from dataset.outcomes import append_outcomes
from dataset.tables import commit, raise_fence
from pipeline.resume import Past, read_past, reconcile
from pipeline.runner import ray_session, run_in_process, run_on_ray
from pipeline.settings import JobSettings
from pipeline.stage import BatchResult, Item, StageSpec


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
    deferred: dict[str, int]  # items that have to wait, by kind; they have no outcome
    seconds: float
    notes: tuple[str, ...] = ()  # what a person should know beside the counts

    def __str__(self) -> str:
        did = ", ".join(f"{count} {status}" for status, count in sorted(self.statuses.items()))
        text = (
            f"{self.job} [{self.recipe}]: {self.items} items, {self.already_done} done before, "
            f"{did or 'nothing to do'} in {self.seconds:.1f} s"
        )
        if self.deferred:
            kinds = ", ".join(sorted(self.deferred))
            text += f"; {sum(self.deferred.values())} wait ({kinds}): run again later"
        return "\n".join([text, *self.notes])


def run_job(spec: StageSpec, items: Iterable[Item], options: RunOptions) -> JobSummary:
    """Run the items that have no outcome yet under the job's recipe; safe to kill and to repeat.

    Args:
        spec: The stage, and the table that its rows go to.
        items: Read once, as workers take them; each key once. A container with a length gives a
            progress bar with an end (``TableRows`` for the rows of a table).
        options: How to run.
    """
    started = time.monotonic()
    with dataset_lock(spec.root, spec.job) as fence:
        if not options.dry_run:
            raise_fence(spec.root, spec.table, fence)
        reconcile(spec)
        past = read_past(spec, retry_failed=options.retry_failed)
        pending = _Pending(spec.key, items, past)
        statuses: Counter[str] = Counter()
        deferred: Counter[str] = Counter()
        if options.dry_run:
            statuses["to do"] = sum(1 for _ in pending)
        else:
            committer = _Committer(spec, past, fence, options.settings.commit_seconds)
            for result in _with_progress(spec, pending, options):
                statuses.update(outcome.status for outcome in result.outcomes)
                deferred.update(result.deferred)
                committer.add(result)
            committer.flush()
    return JobSummary(
        job=spec.job,
        recipe=spec.recipe,
        items=pending.seen,
        already_done=pending.done,
        statuses=dict(statuses),
        deferred=dict(deferred),
        seconds=time.monotonic() - started,
    )


class _Pending:
    """The items that are not done yet, one at a time, and how many of each have been seen."""

    def __init__(self, key: str, items: Iterable[Item], past: Past) -> None:
        self._key, self._items, self._past = key, items, past
        self.seen = self.done = 0

    def expected(self) -> int | None:
        """About how many wait; None where the items do not tell how many they are."""
        if not isinstance(self._items, Sized):
            return None
        return max(0, len(self._items) - len(self._past.done))

    def __iter__(self) -> Iterator[Item]:
        for item in self._items:
            self.seen += 1
            if str(item[self._key]) in self._past.done:
                self.done += 1
            else:
                yield item


def _with_progress(
    spec: StageSpec, pending: _Pending, options: RunOptions
) -> Iterator[BatchResult]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[told]}"),
    )
    told: Counter[str] = Counter()
    with Progress(*columns, disable=options.quiet) as bar:
        task = bar.add_task(spec.job, total=pending.expected(), told="")
        for result in _results(spec, pending, options):
            told.update(outcome.reason or outcome.status for outcome in result.outcomes)
            told.update(result.deferred)
            text = " ".join(f"{name} {count}" for name, count in told.most_common(4))
            bar.update(task, advance=len(result.outcomes) + len(result.deferred), told=text)
            yield result


def _results(spec: StageSpec, pending: _Pending, options: RunOptions) -> Iterator[BatchResult]:
    batches = _batches(pending, _batch_size(pending.expected(), options.settings))
    first = next(batches, None)
    if first is None:  # neither a Ray nor a stage is started for nothing
        return
    batches = itertools.chain([first], batches)
    if options.in_process:
        yield from run_in_process(spec, batches)
        return
    with ray_session(options.address) as is_local:
        yield from run_on_ray(spec, batches, options.settings, may_grow=not is_local)


def _batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    waiting = iter(items)
    while batch := list(itertools.islice(waiting, size)):
        yield batch


def _batch_size(items: int | None, settings: JobSettings) -> int:
    """Few items are spread one a batch, so that every worker has some and progress is seen."""
    size = settings.items_per_shard
    return size if items is None else max(1, min(size, items // 16))


class _Committer:
    """Commits shards and then outcomes, in batches; what was killed in between is redone."""

    def __init__(
        self, spec: StageSpec, past: Past, fence: Fence | None, every_seconds: float
    ) -> None:
        self._spec, self._attempts, self._fence = spec, past.attempts, fence
        self._every = every_seconds
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
        spec = self._spec
        if shards:
            app = f"{spec.job}-{secrets.token_hex(8)}"  # the same shards may come after a takedown
            commit(spec.root, spec.table, shards, app=app, fence=self._fence)
        append_outcomes(spec.root, outcomes)
        self._waiting, self._last = [], time.monotonic()

"""Runs batches of items through stage workers: in this process, or on the actors of a Ray cluster.

Batches go to actors directly rather than through Ray Data, because one item that kills its worker
must cost that item and no other (docs/decisions/ray-runner.md).
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

from dataset.outcomes import Outcome
from pipeline.pool import ActorPool, Finished, Work
from pipeline.settings import JobSettings
from pipeline.stage import BatchResult, Item, StageSpec, StageWorker
from pipeline.versions import code_versions

NODE_LOSSES = 10
"""So many nodes lost in a row under one batch are not bad luck: it is what takes them down."""


def run_in_process(spec: StageSpec, batches: Iterable[list[Item]]) -> Iterator[BatchResult]:
    """Run every batch here, one after the other: for tests and debugging."""
    worker = StageWorker(spec)
    for batch in batches:
        yield worker.run(batch)


def run_on_ray(
    spec: StageSpec, batches: Iterable[list[Item]], settings: JobSettings, *, may_grow: bool = True
) -> Iterator[BatchResult]:
    """Run the batches on a pool of actors; a batch whose worker dies is retried item by item.

    Yields an empty result when nothing comes back for a second, so that the caller can commit what
    it has. Batches are taken when there are workers for them. An item that kills its worker
    ``settings.attempts`` times is quarantined with its reason; what was on a node that went away is
    done again and held against nobody.

    Args:
        spec: The stage.
        batches: Read once, no more than two a worker ahead.
        settings: Workers and attempts.
        may_grow: Whether nodes may join, so that it is worth waiting for one that has room.

    Raises:
        StageDefectError: The stage raised something that no stage may raise, or cannot load.
        ValueError: No node has what a worker needs.
    """
    ahead, waiting = iter(batches), deque[Work]()
    with closing(ActorPool(spec, settings, may_grow=may_grow)) as pool:
        while True:
            while len(waiting) < pool.most() and (batch := next(ahead, None)) is not None:
                waiting.append(Work(batch=batch))
            while waiting and pool.has_idle():
                pool.submit(waiting.popleft())
            if not waiting and not pool.is_busy():
                return
            pool.fit(len(waiting))
            back = pool.wait()
            if not back:
                yield BatchResult(shard=None, outcomes=[])
            for finished in back:
                if finished.result is not None:
                    yield _with_past(finished.result, finished.work)
                    continue
                retries = _retries(finished, settings)
                waiting.extendleft(reversed(retries))
                if not retries:
                    yield _quarantined(spec, finished)


def _retries(finished: Finished, settings: JobSettings) -> list[Work]:
    """What to do again of a batch whose worker was lost; nothing where its one item is to blame."""
    work = replace(finished.work, lost=finished.work.lost + 1)
    share = finished.seconds / len(work.batch)
    work = replace(work, seconds=work.seconds + share)
    if finished.node_lost and work.node_losses + 1 < NODE_LOSSES:
        return [replace(work, node_losses=work.node_losses + 1)]
    if len(work.batch) > 1:
        return [replace(work, batch=[item]) for item in work.batch]
    if work.deaths + 1 < settings.attempts:
        return [replace(work, deaths=work.deaths + 1)]
    return []


def _with_past(result: BatchResult, work: Work) -> BatchResult:
    """The result, its outcomes with the attempts and seconds of lost workers added."""
    if not work.lost:
        return result
    outcomes = [
        replace(
            outcome,
            attempts=outcome.attempts + work.lost,
            seconds=outcome.seconds + work.seconds,
        )
        for outcome in result.outcomes
    ]
    return replace(result, outcomes=outcomes)


def _quarantined(spec: StageSpec, finished: Finished) -> BatchResult:
    work = finished.work
    outcome = Outcome(
        key=str(work.batch[0][spec.key]),
        job=spec.job,
        recipe=spec.recipe,
        status="quarantined",
        reason="node.lost" if finished.node_lost else "worker.died",
        message=f"its worker died {work.deaths + 1} times while working on it alone; "
        f"the last time: {finished.why}",
        attempts=work.lost + 1,
        seconds=work.seconds + finished.seconds,
        versions=code_versions(),
    )
    return BatchResult(shard=None, outcomes=[outcome])


@contextmanager
def ray_session(address: str | None) -> Iterator[bool]:
    """Connect to a cluster, or start a local Ray that ends with the block; yields whether it did.

    Args:
        address: As for ``ray.init``: None starts a local Ray (or, inside a job submitted with
            ``ray job submit``, joins the cluster that runs it).
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    if ray.is_initialized():
        yield False
        return
    local = address is None and "RAY_ADDRESS" not in os.environ
    where = "local" if local else address
    # What workers print goes to Ray's log files; what matters comes back as outcomes and errors.
    ray.init(
        where,
        include_dashboard=False if local else None,
        log_to_driver=False,
        logging_level=logging.WARNING,
        configure_logging=False,
    )
    try:
        yield local
    finally:
        ray.shutdown()

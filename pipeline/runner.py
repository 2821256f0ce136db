"""Runs batches of items through stage workers: in this process, or on the actors of a Ray cluster.

Ray is imported here alone. Batches go to actors directly rather than through Ray Data, because one
item that kills its worker must cost that item and no other (docs/decisions/ray-runner.md).
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from dataset.outcomes import Outcome
from pipeline.settings import JobSettings
from pipeline.stage import BatchResult, Item, StageDefectError, StageSpec, StageWorker

THREAD_LIMITS = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "LP_NUM_THREADS"), "1"
)
"""A worker is one core of work; libraries that start threads of their own would fight for it."""


def run_in_process(
    spec: StageSpec, batches: Sequence[list[Item]], settings: JobSettings
) -> Iterator[BatchResult]:
    """Run every batch here, one after the other: for tests and debugging."""
    del settings
    worker = StageWorker(spec)
    for batch in batches:
        yield worker.run(batch)


@dataclass(slots=True)
class _Work:
    batch: list[Item]
    deaths: int = 0


def run_on_ray(
    spec: StageSpec, batches: Sequence[list[Item]], settings: JobSettings
) -> Iterator[BatchResult]:
    """Run the batches on a pool of actors; a batch whose worker dies is retried item by item.

    An item that kills its worker ``settings.attempts`` times is quarantined with its reason.

    Raises:
        StageDefectError: The stage raised something else than ItemError.
    """
    pool = _ActorPool(spec, _pool_size(spec, len(batches), settings))
    waiting = deque(_Work(list(batch)) for batch in batches)
    try:
        while waiting or pool.busy:
            while waiting and pool.idle:
                pool.submit(waiting.popleft())
            work, result = pool.next_result()
            if result is not None:
                yield result
            elif len(work.batch) > 1:
                waiting.extendleft(_Work([item]) for item in reversed(work.batch))
            elif work.deaths + 1 < settings.attempts:
                waiting.appendleft(_Work(work.batch, work.deaths + 1))
            else:
                yield _quarantine(spec, work)
    finally:
        pool.close()


class _ActorPool:
    """Actors that each hold one loaded stage, and what each of them is working on."""

    def __init__(self, spec: StageSpec, size: int) -> None:
        import ray
        import ray.exceptions

        self._ray = ray
        probe = spec.make()
        options = {"num_cpus": probe.cpus, "num_gpus": probe.gpus, "max_restarts": 0}
        self._actor_class = ray.remote(**options)(StageWorker)
        self._spec = spec
        self.idle = [self._start() for _ in range(size)]
        self.busy: dict[Any, tuple[Any, _Work]] = {}

    def _start(self) -> Any:
        environment = {"env_vars": THREAD_LIMITS}
        return self._actor_class.options(runtime_env=environment).remote(self._spec)

    def submit(self, work: _Work) -> None:
        actor = self.idle.pop()
        self.busy[actor.run.remote(work.batch)] = (actor, work)

    def next_result(self) -> tuple[_Work, BatchResult | None]:
        """Wait for one batch; its result is None when its worker died."""
        ready, _ = self._ray.wait(list(self.busy), num_returns=1)
        actor, work = self.busy.pop(ready[0])
        try:
            result = self._ray.get(ready[0])
        except self._ray.exceptions.RayTaskError as error:
            raise StageDefectError(str(error.cause)) from error
        except self._ray.exceptions.RayActorError as error:
            if not self._worker_started(error):
                raise StageDefectError(
                    f"{self._spec.job}: no worker could start: {error}"
                ) from error
            self.idle.append(self._start())
            return work, None
        self.idle.append(actor)
        return work, result

    @staticmethod
    def _worker_started(error: Exception) -> bool:
        """A stage whose ``load`` fails would fail in every new worker: that is a defect."""
        return "creation task" not in str(error)

    def close(self) -> None:
        for actor in [*self.idle, *(actor for actor, _ in self.busy.values())]:
            self._ray.kill(actor)


def _pool_size(spec: StageSpec, batches: int, settings: JobSettings) -> int:
    import ray

    stage = spec.make()
    resources = ray.cluster_resources()
    room = int(resources.get("CPU", 1) // max(stage.cpus, 0.01))
    if stage.gpus > 0:
        room = min(room, int(resources.get("GPU", 0) // stage.gpus))
    if room < 1:
        raise ValueError(
            f"{spec.job} needs {stage.cpus:g} CPUs and {stage.gpus:g} GPUs a worker, but the "
            f"cluster has {resources.get('CPU', 0):g} and {resources.get('GPU', 0):g}"
        )
    return max(1, min(settings.workers or room, room, batches))


def _quarantine(spec: StageSpec, work: _Work) -> BatchResult:
    outcome = Outcome(
        key=str(work.batch[0][spec.key]),
        job=spec.job,
        recipe=spec.recipe,
        status="quarantined",
        reason="worker.died",
        message=f"its worker died {work.deaths + 1} times while working on it alone",
        attempts=work.deaths + 1,
        seconds=0.0,
    )
    return BatchResult(shard=None, outcomes=[outcome])


@contextmanager
def ray_session(address: str | None) -> Iterator[None]:
    """Connect to a cluster, or start a local Ray that ends with the block.

    Args:
        address: As for ``ray.init``: None starts a local Ray (or, inside a job submitted with
            ``ray job submit``, joins the cluster that runs it).
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    if ray.is_initialized():
        yield
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
        yield
    finally:
        ray.shutdown()

"""A pool of Ray actors that each hold one loaded stage; it follows the cluster as that grows.

More workers are asked for than there is room for: those that wait take the places of lost ones at
once, and make an autoscaler start nodes. A worker that died on a living node was killed by what it
worked on; one that went with its node was not.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import Any

from pipeline.settings import JobSettings
from pipeline.stage import BatchResult, Item, StageDefectError, StageSpec, StageWorker

log = logging.getLogger(__name__)

THREAD_LIMITS = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "LP_NUM_THREADS"), "1"
)
"""A worker is one core of work; libraries that start threads of their own would fight for it."""

_LOOK_EVERY_SECONDS = 1.0
_FAILED_STARTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A batch, and what it went through before."""

    batch: list[Item]
    lost: int = 0  # workers that were lost with it
    deaths: int = 0  # of these, those that died while it was one item
    node_losses: int = 0  # of these, those that went with their node
    seconds: float = 0.0  # spent on each of its items by these


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A batch that is back: with its result, or without because its worker is gone."""

    work: Work
    result: BatchResult | None
    seconds: float
    node_lost: bool = False
    why: str = ""


@dataclass(slots=True)
class _Worker:
    actor: Any
    work: Work | None = None
    since: float = 0.0  # when it was given its work
    in_doubt: bool = False  # out of reach, and Ray does not say yet whether it is dead


class ActorPool:
    """Starts, feeds and ends the workers of one job.

    Raises:
        ValueError: No node has what a worker needs, and none can join or has joined in time.
    """

    def __init__(self, spec: StageSpec, settings: JobSettings, *, may_grow: bool) -> None:
        import ray
        import ray.exceptions

        self._ray, self._spec = ray, spec
        self._workers_wanted = settings.workers
        self._patience = settings.start_seconds if may_grow else 0.0
        stage, extra = spec.make(), settings.resources.get(spec.job, {})
        self._needs = {"CPU": stage.cpus, "GPU": stage.gpus, **extra}
        self._actor_class: Any = ray.remote(
            num_cpus=stage.cpus,
            num_gpus=stage.gpus,
            resources=extra,
            max_restarts=0,
            runtime_env={"env_vars": THREAD_LIMITS},
        )(StageWorker)
        self._idle: list[_Worker] = []
        self._asked: dict[Any, _Worker] = {}  # by the reference of the answer that is awaited
        self._failed_starts = self._room = 0
        self._had_room, self._looked = time.monotonic(), 0.0
        self._look()

    def most(self) -> int:
        """How many workers to have at most, waiting ones included."""
        if time.monotonic() - self._looked > _LOOK_EVERY_SECONDS:
            self._look()
        return self._workers_wanted or 2 * max(self._room, 1)

    def has_idle(self) -> bool:
        """Whether a worker has nothing to do."""
        return bool(self._idle)

    def is_busy(self) -> bool:
        """Whether a worker has something to do."""
        return any(worker.work for worker in self._asked.values())

    def fit(self, waiting: int) -> None:
        """Start or end workers until there are as many as the batches can use, and may be had."""
        busy = sum(worker.work is not None for worker in self._asked.values())
        wanted = min(waiting + busy, self.most())
        for _ in range(wanted - len(self._idle) - len(self._asked)):
            actor = self._actor_class.remote(self._spec)
            self._asked[actor.ready.remote()] = _Worker(actor)
        starting = [ref for ref, worker in self._asked.items() if worker.work is None]
        while len(self._idle) + len(self._asked) > wanted and (self._idle or starting):
            surplus = self._idle.pop() if self._idle else self._asked.pop(starting.pop())
            self._ray.kill(surplus.actor)

    def submit(self, work: Work) -> None:
        """Give a batch to an idle worker."""
        worker = self._idle.pop()
        worker.work, worker.since = work, time.monotonic()
        self._asked[worker.actor.run.remote(work.batch)] = worker

    def wait(self) -> list[Finished]:
        """The batches that came back, or none when nothing did for a while.

        Raises:
            StageDefectError: The stage raised what no stage may raise, or cannot be loaded.
        """
        ready, _ = self._ray.wait(list(self._asked), num_returns=1, timeout=_LOOK_EVERY_SECONDS)
        answers = (self._answer(ref) for ref in ready)
        return [finished for finished in answers if finished is not None]

    def close(self) -> None:
        """End every worker."""
        for worker in [*self._idle, *self._asked.values()]:
            self._ray.kill(worker.actor)

    def _answer(self, ref: Any) -> Finished | None:
        errors, worker = self._ray.exceptions, self._asked.pop(ref)
        try:
            result = self._ray.get(ref)
        except errors.RayTaskError as error:
            raise StageDefectError(str(error.cause)) from error
        except errors.ActorUnavailableError:
            worker.in_doubt = True
            self._asked[worker.actor.ready.remote()] = worker
            return None
        except errors.ObjectLostError as error:  # done, but the node went with the result
            self._ray.kill(worker.actor)
            return self._gone(worker, node_lost=True, why=str(error))
        except (errors.RayActorError, errors.OutOfMemoryError) as error:
            return self._died(worker, error)
        if worker.in_doubt:  # alive after all, but nobody knows what became of its batch
            self._ray.kill(worker.actor)
            return self._gone(worker, node_lost=True, why="it was out of reach")
        work, worker.work, self._failed_starts = worker.work, None, 0
        self._idle.append(worker)
        if work is None:
            return None
        return Finished(work=work, result=result, seconds=time.monotonic() - worker.since)

    def _died(self, worker: _Worker, error: Exception) -> Finished | None:
        if getattr(error, "actor_init_failed", False):
            raise StageDefectError(f"{self._spec.job}: no worker could start: {error}") from error
        # Ray tells a lost node in words alone; the tests kill a node to see that they are the same.
        node_lost = "its node has died" in str(error) or getattr(error, "preempted", False)
        if worker.work is None and not node_lost:
            self._failed_starts += 1
            if self._failed_starts == _FAILED_STARTS:
                raise StageDefectError(
                    f"{self._spec.job}: {_FAILED_STARTS} workers in a row died while they started: "
                    f"{error}"
                ) from error
        return self._gone(worker, node_lost=node_lost, why=self._in_short(error))

    def _gone(self, worker: _Worker, *, node_lost: bool, why: str) -> Finished | None:
        if worker.work is None:
            return None
        seconds = time.monotonic() - worker.since
        log.warning("%s: a worker is gone and its items are done again: %s", self._spec.job, why)
        return Finished(
            work=worker.work, result=None, seconds=seconds, node_lost=node_lost, why=why
        )

    def _in_short(self, error: Exception) -> str:
        if isinstance(error, self._ray.exceptions.OutOfMemoryError):
            return "Ray ended it because the node ran out of memory"
        return str(error).splitlines()[-1].partition(" Some common causes")[0][:300]

    def _look(self) -> None:
        """See how many workers the cluster has room for."""
        self._looked = time.monotonic()
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        self._room = sum(workers_that_fit(self._needs, resources) for resources in nodes)
        if self._room:
            self._had_room = self._looked
        elif self._looked - self._had_room >= self._patience:
            needs = ", ".join(f"{amount:g} {name}" for name, amount in self._needs.items())
            largest = {
                name: max((node.get(name, 0) for node in nodes), default=0) for name in self._needs
            }
            raise ValueError(
                f"{self._spec.job} needs {needs} a worker, but no node has that: the most that one "
                f"has is {largest}"
            )


def workers_that_fit(needs: dict[str, float], resources: dict[str, float]) -> int:
    """How many workers fit on a node; shares of a GPU add up to it exactly."""
    shares = [resources.get(name, 0.0) / amount for name, amount in needs.items() if amount > 0]
    return int(min(shares, default=1.0) + 1e-6)

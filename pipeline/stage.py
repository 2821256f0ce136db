"""What a stage is, and the worker that carries one, on Ray or in this process."""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from dataset.errors import ItemDeferredError, ItemError
from dataset.outcomes import Outcome
from dataset.storage import Location
from dataset.tables import ShardFile, write_shard
from pipeline.versions import code_versions

Item = dict[str, Any]


class Stage(Protocol):
    """One step of the pipeline: load once, then turn each item into rows of a table."""

    name: str
    version: int
    cpus: float
    gpus: float

    def load(self) -> None: ...

    def process(self, item: Item) -> Iterator[Item]: ...


class StageDefectError(RuntimeError):
    """A stage raised what no stage may raise: a defect in the code, with the item's key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSpec:
    """Everything a worker needs to make a stage and write what it yields."""

    make: Callable[[], Stage]
    job: str
    table: str
    key: str  # the column of an item that names it
    root: Location
    recipe: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchResult:
    """What became of a batch: a shard file that waits to be committed, and a row per item."""

    shard: ShardFile | None
    outcomes: list[Outcome]
    deferred: list[str] = field(default_factory=list)  # a kind for each item that has to wait


class StageWorker:
    """Runs batches of items through one stage and writes a shard for each batch."""

    def __init__(self, spec: StageSpec) -> None:
        self.spec = spec
        self.stage = spec.make()
        # A worker cut off from its driver may still be writing when another one redoes its batch:
        # names of its own keep it from replacing a file that has been committed since.
        prefix = f"{spec.job}-{spec.recipe}-{secrets.token_hex(8)}"
        self._names = (f"{prefix}-{number:06d}" for number in itertools.count())
        try:
            self.stage.load()
        except Exception as error:
            raise StageDefectError(
                f"{spec.job} cannot start: {type(error).__name__}: {error}"
            ) from error

    def ready(self) -> None:
        """Answers when the stage is loaded."""

    def run(self, batch: Sequence[Item]) -> BatchResult:
        """Process every item, write the rows of those that succeeded as one shard.

        Raises:
            StageDefectError: The stage raised something else than ItemError, ItemDeferredError.
        """
        result = BatchResult(shard=None, outcomes=[])
        rows = self._rows(batch, result)
        first = next(rows, None)
        if first is None:
            return result
        rows = itertools.chain([first], rows)
        shard = write_shard(self.spec.root, self.spec.table, rows, name=next(self._names))
        return BatchResult(shard=shard, outcomes=result.outcomes, deferred=result.deferred)

    def _rows(self, batch: Sequence[Item], result: BatchResult) -> Iterator[Item]:
        for item in batch:
            key, started = str(item[self.spec.key]), time.monotonic()
            status, reason, message, rows = "ok", "", "", []
            try:
                rows = list(self.stage.process(item))
            except ItemDeferredError as error:
                result.deferred.append(error.kind)
                continue
            except ItemError as error:
                status, reason, message = error.status, error.kind, error.message
            except Exception as error:
                raise StageDefectError(
                    f"{self.spec.job} broke on {key!r}: {type(error).__name__}: {error}"
                ) from error
            result.outcomes.append(
                Outcome(
                    key=key,
                    job=self.spec.job,
                    recipe=self.spec.recipe,
                    status=status,
                    reason=reason,
                    message=message,
                    attempts=1,
                    seconds=time.monotonic() - started,
                    versions=code_versions(),
                )
            )
            yield from ({**row, "recipe": self.spec.recipe} for row in rows)

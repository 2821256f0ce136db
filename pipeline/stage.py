"""What a stage is, and the worker that carries one, on Ray or in this process."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from dataset.errors import ItemError
from dataset.outcomes import Outcome
from dataset.tables import ShardFile, write_shard

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
    """A stage raised something else than ItemError: a defect in the code, with the item's key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSpec:
    """Everything a worker needs to make a stage and write what it yields."""

    make: Callable[[], Stage]
    job: str
    table: str
    key: str  # the column of an item that names it
    root: Path
    recipe: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchResult:
    """What became of a batch: a shard file that waits to be committed, and a row per item."""

    shard: ShardFile | None
    outcomes: list[Outcome]


class StageWorker:
    """Runs batches of items through one stage and writes a shard for each batch."""

    def __init__(self, spec: StageSpec) -> None:
        self.spec = spec
        self.stage = spec.make()
        try:
            self.stage.load()
        except Exception as error:
            raise StageDefectError(
                f"{spec.job} cannot start: {type(error).__name__}: {error}"
            ) from error

    def run(self, batch: Sequence[Item]) -> BatchResult:
        """Process every item, write the rows of those that succeeded as one shard.

        Raises:
            StageDefectError: The stage raised something else than ItemError.
        """
        outcomes: list[Outcome] = []
        rows = self._rows(batch, outcomes)
        first = next(rows, None)
        if first is None:
            return BatchResult(shard=None, outcomes=outcomes)
        spec = self.spec
        shard = write_shard(
            spec.root, spec.table, _chain(first, rows), name=shard_name(spec, batch)
        )
        return BatchResult(shard=shard, outcomes=outcomes)

    def _rows(self, batch: Sequence[Item], outcomes: list[Outcome]) -> Iterator[Item]:
        for item in batch:
            key, started = str(item[self.spec.key]), time.monotonic()
            status, reason, message, rows = "ok", "", "", []
            try:
                rows = list(self.stage.process(item))
            except ItemError as error:
                status, reason, message = error.status, error.kind, error.message
            except Exception as error:
                raise StageDefectError(
                    f"{self.spec.job} broke on {key!r}: {type(error).__name__}: {error}"
                ) from error
            outcomes.append(
                Outcome(
                    key=key,
                    job=self.spec.job,
                    recipe=self.spec.recipe,
                    status=status,
                    reason=reason,
                    message=message,
                    attempts=1,
                    seconds=time.monotonic() - started,
                )
            )
            yield from ({**row, "recipe": self.spec.recipe} for row in rows)


def shard_name(spec: StageSpec, batch: Sequence[Item]) -> str:
    """The name of the shard of these items: the same items make the same name."""
    digest = hashlib.sha256("\n".join(str(item[spec.key]) for item in batch).encode())
    return f"{spec.job}-{spec.recipe}-{digest.hexdigest()[:16]}"


def _chain(first: Item, rest: Iterator[Item]) -> Iterator[Item]:
    yield first
    yield from rest

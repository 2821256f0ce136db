"""What became of every item of every job: the rows that resume, reports and audits go by.

The media tables are the truth about success; an outcome is written after the rows it speaks of.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass

import pyarrow as pa
import pyarrow.compute as pc

from dataset.faults import fault_point
from dataset.storage import Location
from dataset.tables import commit, committed, read_table, write_shard

STATUSES = ("ok", "rejected", "failed", "quarantined")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one attempt of a job made of one item."""

    key: str
    job: str
    recipe: str
    status: str  # one of STATUSES
    reason: str = ""  # a kind that can be counted, e.g. "decode.truncated"; empty when ok
    message: str = ""
    attempts: int = 1
    seconds: float = 0.0
    versions: str = ""  # the code and libraries that did it, as JSON

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise ValueError(f"status must be one of {', '.join(STATUSES)}; got {self.status!r}")
        if (self.status == "ok") != (not self.reason):
            raise ValueError(
                f"{self.key}: a reason is for items that are not ok, and they need one; "
                f"got {self.status!r} with {self.reason!r}"
            )


def append_outcomes(
    root: Location, outcomes: Sequence[Outcome], *, app: str | None = None, version: int = 1
) -> bool:
    """Commit outcomes in one transaction.

    Args:
        root: The dataset root.
        outcomes: What became of which items; none is no commit.
        app: Names the transaction; by default made from the outcomes, so that appending the same
            ones again changes nothing.
        version: The transaction's number under ``app``.

    Returns:
        False when there was nothing to write, or ``(app, version)`` is there already.
    """
    if not outcomes:
        return False
    rows = [asdict(outcome) for outcome in outcomes]
    digest = hashlib.sha256((app or json.dumps(rows, sort_keys=True)).encode()).hexdigest()[:16]
    app = app or f"outcomes-{digest}"
    if committed(root, "outcomes", app=app, version=version):
        return False
    fault_point("outcomes.begun")
    shard = write_shard(root, "outcomes", rows, name=f"{digest}-{version:08d}")
    done = commit(root, "outcomes", [shard], app=app, version=version)
    fault_point("outcomes.done")
    return done


def read_outcomes(
    root: Location, job: str | None = None, recipe: str | None = None
) -> list[Outcome]:
    """Outcomes of a job (or all) under a recipe (or all), in the order they were written."""
    rows = _rows(root, job, recipe).drop_columns(["created_at"])
    return [Outcome(**row) for row in rows.to_pylist()]


def finished_keys(
    root: Location, job: str, recipe: str, *, statuses: Collection[str] = STATUSES
) -> set[str]:
    """The keys whose newest outcome under this job and recipe has one of ``statuses``."""
    rows = _rows(root, job, recipe)
    newest = dict(
        zip(rows.column("key").to_pylist(), rows.column("status").to_pylist(), strict=True)
    )
    return {key for key, status in newest.items() if status in statuses}


def _rows(root: Location, job: str | None, recipe: str | None) -> pa.Table:
    """Rows of the table, oldest first."""
    rows = read_table(root, "outcomes", recipe=recipe)
    if job is not None:
        rows = rows.filter(pc.field("job") == job)
    return rows.sort_by("created_at")

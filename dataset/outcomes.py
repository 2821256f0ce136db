"""What became of every item of every job: the rows that resume, reports and audits go by.

The media tables are the truth about success; an outcome is written after the rows it speaks of.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass

import pyarrow as pa
import pyarrow.compute as pc

from dataset.faults import fault_point
from dataset.storage import Location
from dataset.tables import commit, has_shard, read_table, write_shard

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


def append_outcomes(root: Location, outcomes: Sequence[Outcome]) -> bool:
    """Commit outcomes in one transaction.

    Args:
        root: The dataset root.
        outcomes: What became of which items; none is no commit. Appending the same ones again
            changes nothing, unless rows of them were taken down meanwhile.

    Returns:
        False when there was nothing to write, or it is there already.
    """
    rows = [asdict(outcome) for outcome in outcomes]
    name = hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()[:16]
    if not rows or has_shard(root, "outcomes", name):
        return False
    fault_point("outcomes.begun")
    shard = write_shard(root, "outcomes", rows, name=name)
    done = commit(root, "outcomes", [shard], app=f"outcomes-{secrets.token_hex(8)}")
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

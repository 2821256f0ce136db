"""What became of every item of every job: the rows that resume, reports and audits go by.

The media tables are the truth about success; an outcome is written after the rows it speaks of.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

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


def append_outcomes(root: Path, outcomes: Sequence[Outcome], *, app: str, version: int = 1) -> bool:
    """Commit outcomes in one transaction; False when ``(app, version)`` is there already.

    Raises:
        ValueError: No outcomes.
    """
    if committed(root, "outcomes", app=app, version=version):
        return False
    name = f"{hashlib.sha256(app.encode()).hexdigest()[:16]}-{version:08d}"
    shard = write_shard(root, "outcomes", (asdict(outcome) for outcome in outcomes), name=name)
    return commit(root, "outcomes", [shard], app=app, version=version)


def finished_keys(
    root: Path, job: str, recipe: str, *, statuses: Collection[str] = STATUSES
) -> set[str]:
    """The keys whose newest outcome under this job and recipe has one of ``statuses``."""
    columns = ["key", "job", "status", "created_at"]
    rows = read_table(root, "outcomes", columns=columns, recipe=recipe)
    newest: dict[str, tuple[object, str]] = {}
    for row in rows.to_pylist():
        stamp = (row["created_at"], row["status"])
        if row["job"] == job and stamp >= newest.get(row["key"], stamp):
            newest[row["key"]] = stamp
    return {key for key, (_, status) in newest.items() if status in statuses}

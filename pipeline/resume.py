"""What a job finds done when it starts: resume is an anti-join of its items with ``outcomes``."""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from dataset.outcomes import Outcome, append_outcomes
from dataset.tables import read_table
from pipeline.stage import Item, StageSpec

AGAIN = ("failed", "quarantined")
"""Outcomes that another attempt may change."""

_ROWS_AT_A_TIME = 1024


class SortedKeys:
    """A set of keys in an Arrow array: a million take tens of megabytes, not hundreds."""

    def __init__(self, keys: pa.ChunkedArray) -> None:
        rows = pa.table({"key": keys.cast(pa.large_string())}).sort_by("key")
        self._keys = rows["key"].combine_chunks()

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, key: str) -> bool:
        # Arrow sorts by UTF-8 bytes, which is the order in which Python compares texts.
        place = bisect.bisect_left(self._keys, key, key=lambda scalar: scalar.as_py())
        return place < len(self) and self._keys[place].as_py() == key


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What became of a job's items before."""

    done: SortedKeys
    attempts: dict[str, int]  # of those that are to be tried again


@dataclass(frozen=True, slots=True)
class TableRows:
    """The rows of an Arrow table as items, made a few at a time; may be read more than once."""

    table: pa.Table

    def __len__(self) -> int:
        return self.table.num_rows

    def __iter__(self) -> Iterator[Item]:
        for batch in self.table.to_batches(max_chunksize=_ROWS_AT_A_TIME):
            yield from batch.to_pylist()


def read_past(spec: StageSpec, *, retry_failed: bool) -> Past:
    """The items that need no more work, by their newest outcome; failed ones do if so wanted."""
    newest = _newest_outcomes(spec)
    again = pc.field("status").isin(pa.array(AGAIN if retry_failed else (), pa.string()))
    return Past(done=SortedKeys(newest.filter(~again)["key"]), attempts=_attempts(newest, again))


def reconcile(spec: StageSpec) -> None:
    """Write the outcomes of rows that were committed just before a job was killed.

    Two tables cannot commit as one: the output table is the truth about success.
    """
    rows = read_table(spec.root, spec.table, columns=[spec.key], recipe=spec.recipe)
    newest = _newest_outcomes(spec)
    told = newest.filter(pc.field("status") == "ok")["key"].combine_chunks()
    missing = rows.filter(~pc.field(spec.key).isin(told))[spec.key].unique()
    before = _attempts(newest, pc.field("key").isin(missing))
    append_outcomes(
        spec.root,
        [_recovered(spec, key, before.get(key, 0) + 1) for key in sorted(missing.to_pylist())],
    )


def _attempts(newest: pa.Table, which: pc.Expression) -> dict[str, int]:
    rows = newest.filter(which)
    return dict(zip(rows["key"].to_pylist(), rows["attempts"].to_pylist(), strict=True))


def _newest_outcomes(spec: StageSpec) -> pa.Table:
    """The last outcome of each key: ``key``, ``status``, ``reason``, ``attempts``."""
    columns = ["key", "job", "status", "reason", "attempts", "created_at"]
    rows = read_table(spec.root, "outcomes", columns=columns, recipe=spec.recipe)
    rows = rows.filter(pc.field("job") == spec.job).sort_by("created_at")
    facts = ("status", "reason", "attempts")
    newest = rows.group_by("key", use_threads=False).aggregate([(fact, "last") for fact in facts])
    return newest.select(["key", *(f"{fact}_last" for fact in facts)]).rename_columns(
        ["key", *facts]
    )


def _recovered(spec: StageSpec, key: str, attempts: int) -> Outcome:
    return Outcome(
        key=key,
        job=spec.job,
        recipe=spec.recipe,
        status="ok",
        attempts=attempts,
        message="found committed when the job was started again",
    )

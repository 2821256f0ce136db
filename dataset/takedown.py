"""Taking rows out of a table for good: the files that hold them are written again without them.

A file is rewritten a row group at a time, so no table of videos is ever in memory; one transaction
exchanges old files for new ones; then the old files go, and with them what the log said of them.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dataset.delta import Change, LiveFiles, live_files_of, shorten_log, transact
from dataset.durable import sync
from dataset.faults import fault_point
from dataset.locks import dataset_lock
from dataset.schemas import KEYS
from dataset.shards import ShardFile, groups_with, read_groups, table_schema, write_groups
from dataset.storage import Location, delete_file, files_in, parquet_source

_ROUNDS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """What a takedown took out of one table."""

    table: str
    rows: int  # taken out of what readers see, by this call
    rewritten: tuple[str, ...]  # files that stay, under another name and without these rows
    deleted: tuple[str, ...]  # files that are gone from the storage


class _OvertakenError(Exception):
    """A file was exchanged by somebody else meanwhile: look again."""


def remove_rows(root: Location, table: str, keys: Collection[str]) -> Removal:
    """Take every row of these keys, of all recipes, out of a table and out of its storage.

    Killed at any moment, the table is as before or as after; called again, it completes. Writers
    may append meanwhile. Rows that were committed while this ran are taken too. Files that no
    commit names and that hold such a row are deleted as well, so a job that works on these keys has
    to be waited for or it fails at its commit (``dataset.locks.dataset_lock``); unfinished
    temporary files are ``sweep_orphans``'s.

    Args:
        root: The dataset root.
        table: A table of ``SCHEMAS``.
        keys: Values of the table's key column; those that it does not have are of no matter.

    Raises:
        ValueError: No such table, or no keys.
        ItemError: ``shard.damaged``: a file that would be copied is not what was written.
    """
    table_schema(table)
    wanted = frozenset(keys)
    if not wanted:
        raise ValueError(f"remove_rows from {table} needs at least one key, got none")
    rows, rewritten = 0, []
    with dataset_lock(root, f"takedown-{table}"):
        for _ in range(_ROUNDS):
            concerned = _concerned(root / table, table, live_files_of(root / table), wanted)
            if not concerned:
                break
            added = _exchange(root / table, table, concerned, wanted)
            if added is not None:
                rows += sum(concerned.values())
                rewritten += added
        else:
            raise RuntimeError(f"{table}: rows of these keys are written faster than removed")
        deleted = _delete_leftovers(root / table, table, wanted)
        shorten_log(root / table)
    return Removal(table=table, rows=rows, rewritten=tuple(rewritten), deleted=tuple(deleted))


def _concerned(
    folder: Location, table: str, live: LiveFiles, wanted: frozenset[str]
) -> dict[str, int]:
    """The files that hold rows of these keys, with how many."""
    column = KEYS[table]
    found = {}
    for path, bounds in live.items():
        low, high = bounds.get(f"min.{column}"), bounds.get(f"max.{column}")
        if low is None or high is None or any(str(low) <= key <= str(high) for key in wanted):
            count = _count(folder / path, column, wanted)
            if count:
                found[path] = count
    return found


def _count(path: Location, column: str, wanted: frozenset[str]) -> int:
    with pq.ParquetFile(parquet_source(path)) as file:
        groups = groups_with(file, column, *wanted)
        keys = file.read_row_groups(groups, columns=[column])
    return keys.filter(pc.field(column).isin(sorted(wanted))).num_rows


def _exchange(
    folder: Location, table: str, concerned: dict[str, int], wanted: frozenset[str]
) -> list[str] | None:
    """Commit the concerned files' exchange; None when another's commit came first."""
    app = f"takedown-{secrets.token_hex(8)}"  # keys may come back, and go again
    added: list[ShardFile] = []
    for number, path in enumerate(sorted(concerned)):
        if pq.read_metadata(parquet_source(folder / path)).num_rows > concerned[path]:
            kept = _without(folder / path, table, wanted)
            added.append(write_groups(folder, table, kept, name=f"{app}-{number}"))
    fault_point("takedown.rewritten")

    def plan(live: LiveFiles) -> Change:
        if not concerned.keys() <= live.keys():
            raise _OvertakenError
        return Change(added=added, removed=sorted(concerned))

    try:
        transact(folder, table_schema(table), plan, app=app)
    except _OvertakenError:
        return None
    fault_point("takedown.committed")
    return [shard.path for shard in added]


def _without(path: Location, table: str, wanted: frozenset[str]) -> Iterator[pa.Table]:
    others = ~pc.field(KEYS[table]).isin(sorted(wanted))
    for group in read_groups(path, table):
        kept = group.filter(others)
        if kept.num_rows:
            yield kept


def _delete_leftovers(folder: Location, table: str, wanted: frozenset[str]) -> list[str]:
    """Delete the files that no commit names and that hold, or may hold, rows of these keys."""
    live = live_files_of(folder)
    deleted = []
    for path in (file.path for file in files_in(folder)):
        if (
            path.suffix == ".parquet"
            and path.name not in live
            and _may_hold(path, KEYS[table], wanted)
        ):
            delete_file(path)
            deleted.append(path.name)
            fault_point("takedown.deleted")
    if deleted and isinstance(folder, Path):
        sync(folder)
    return deleted


def _may_hold(path: Location, column: str, wanted: frozenset[str]) -> bool:
    try:
        return _count(path, column, wanted) > 0
    except pa.ArrowInvalid:  # no Parquet: nobody can use it, and nobody can say what is in it
        return True
    except FileNotFoundError:
        return False

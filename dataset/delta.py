"""The Delta log of a table: opening it, one transaction, and a log that is made short.

Only this file knows Delta Lake. The library neither validates what it commits nor syncs it, and it
retries less than several writers need; that is made up for here (docs/decisions/table-commits.md).
Do not fork a process that has used this module: spawn.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Field, Schema, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import AddAction, RemoveAction

from dataset.commit_log import check_newest_entry, has_log, remove_older_entries, sync_log
from dataset.faults import fault_point
from dataset.shards import ShardFile

_ATTEMPTS = 50
_LIBRARY_RETRIES = 200

LiveFiles = Mapping[str, Mapping[str, object]]
"""The committed files of a table by path, each with what the log says of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What one transaction puts into a table and takes out of it."""

    added: Sequence[ShardFile] = ()
    removed: Sequence[str] = ()  # paths relative to the table's folder


def live_files_of(folder: Path) -> LiveFiles:
    """What is committed; empty when the folder is no table yet."""
    handle = _open(folder)
    return {} if handle is None else _live(handle)


def newest_transaction(folder: Path, app: str) -> int | None:
    """The newest transaction number of ``app`` in a table; ``None`` where there is none."""
    handle = _open(folder)
    return None if handle is None else handle.transaction_version(app)


def transact(
    folder: Path,
    schema: pa.Schema,
    plan: Callable[[LiveFiles], Change],
    *,
    app: str,
    version: int = 1,
) -> bool:
    """Carry out one transaction, once; durable when this returns.

    Args:
        folder: The table's folder; a log is made where there is none.
        schema: The columns that the table shall have, old ones included.
        plan: Says what to change, given the live files of the very state that is changed. It is
            asked again when another writer came first, and raises where the change has become
            wrong.
        app: Names the writer or the work.
        version: The transaction's number under ``app``.

    Returns:
        False when a transaction ``(app, version)``, or a newer one of ``app``, is there already.
    """
    for attempt in range(_ATTEMPTS):
        handle = _open_or_create(folder, schema)
        if _holds(handle, app, version):
            return False
        actions = _actions(plan(_live(handle)))
        fault_point("commit.checked")
        try:
            handle.create_write_transaction(
                actions,
                "append",
                handle.schema(),
                commit_properties=CommitProperties(
                    app_transactions=[Transaction(app, version)],
                    max_commit_retries=_LIBRARY_RETRIES,
                ),
            )
        except DeltaError as error:
            if not _overtaken(error):
                raise
            time.sleep(min(0.01 * 2**attempt, 1.0))
            continue
        fault_point("commit.written")
        sync_log(folder)
        # An entry written below a checkpoint that was made meanwhile would never be read.
        if _holds(_opened(folder), app, version):
            fault_point("commit.done")
            return True
    raise RuntimeError(
        f"{folder}: {_ATTEMPTS} commits in a row met another writer; try again later"
    )


def shorten_log(folder: Path) -> None:
    """Keep the present state as a checkpoint, and of the log nothing that is older.

    What the log said of files that are gone, the bounds of their keys among it, goes with it.
    Readers and writers at work meanwhile open the table again and go on.
    """
    handle = _open(folder)
    if handle is None:
        return
    handle.create_checkpoint()
    sync_log(folder)
    fault_point("log.checkpointed")
    remove_older_entries(folder, handle.version())


def _open(folder: Path) -> DeltaTable | None:
    """A handle on the table's newest state; ``None`` when it has no log yet."""
    for attempt in range(_ATTEMPTS):
        check_newest_entry(folder)
        if not has_log(folder):
            return None
        try:
            return DeltaTable(str(folder.resolve()))
        except (DeltaError, FileNotFoundError):  # entries may go while the library reads them
            if attempt == 4:
                raise
            time.sleep(0.02 * 2**attempt)
    raise AssertionError("the last attempt returns or raises")


def _opened(folder: Path) -> DeltaTable:
    handle = _open(folder)
    if handle is None:
        raise RuntimeError(f"the log of {folder} has gone while it was written to")
    return handle


def _open_or_create(folder: Path, schema: pa.Schema) -> DeltaTable:
    for _ in range(_ATTEMPTS):
        handle = _open(folder)
        newer = [] if handle is None else _missing_fields(handle, schema)
        if handle is not None and not newer:
            return handle
        folder.mkdir(parents=True, exist_ok=True)
        try:
            if handle is None:
                DeltaTable.create(str(folder.resolve()), schema, mode="ignore")
            else:
                handle.alter.add_columns(newer)
        except (CommitFailedError, DeltaError, TableNotFoundError):
            time.sleep(0.02)  # another process does so at this moment
            continue
        sync_log(folder)
    raise RuntimeError(f"{folder} can be neither opened nor created; is it writable?")


def _missing_fields(handle: DeltaTable, schema: pa.Schema) -> list[Field]:
    """Columns that came into use after the table was made."""
    known = {field.name for field in handle.schema().fields}
    return [field for field in Schema.from_arrow(schema).fields if field.name not in known]


def _live(handle: DeltaTable) -> LiveFiles:
    actions = pa.table(handle.get_add_actions(flatten=True)).to_pylist()
    return {action["path"]: action for action in actions}


def _holds(handle: DeltaTable, app: str, version: int) -> bool:
    done = handle.transaction_version(app)
    return done is not None and done >= version


def _actions(change: Change) -> list[AddAction | RemoveAction]:
    now = int(time.time() * 1000)
    return [
        *(RemoveAction(path, True, now) for path in change.removed),
        *(
            AddAction(shard.path, shard.size_bytes, {}, shard.modified_ms, True, shard.stats_json)
            for shard in change.added
        ),
    ]


def _overtaken(error: DeltaError) -> bool:
    """Whether another writer won, or shortened the log under the handle: see what it did, retry."""
    return isinstance(error, CommitFailedError) or "Invalid table version" in str(error)

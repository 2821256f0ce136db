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
from typing import TypeVar

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Field, Schema, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import AddAction, RemoveAction

from dataset.commit_log import check_newest_entry, has_log, remove_older_entries, sync_log
from dataset.faults import fault_point
from dataset.leases import Fence
from dataset.object_store import FileStatus, ObjectPath, client_options, list_folder
from dataset.shards import ShardFile
from dataset.storage import Location

_ATTEMPTS = 50
_TRIES = 5
_LIBRARY_RETRIES = 200
_CHECKPOINT_EVERY = "10"  # commits, in an object store: opening a table reads every entry since

_Read = TypeVar("_Read")
LiveFiles = Mapping[str, Mapping[str, object]]
"""The committed files of a table by path, each with what the log says of it."""

_known: dict[ObjectPath, tuple[FileStatus | None, LiveFiles]] = {}
"""Tables in object stores by their newest log entry: to read a log takes some thirty requests."""


class LockLostError(RuntimeError):
    """Another process took this one's lease over: what this one commits is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What one transaction puts into a table and takes out of it."""

    added: Sequence[ShardFile] = ()
    removed: Sequence[str] = ()  # paths relative to the table's folder


def live_files_of(folder: Location) -> LiveFiles:
    """What is committed; empty when the folder is no table yet."""
    if isinstance(folder, Path):
        return _look(folder, _live) or {}
    entries = [file for file in list_folder(folder / "_delta_log") if file.path.suffix == ".json"]
    newest = entries[-1] if entries else None
    known = _known.get(folder)
    if known is None or known[0] != newest:
        known = _known[folder] = newest, _look(folder, _live) or {}
    return known[1]


def newest_transaction(folder: Location, app: str) -> int | None:
    """The newest transaction number of ``app`` in a table; ``None`` where there is none."""
    return _look(folder, lambda handle: handle.transaction_version(app))


def transact(
    folder: Location,
    schema: pa.Schema,
    plan: Callable[[LiveFiles], Change],
    *,
    app: str,
    version: int = 1,
    fence: Fence | None = None,
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
        fence: The right to commit, where it can be lost.

    Returns:
        False when a transaction ``(app, version)``, or a newer one of ``app``, is there already.

    Raises:
        LockLostError: The table has seen a higher number of this fence.
    """
    transactions = [Transaction(app, version)]
    if fence is not None:
        transactions.append(Transaction(fence.app, fence.number))
    written = False
    for attempt in range(_ATTEMPTS):
        try:
            handle = _open_or_create(folder, schema)
            if _holds(handle, app, version):
                return written
            _check_fence(handle, fence)
            actions = _actions(plan(_live(handle)))
            fault_point("commit.checked")
            _write(handle, actions, transactions)
        except DeltaError as error:
            if not _overtaken(error) and attempt >= _TRIES:
                raise
            time.sleep(min(0.01 * 2**attempt, 1.0))
            continue
        written = True
        fault_point("commit.written")
        _sync(folder)
        # An entry below a checkpoint that was made meanwhile would never be read.
        if (newest_transaction(folder, app) or 0) >= version:
            fault_point("commit.done")
            return True
    raise RuntimeError(
        f"{folder}: {_ATTEMPTS} commits in a row met another writer; try again later"
    )


def shorten_log(folder: Location) -> None:
    """Keep the present state as a checkpoint, and of the log nothing that is older.

    What the log said of files that are gone, the bounds of their keys among it, goes with it.
    Readers and writers at work meanwhile open the table again and go on.
    """
    handle = _open(folder)
    if handle is None:
        return
    handle.create_checkpoint()
    _sync(folder)
    fault_point("log.checkpointed")
    remove_older_entries(folder, handle.version())


def _look(folder: Location, read: Callable[[DeltaTable], _Read]) -> _Read | None:
    """What ``read`` makes of the newest state; None where there is no table.

    A handle reads the log bit by bit, and meanwhile a takedown may shorten it: then once more.
    """
    for attempt in range(_TRIES):
        try:
            handle = _open(folder)
            return None if handle is None else read(handle)
        except (DeltaError, FileNotFoundError):
            if attempt == _TRIES - 1:
                raise
            time.sleep(0.02 * 2**attempt)
    raise AssertionError("the last try returns or raises")


def _open(folder: Location) -> DeltaTable | None:
    """A handle on the table's newest state; ``None`` when it has no log yet."""
    if isinstance(folder, Path):
        check_newest_entry(folder)
        if not has_log(folder):
            return None
    try:
        return DeltaTable(_address(folder), storage_options=client_options())
    except TableNotFoundError:
        return None


def _open_or_create(folder: Location, schema: pa.Schema) -> DeltaTable:
    for _ in range(_ATTEMPTS):
        handle = _look(folder, lambda handle: handle)
        newer = [] if handle is None else _missing_fields(handle, schema)
        if handle is not None and not newer:
            return handle
        try:
            if handle is None:
                _create(folder, schema)
            else:
                handle.alter.add_columns(newer)
        except (CommitFailedError, DeltaError, TableNotFoundError):
            time.sleep(0.02)  # another process does so at this moment
            continue
        _sync(folder)
    raise RuntimeError(f"{folder} can be neither opened nor created; is it writable?")


def _create(folder: Location, schema: pa.Schema) -> None:
    settings = {}
    if isinstance(folder, Path):
        folder.mkdir(parents=True, exist_ok=True)
    else:
        settings = {"delta.checkpointInterval": _CHECKPOINT_EVERY}
    DeltaTable.create(
        _address(folder),
        schema,
        mode="ignore",
        configuration=settings,
        storage_options=client_options(),
    )


def _address(folder: Location) -> str:
    return str(folder.resolve() if isinstance(folder, Path) else folder)


def _sync(folder: Location) -> None:
    if isinstance(folder, Path):
        sync_log(folder)
    fault_point("commit.entry_synced")


def _check_fence(handle: DeltaTable, fence: Fence | None) -> None:
    newest = None if fence is None else handle.transaction_version(fence.app)
    if fence is not None and newest is not None and newest > fence.number:
        raise LockLostError(
            f"{fence.app}: process {newest} took over from this one, {fence.number}, which did not "
            "renew its lease in time; start the job again"
        )


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


def _write(
    handle: DeltaTable,
    actions: list[AddAction | RemoveAction],
    transactions: list[Transaction],
) -> None:
    handle.create_write_transaction(
        actions,
        "append",
        handle.schema(),
        commit_properties=CommitProperties(
            app_transactions=transactions, max_commit_retries=_LIBRARY_RETRIES
        ),
    )


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

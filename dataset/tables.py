"""The tables of a dataset root: Delta logs over Parquet files that we write ourselves.

Only this file knows Delta Lake. Workers write shard files (``write_shard``); one place makes a
batch of them visible at once (``commit``); readers see what is committed and nothing else. The
library neither validates nor syncs what it commits, so both happen here
(docs/decisions/table-commits.md). Do not fork a process that has used this module: spawn.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Field, Schema, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import AddAction, RemoveAction

from dataset.commit_log import check_newest_entry, has_log, sync_log
from dataset.errors import ItemError
from dataset.schemas import KEYS
from dataset.shards import (
    ShardFile,
    describe,
    groups_with,
    narrow_columns,
    table_schema,
    write_parquet,
)

_ATTEMPTS = 50
_LIBRARY_RETRIES = 200


def write_shard(
    root: Path, table: str, rows: Iterable[Mapping[str, object]], *, name: str
) -> ShardFile:
    """Write rows as a file of the table that nobody sees before ``commit``.

    A file of that name which was never committed is replaced; use names made from the rows' keys,
    so that a repeated attempt replaces its own remains.

    Raises:
        ValueError: The name is already that of a committed file, or see ``write_parquet``.
    """
    folder = root / table
    if f"{name}.parquet" in _live_actions(root, table):
        raise ValueError(f"{table}/{name}.parquet is committed already; write under another name")
    return write_parquet(folder, table, rows, name=name)


def commit(
    root: Path, table: str, shards: Sequence[ShardFile], *, app: str, version: int = 1
) -> bool:
    """Make shard files part of the table in one transaction, durable when this returns.

    Returns:
        True, or False when a transaction ``(app, version)`` or a newer one of ``app`` is there
        already: then nothing changes.

    Raises:
        ValueError: No shards, a file that is missing, was changed since it was written, or is in
            the table already.
    """
    if not shards:
        raise ValueError("a commit needs at least one shard, got none")
    for attempt in range(_ATTEMPTS):
        handle = _open_or_create(root, table)
        done = handle.transaction_version(app)
        if done is not None and done >= version:
            return False
        actions = _checked_actions(root, table, shards, handle)
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
        except CommitFailedError:  # another writer won: see what it did, then try again
            time.sleep(min(0.01 * 2**attempt, 1.0))
            continue
        sync_log(root / table)
        return True
    raise RuntimeError(f"{table}: {_ATTEMPTS} commits in a row met another writer; try again later")


def committed(root: Path, table: str, *, app: str, version: int = 1) -> bool:
    """Whether a transaction ``(app, version)``, or a newer one of ``app``, is in the table."""
    handle = _open(root, table)
    done = handle.transaction_version(app) if handle is not None else None
    return done is not None and done >= version


def live_files(root: Path, table: str, *, recipe: str | None = None) -> list[Path]:
    """The committed Parquet files, by name; empty when the table does not exist.

    With ``recipe`` only those that may hold rows of it; a file may hold rows of others beside.
    """
    return [
        root / table / path
        for path, bounds in sorted(_live_actions(root, table).items())
        if recipe is None or _within(bounds, "recipe", recipe)
    ]


def read_table(
    root: Path, table: str, *, columns: Sequence[str] | None = None, recipe: str | None = None
) -> pa.Table:
    """Rows of a table, of all recipes or of one.

    Args:
        root: The dataset root.
        table: A table of ``SCHEMAS``.
        columns: Which columns; ``None`` for all but the media columns. In rows written before a
            column existed it is null.
        recipe: Only rows of this recipe.

    Raises:
        ValueError: A column that the table does not have.
    """
    schema = table_schema(table)
    names = narrow_columns(table) if columns is None else list(columns)
    _check_columns(table, names)
    wanted = pa.schema([schema.field(name) for name in names])
    rule = None if recipe is None else pc.field("recipe") == recipe
    parts = [
        pq.read_table(root / table / path, columns=names, filters=rule, schema=schema)
        for path, bounds in sorted(_live_actions(root, table).items())
        if recipe is None or _within(bounds, "recipe", recipe)
    ]
    return (
        pa.concat_tables([part.cast(wanted) for part in parts]) if parts else wanted.empty_table()
    )


def newest_recipe(root: Path, table: str) -> str | None:
    """The recipe of the row that was written last; ``None`` when there are no rows."""
    rows = read_table(root, table, columns=["recipe", "created_at"])
    newest = rows.sort_by([("created_at", "descending")]).slice(0, 1)
    return newest.column("recipe")[0].as_py() if newest.num_rows else None


def read_row(
    root: Path, table: str, key: str, *, recipe: str | None = None, columns: Sequence[str]
) -> dict[str, Any]:
    """Columns of one row, reading no more than these columns of its row group.

    Args:
        root: The dataset root.
        table: A table of ``SCHEMAS``.
        key: The row's value of the table's key column.
        recipe: Its recipe; ``None`` for the newest one the key has.
        columns: What to read, media columns too; null where the row is older than the column.

    Raises:
        ValueError: A column that the table does not have, or no such row.
        ItemError: ``shard.damaged``: the file's content is not what was written.
    """
    names = list(columns)
    _check_columns(table, names)
    found = _find_rows(root, table, key, recipe)
    if not found:
        which = "any recipe" if recipe is None else f"recipe {recipe}"
        raise ValueError(f"{table} in {root} has no row {key!r} of {which}")
    _, path, group, place = max(found)
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            rows = file.read_row_group(group, columns=names).slice(place, 1).to_pylist()
    except OSError as error:
        raise ItemError("shard.damaged", f"{path}, row group {group}: {error}") from error
    return {name: rows[0].get(name) for name in names}


def sweep_orphans(root: Path, table: str, *, older_than_seconds: float) -> list[Path]:
    """Remove files of the table's folder that no commit names, and return their paths.

    Args:
        root: The dataset root.
        table: A table of ``SCHEMAS``.
        older_than_seconds: Younger files stay: a running job may be about to commit them.
    """
    folder = root / table
    if not folder.is_dir():
        return []
    live = set(_live_actions(root, table))
    newest = time.time() - older_than_seconds
    candidates = [*folder.glob("*.parquet"), *folder.glob(".*.tmp")]
    orphans = [p for p in candidates if p.name not in live and p.stat().st_mtime <= newest]
    for path in orphans:
        path.unlink()
    return sorted(orphans)


def _open(root: Path, table: str) -> DeltaTable | None:
    """A handle on the table's newest state; ``None`` when it has no log yet."""
    table_schema(table)
    check_newest_entry(root / table)
    if not has_log(root / table):
        return None
    return DeltaTable(str((root / table).resolve()))


def _open_or_create(root: Path, table: str) -> DeltaTable:
    for _ in range(_ATTEMPTS):
        handle = _open(root, table)
        newer = [] if handle is None else _missing_fields(handle, table)
        if handle is not None and not newer:
            return handle
        folder = root / table
        folder.mkdir(parents=True, exist_ok=True)
        try:
            if handle is None:
                DeltaTable.create(str(folder.resolve()), table_schema(table), mode="ignore")
            else:
                handle.alter.add_columns(newer)
        except (CommitFailedError, DeltaError, TableNotFoundError):
            time.sleep(0.02)  # another process does so at this moment
            continue
        sync_log(root / table)
    raise RuntimeError(f"{root / table} can be neither opened nor created; is it writable?")


def _missing_fields(handle: DeltaTable, table: str) -> list[Field]:
    """Columns that came into use after the table was made."""
    known = {field.name for field in handle.schema().fields}
    return [
        field for field in Schema.from_arrow(table_schema(table)).fields if field.name not in known
    ]


def _live_actions(root: Path, table: str) -> dict[str, Mapping[str, object]]:
    """The committed files by path, each with what the log says of it."""
    handle = _open(root, table)
    if handle is None:
        return {}
    actions = pa.table(handle.get_add_actions(flatten=True)).to_pylist()
    return {action["path"]: action for action in actions}


def _checked_actions(
    root: Path, table: str, shards: Sequence[ShardFile], handle: DeltaTable
) -> list[AddAction | RemoveAction]:
    """Add actions, after comparing every shard with its file: the library checks nothing."""
    live = {Path(uri).name for uri in handle.file_uris()}
    for shard in shards:
        if shard.path in live:
            raise ValueError(f"{table}/{shard.path} is in the table already, under another commit")
        if not (root / table / shard.path).is_file():
            raise ValueError(f"{table}/{shard.path} is to be committed, but there is no such file")
        if describe(root / table, table, shard.path) != shard:
            raise ValueError(f"{table}/{shard.path} was changed since it was written: {shard}")
    if len({shard.path for shard in shards}) != len(shards):
        raise ValueError(f"{table}: a shard is named twice in {[shard.path for shard in shards]}")
    return [
        AddAction(shard.path, shard.size_bytes, {}, shard.modified_ms, True, shard.stats_json)
        for shard in shards
    ]


def _find_rows(
    root: Path, table: str, key: str, recipe: str | None
) -> list[tuple[object, str, int, int]]:
    """(created_at, file, row group, place in it) of every row of the key."""
    found = []
    for path, bounds in _live_actions(root, table).items():
        if not _within(bounds, KEYS[table], key):
            continue
        if recipe is not None and not _within(bounds, "recipe", recipe):
            continue
        file_path = str(root / table / path)
        with pq.ParquetFile(file_path) as file:
            for group in groups_with(file, KEYS[table], key):
                names = [KEYS[table], "recipe", "created_at"]
                rows = file.read_row_group(group, columns=names).to_pylist()
                found += [
                    (row["created_at"], file_path, group, place)
                    for place, row in enumerate(rows)
                    if row[KEYS[table]] == key and recipe in (None, row["recipe"])
                ]
    return found


def _within(bounds: Mapping[str, object], column: str, value: str) -> bool:
    low, high = bounds.get(f"min.{column}"), bounds.get(f"max.{column}")
    return low is None or high is None or str(low) <= value <= str(high)


def _check_columns(table: str, names: Sequence[str]) -> None:
    known = table_schema(table).names
    for name in names:
        if name not in known:
            raise ValueError(f"{table} has no column {name!r}; it has {known}")

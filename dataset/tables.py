"""The tables of a dataset root: Delta logs over Parquet files that we write ourselves.

Workers write shard files (``write_shard``); one place makes a batch of them visible at once
(``commit``); readers see what is committed and nothing else (docs/decisions/table-commits.md). Do
not fork a process that has used this module: spawn.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, overload

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dataset.delta import Change, LiveFiles, live_files_of, newest_transaction, transact
from dataset.errors import ItemError
from dataset.leases import Fence
from dataset.schemas import KEYS
from dataset.shards import (
    ShardFile,
    check_shards,
    groups_with,
    is_named,
    narrow_columns,
    table_schema,
    write_parquet,
)
from dataset.storage import Location, delete_file, files_in, parquet_source

_Read = TypeVar("_Read")


def write_shard(
    root: Location, table: str, rows: Iterable[Mapping[str, object]], *, name: str
) -> ShardFile:
    """Write rows as a file of the table that nobody sees before ``commit``.

    A file of that name which was never committed is replaced; use names made from the rows' keys,
    so that a repeated attempt replaces its own remains.

    Raises:
        ValueError: The name is already that of a committed file, or see ``write_parquet``.
    """
    if has_shard(root, table, name):
        raise ValueError(f"{table}/{name}.parquet is committed already; write under another name")
    return write_parquet(root / table, table, rows, name=name)


def has_shard(root: Location, table: str, name: str) -> bool:
    """Whether a shard of this name is committed, and not exchanged by a takedown since."""
    return any(is_named(path, name) for path in _live_files(root, table))


def commit(
    root: Location,
    table: str,
    shards: Sequence[ShardFile],
    *,
    app: str,
    version: int = 1,
    fence: Fence | None = None,
) -> bool:
    """Make shard files part of the table in one transaction, durable when this returns.

    Returns:
        True, or False when a transaction ``(app, version)`` or a newer one of ``app`` is there
        already: then nothing changes.

    Raises:
        ValueError: No shards, a file that is missing, was changed since it was written, or is in
            the table already.
        LockLostError: Another process has taken over, see ``dataset.delta.transact``.
    """
    if not shards:
        raise ValueError("a commit needs at least one shard, got none")

    def plan(live: LiveFiles) -> Change:
        check_shards(root / table, table, shards, live)
        return Change(added=shards)

    schema = table_schema(table)
    return transact(root / table, schema, plan, app=app, version=version, fence=fence)


def raise_fence(root: Location, table: str, fence: Fence | None) -> None:
    """From now on the table refuses commits of those who held this lock before.

    To be called before one looks what is there: nothing of theirs comes in afterwards.
    """
    if fence is not None:
        folder, schema = root / table, table_schema(table)
        transact(folder, schema, lambda _: Change(), app=fence.app, version=fence.number)


def committed(root: Location, table: str, *, app: str, version: int = 1) -> bool:
    """Whether a transaction ``(app, version)``, or a newer one of ``app``, is in the table."""
    table_schema(table)  # refuses a table that does not exist
    done = newest_transaction(root / table, app)
    return done is not None and done >= version


@overload
def live_files(root: Path, table: str, *, recipe: str | None = None) -> Sequence[Path]: ...
@overload
def live_files(root: Location, table: str, *, recipe: str | None = None) -> Sequence[Location]: ...
def live_files(root: Location, table: str, *, recipe: str | None = None) -> Sequence[Location]:
    """The committed Parquet files, by name; empty when the table does not exist.

    With ``recipe`` only those that may hold rows of it; a file may hold rows of others beside.
    """
    return [
        root / table / path
        for path, bounds in sorted(_live_files(root, table).items())
        if recipe is None or _within(bounds, "recipe", recipe)
    ]


def read_table(
    root: Location, table: str, *, columns: Sequence[str] | None = None, recipe: str | None = None
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

    def read(live: LiveFiles) -> list[pa.Table]:
        return [
            pq.read_table(
                parquet_source(root / table / path), columns=names, filters=rule, schema=schema
            )
            for path, bounds in sorted(live.items())
            if recipe is None or _within(bounds, "recipe", recipe)
        ]

    parts = _of_live_files(root, table, read)
    return (
        pa.concat_tables([part.cast(wanted) for part in parts]) if parts else wanted.empty_table()
    )


def read_rows(
    root: Location, table: str, keys: Collection[str], *, columns: Sequence[str] | None = None
) -> list[dict[str, Any]]:
    """All rows of some keys, of every recipe, oldest first; only files that may hold one are read.

    Args:
        root: The dataset root.
        table: A table of ``SCHEMAS``.
        keys: Values of the table's key column.
        columns: Which columns; ``None`` for all but the media columns.

    Raises:
        ValueError: A column that the table does not have.
    """
    schema, key = table_schema(table), KEYS[table]
    names = narrow_columns(table) if columns is None else list(columns)
    _check_columns(table, names)
    wanted = pc.field(key).isin(sorted(keys))

    def read(live: LiveFiles) -> list[dict[str, Any]]:
        rows = []
        for path, bounds in live.items():
            if any(_within(bounds, key, each) for each in keys):
                source = parquet_source(root / table / path)
                part = pq.read_table(
                    source,
                    columns=[*dict.fromkeys([*names, "created_at"])],
                    filters=wanted,
                    schema=schema,
                )
                rows += part.to_pylist()
        return rows

    rows = sorted(_of_live_files(root, table, read), key=lambda row: row["created_at"])
    return [{name: row[name] for name in names} for row in rows]


def newest_recipe(root: Location, table: str) -> str | None:
    """The recipe of the row that was written last; ``None`` when there are no rows."""
    rows = read_table(root, table, columns=["recipe", "created_at"])
    newest = rows.sort_by([("created_at", "descending")]).slice(0, 1)
    return newest.column("recipe")[0].as_py() if newest.num_rows else None


def read_row(
    root: Location, table: str, key: str, *, recipe: str | None = None, columns: Sequence[str]
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

    def read(live: LiveFiles) -> dict[str, Any] | None:
        found = _find_rows(root, table, live, key, recipe)
        if not found:
            return None
        _, path, group, place = max(found)
        source = parquet_source(root / table / path)
        try:
            with pq.ParquetFile(source, page_checksum_verification=True) as file:
                return file.read_row_group(group, columns=names).slice(place, 1).to_pylist()[0]
        except FileNotFoundError:
            raise
        except OSError as error:
            where = f"{root / table / path}, row group {group}"
            raise ItemError("shard.damaged", f"{where}: {error}") from error

    row = _of_live_files(root, table, read)
    if row is None:
        which = "any recipe" if recipe is None else f"recipe {recipe}"
        raise ValueError(f"{table} in {root} has no row {key!r} of {which}")
    return {name: row.get(name) for name in names}


def sweep_orphans(root: Location, table: str, *, older_than_seconds: float) -> list[Location]:
    """Remove files of the table's folder that no commit names, and return their paths.

    Args:
        root: The dataset root.
        table: A table of ``SCHEMAS``.
        older_than_seconds: Younger files stay: a running job may be about to commit them.
    """
    live = _live_files(root, table)
    orphans = [
        file.path
        for file in files_in(root / table)
        if (file.path.suffix == ".parquet" and file.path.name not in live)
        or (file.path.name.startswith(".") and file.path.suffix == ".tmp")
        if file.age_seconds >= older_than_seconds
    ]
    for path in orphans:
        delete_file(path)
    return orphans


def _live_files(root: Location, table: str) -> LiveFiles:
    table_schema(table)  # refuses a table that does not exist
    return live_files_of(root / table)


def _of_live_files(root: Location, table: str, read: Callable[[LiveFiles], _Read]) -> _Read:
    """What ``read`` makes of the live files; again where a takedown exchanges them meanwhile."""
    while True:
        live = _live_files(root, table)
        try:
            return read(live)
        except FileNotFoundError:
            if live.keys() <= _live_files(root, table).keys():
                raise  # committed, and not there: no takedown did that


def _find_rows(
    root: Location, table: str, live: LiveFiles, key: str, recipe: str | None
) -> list[tuple[object, str, int, int]]:
    """(created_at, file, row group, place in it) of every row of the key."""
    found = []
    for path, bounds in live.items():
        if not _within(bounds, KEYS[table], key):
            continue
        if recipe is not None and not _within(bounds, "recipe", recipe):
            continue
        with pq.ParquetFile(parquet_source(root / table / path)) as file:
            for group in groups_with(file, KEYS[table], key):
                names = [KEYS[table], "recipe", "created_at"]
                rows = file.read_row_group(group, columns=names).to_pylist()
                found += [
                    (row["created_at"], path, group, place)
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

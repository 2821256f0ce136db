"""Parquet files that hold rows with video in them: written once, read a row and a column at a time.

A table with media columns has one row a row group, so that a reader fetches one stream of one clip
and nothing else; media columns are neither compressed nor given statistics, they are compressed
already. A file appears under its name whole and durable, or not at all.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import secrets
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from dataset.durable import sync
from dataset.errors import ItemError
from dataset.faults import fault_point
from dataset.object_store import ObjectPath, put_object
from dataset.schemas import KEYS, MEDIA_COLUMNS, SCHEMAS
from dataset.scratch import scratch_folder
from dataset.storage import Location, file_status, is_file, parquet_source

_NARROW_GROUP_ROWS = 8192
_SAFE_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardFile:
    """A Parquet file on disk that no transaction names yet."""

    path: str  # relative to the table folder
    size_bytes: int
    rows: int
    stats_json: str  # as the Delta log wants it: numRecords, and bounds of key and recipe
    modified_ms: int


def table_schema(table: str) -> pa.Schema:
    """The columns of a table; ``ValueError`` for a table that does not exist."""
    if table not in SCHEMAS:
        raise ValueError(f"table must be one of {', '.join(SCHEMAS)}; got {table!r}")
    return SCHEMAS[table]


def narrow_columns(table: str) -> list[str]:
    """A table's columns without the media columns."""
    return [name for name in table_schema(table).names if name not in MEDIA_COLUMNS]


def write_parquet(
    folder: Location, table: str, rows: Iterable[Mapping[str, object]], *, name: str
) -> ShardFile:
    """Write rows as ``folder/name.parquet``; one row is in memory at a time for media tables.

    A missing ``created_at`` becomes the present time; other columns may be missing and are null.

    Raises:
        ValueError: No rows, an unsafe name, an unknown column, a missing key or recipe, or a value
            that its column cannot hold.
    """
    rows_a_group = 1 if _has_media(table) else _NARROW_GROUP_ROWS
    groups = (_arrow_rows(batch, table) for batch in _batches(rows, rows_a_group))
    return write_groups(folder, table, groups, name=name)


def write_groups(
    folder: Location, table: str, groups: Iterable[pa.Table], *, name: str
) -> ShardFile:
    """Write Arrow tables of the table's schema as ``folder/name.parquet``, a row group each.

    Raises:
        ValueError: No rows, or an unsafe name.
    """
    if not _SAFE_NAME.fullmatch(name):
        raise ValueError(f"a shard name has letters, digits, '.', '_' and '-' only, got {name!r}")
    if isinstance(folder, Path):
        path = _write_to_disk(folder, table, groups, name)
    else:
        path = _write_to_store(folder, table, groups, name)
    fault_point("shard.done")
    return describe(folder, table, path)


def read_groups(path: Location, table: str) -> Iterator[pa.Table]:
    """A shard's row groups one by one, with the table's present columns (null where older).

    Raises:
        ItemError: ``shard.damaged``: the file's content is not what was written.
    """
    try:
        with pq.ParquetFile(parquet_source(path), page_checksum_verification=True) as file:
            for group in range(file.num_row_groups):
                yield _with_all_columns(file.read_row_group(group), table)
    except (OSError, pa.ArrowInvalid) as error:
        raise ItemError("shard.damaged", f"{path}: {error}") from error


def describe(folder: Location, table: str, path: str) -> ShardFile:
    """What a transaction must say of a shard file, read from the file itself."""
    footer = pq.read_metadata(parquet_source(folder / path))
    status = file_status(folder / path)
    return ShardFile(
        path=path,
        size_bytes=status.size_bytes,
        rows=footer.num_rows,
        stats_json=json.dumps(_statistics(footer, table), sort_keys=True),
        modified_ms=status.modified_ms,
    )


def check_shards(
    folder: Location, table: str, shards: Sequence[ShardFile], live: Collection[str]
) -> None:
    """Compare shards that are to be committed with their files: the table library checks nothing.

    Raises:
        ValueError: A file that is live already, is missing, was changed, or is named twice.
    """
    for shard in shards:
        if shard.path in live:
            raise ValueError(f"{table}/{shard.path} is in the table already, under another commit")
        if not is_file(folder / shard.path):
            raise ValueError(f"{table}/{shard.path} is to be committed, but there is no such file")
        if describe(folder, table, shard.path) != shard:
            raise ValueError(f"{table}/{shard.path} was changed since it was written: {shard}")
    if len({shard.path for shard in shards}) != len(shards):
        raise ValueError(f"{table}: a shard is named twice in {[shard.path for shard in shards]}")


def is_named(path: str, name: str) -> bool:
    """Whether a file is that of a shard name; in an object store it has a token behind it."""
    return re.fullmatch(rf"{re.escape(name)}(\.[0-9a-f]{{8}})?\.parquet", path) is not None


def groups_with(file: pq.ParquetFile, column: str, *values: str) -> list[int]:
    """The row groups that may hold one of ``values``, by the bounds in the file's footer."""
    position = file.schema_arrow.get_field_index(column)
    found = []
    for group in range(file.num_row_groups):
        bounds = file.metadata.row_group(group).column(position).statistics
        if any(_may_hold(bounds, value) for value in values):
            found.append(group)
    return found


def _write_to_disk(folder: Path, table: str, groups: Iterable[pa.Table], name: str) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{name}.{os.getpid()}.{secrets.token_hex(4)}.tmp"
    final = folder / f"{name}.parquet"
    try:
        _write_groups(temporary, table, groups)
        fault_point("shard.written")
        sync(temporary)
        fault_point("shard.synced")
        temporary.replace(final)
        fault_point("shard.renamed")
        sync(folder)
    finally:
        temporary.unlink(missing_ok=True)
    return final.name


def _write_to_store(folder: ObjectPath, table: str, groups: Iterable[pa.Table], name: str) -> str:
    """Nothing can be locked there: a name of its own, so that no attempt replaces another's."""
    final = folder / f"{name}.{secrets.token_hex(4)}.parquet"
    with tempfile.TemporaryDirectory(prefix="shard-", dir=scratch_folder()) as place:
        temporary = Path(place) / "rows.parquet"
        _write_groups(temporary, table, groups)
        fault_point("shard.written")
        put_object(final, temporary)
        fault_point("shard.renamed")
    return final.name


def _write_groups(path: Path, table: str, groups: Iterable[pa.Table]) -> None:
    schema = table_schema(table)
    scalars = [f.name for f in schema if f.name not in MEDIA_COLUMNS and not _is_list(f.type)]
    leaves = [f"{f.name}.list.element" if _is_list(f.type) else f.name for f in schema]
    count = 0
    with pq.ParquetWriter(
        path,
        schema,
        compression={  # pyright: ignore[reportArgumentType]
            leaf: "NONE" if leaf in MEDIA_COLUMNS else "ZSTD" for leaf in leaves
        },
        use_dictionary=[] if _has_media(table) else scalars,  # pyright: ignore[reportArgumentType]
        write_statistics=scalars,  # pyright: ignore[reportArgumentType]
        write_page_checksum=True,  # a decoder does not notice every flipped bit
    ) as writer:
        fault_point("shard.opened")
        for group in groups:
            writer.write_table(group)
            fault_point("shard.group_written")
            count += group.num_rows
    if count == 0:
        raise ValueError(f"a shard of {table} needs at least one row, got none")


def _has_media(table: str) -> bool:
    return any(name in MEDIA_COLUMNS for name in table_schema(table).names)


def _with_all_columns(rows: pa.Table, table: str) -> pa.Table:
    schema = table_schema(table)
    columns = [
        rows.column(field.name).cast(field.type)
        if field.name in rows.column_names
        else pa.nulls(rows.num_rows, field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind)


def _batches(
    rows: Iterable[Mapping[str, object]], size: int
) -> Iterator[Sequence[Mapping[str, object]]]:
    iterator = iter(rows)
    while batch := list(itertools.islice(iterator, size)):
        yield batch


def _arrow_rows(rows: Sequence[Mapping[str, object]], table: str) -> pa.Table:
    schema = table_schema(table)
    now = datetime.now(UTC)
    for row in rows:
        unknown = sorted(set(row) - set(schema.names))
        if unknown:
            raise ValueError(f"{table} has no column {unknown[0]!r}; it has {schema.names}")
        for needed in (KEYS[table], "recipe"):
            if not isinstance(row.get(needed), str) or not row[needed]:
                raise ValueError(f"a row of {table} needs {needed!r}, got {row.get(needed)!r}")
    columns = []
    for field in schema:
        default = now if field.name == "created_at" else None
        values = [row.get(field.name, default) for row in rows]
        try:
            columns.append(pa.array(values, type=field.type))
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
            raise ValueError(
                f"column {field.name!r} of {table} is {field.type}: {error}"
            ) from error
    return pa.Table.from_arrays(columns, schema=schema)


def _statistics(footer: pq.FileMetaData, table: str) -> dict[str, object]:
    """Bounds of the key and the recipe over all row groups; readers skip files by them."""
    bounds: dict[str, dict[str, object]] = {"minValues": {}, "maxValues": {}, "nullCount": {}}
    names = footer.schema.to_arrow_schema().names
    for column in (KEYS[table], "recipe"):
        position = names.index(column)
        groups = [
            footer.row_group(group).column(position).statistics
            for group in range(footer.num_row_groups)
        ]
        if all(group is not None and group.has_min_max for group in groups):
            bounds["minValues"][column] = min(group.min for group in groups)
            bounds["maxValues"][column] = max(group.max for group in groups)
            bounds["nullCount"][column] = 0
    return {"numRecords": footer.num_rows, **bounds}


def _may_hold(statistics: pq.Statistics | None, value: str) -> bool:
    if statistics is None or not statistics.has_min_max:
        return True
    return statistics.min <= value <= statistics.max

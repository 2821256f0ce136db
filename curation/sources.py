"""The source manifest: which videos to fetch, from where, and what may be done with them."""

from __future__ import annotations

import csv
import difflib
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

REQUIRED_COLUMNS = ("source_id", "platform", "licence", "consent")
PLACE_COLUMNS = ("url", "path")  # at least one of them
OPTIONAL_COLUMNS = ("start_seconds", "end_seconds")
COLUMNS = (*REQUIRED_COLUMNS, *PLACE_COLUMNS, *OPTIONAL_COLUMNS)

_SAFE_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_MAX_TEXT = 4096

Row = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One row of a manifest; exactly one of ``url`` and ``path`` is set."""

    source_id: str
    url: str | None = None
    path: str | None = None  # absolute: a relative one is taken from the manifest's folder
    platform: str = ""  # empty: told from the URL's host
    licence: str
    consent: str
    start_seconds: float | None = None
    end_seconds: float | None = None

    def as_item(self) -> dict[str, object]:
        """The row as the fetch stage takes it."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class BadRow:
    """A row that cannot be fetched, and why; it becomes a rejected outcome."""

    source_id: str  # the row's own where it is safe and not taken, else "row-7"
    reason: str
    message: str


def read_manifest(path: Path) -> tuple[list[Source], list[BadRow]]:
    """Read a manifest: CSV, JSON Lines or Parquet, told by its suffix.

    Raises:
        ValueError: The file is missing, of another kind or unreadable, or a column is missing or
            unknown: the message names the file, the column and the nearest name.
    """
    if not path.is_file():
        raise ValueError(f"There is no manifest {path}")
    columns, rows = _read(path)
    _check_columns(path, columns)
    sources: list[Source] = []
    bad: list[BadRow] = []
    taken: set[str] = set()
    for number, row in enumerate(rows, start=1):
        result = row if isinstance(row, _Unreadable) else _source(row, path.parent, taken)
        if isinstance(result, Source):
            sources.append(result)
            taken.add(result.source_id)
        else:
            bad.append(_bad_row(result, row, number, taken))
    return sources, bad


@dataclass(frozen=True, slots=True)
class _Unreadable:
    reason: str
    message: str


def _read(path: Path) -> tuple[Sequence[str], Iterable[Row | _Unreadable]]:
    readers = {".csv": _read_csv, ".jsonl": _read_json, ".ndjson": _read_json}
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return _read_parquet(path)
    if suffix not in readers:
        raise ValueError(f"a manifest is .csv, .jsonl, .ndjson or .parquet; got {path}")
    try:
        return readers[suffix](path)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text: {error}") from error


def _read_csv(path: Path) -> tuple[Sequence[str], list[Row | _Unreadable]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        try:
            columns = [name.strip() for name in next(reader, [])]
        except csv.Error as error:
            raise ValueError(f"{path} has no readable header: {error}") from error
        return columns, list(_csv_rows(reader, columns))


def _csv_rows(reader: Iterator[list[str]], columns: Sequence[str]) -> Iterator[Row | _Unreadable]:
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:  # e.g. a field of megabytes; the next row is readable again
            yield _Unreadable("manifest.unreadable", f"the row cannot be read: {error}")
            continue
        if not cells:
            continue
        if len(cells) != len(columns):
            yield _Unreadable(
                "manifest.cells", f"the row has {len(cells)} cells, the header {len(columns)}"
            )
        else:
            yield dict(zip(columns, cells, strict=True))


def _read_json(path: Path) -> tuple[Sequence[str], list[Row | _Unreadable]]:
    rows: list[Row | _Unreadable] = []
    columns: dict[str, None] = {}
    for line in path.read_text(encoding="utf-8-sig").split("\n"):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            rows.append(_Unreadable("manifest.json", f"the line is not JSON: {error}"))
            continue
        if isinstance(row, dict):
            columns.update(dict.fromkeys(row))
            rows.append(row)
        else:
            rows.append(_Unreadable("manifest.json", "the line is not a JSON object"))
    return list(columns), rows


def _read_parquet(path: Path) -> tuple[Sequence[str], list[Row | _Unreadable]]:
    try:
        with pq.ParquetFile(path) as file:
            return file.schema_arrow.names, file.read().to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path} is not a readable Parquet file: {error}") from error


def _check_columns(path: Path, columns: Sequence[str]) -> None:
    for column in columns:
        if column not in COLUMNS:
            raise ValueError(
                f"{path}: unknown column {column!r}{_nearest(column, COLUMNS)}; "
                f"a manifest has {', '.join(COLUMNS)}"
            )
        if columns.count(column) > 1:
            raise ValueError(f"{path}: column {column!r} is there twice")
    for column in REQUIRED_COLUMNS:
        if column not in columns:
            raise ValueError(f"{path}: column {column!r} is missing; it has {', '.join(columns)}")
    if not set(PLACE_COLUMNS) & set(columns):
        raise ValueError(
            f"{path}: a column 'url' or 'path' is missing; it has {', '.join(columns)}"
        )


def _nearest(column: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(column.strip().lower(), names, n=1, cutoff=0.5)
    return f", did you mean {near[0]!r}?" if near else ""


def _source(row: Row, folder: Path, taken: set[str]) -> Source | _Unreadable:
    """The checked row, or what is wrong with it first."""
    texts: dict[str, str] = {}
    for column in (*REQUIRED_COLUMNS, *PLACE_COLUMNS):
        value = row.get(column)
        if value is not None and not isinstance(value, str):
            return _Unreadable(f"manifest.{column}", f"{column} must be text, got {value!r:.100}")
        texts[column] = (value or "").strip()
        if len(texts[column]) > _MAX_TEXT or _CONTROL.search(texts[column]):
            return _Unreadable(
                f"manifest.{column}", f"{column} has control characters or over {_MAX_TEXT} letters"
            )
    problem = _problem(texts, taken)
    if problem is not None:
        return problem
    span = _span(row)
    if isinstance(span, _Unreadable):
        return span
    path = str((folder / texts["path"]).resolve()) if texts["path"] else None
    return Source(
        source_id=texts["source_id"],
        url=texts["url"] or None,
        path=path,
        platform=texts["platform"].lower(),
        licence=texts["licence"],
        consent=texts["consent"],
        start_seconds=span[0],
        end_seconds=span[1],
    )


def _problem(texts: Mapping[str, str], taken: set[str]) -> _Unreadable | None:
    source_id = texts["source_id"]
    if not _is_safe(source_id):
        return _Unreadable(
            "manifest.source_id",
            "source_id is 1 to 128 letters, digits, '.', '_' and '-', not only dots; "
            f"got {source_id[:100]!r}",
        )
    if source_id in taken:
        return _Unreadable("manifest.duplicate", f"source_id {source_id!r} came before")
    if bool(texts["url"]) == bool(texts["path"]):
        return _Unreadable("manifest.place", "a row needs a url or a path, and not both")
    for column in ("licence", "consent"):
        if not texts[column]:
            return _Unreadable(
                f"manifest.{column}", f"{column} is empty; write 'unknown' where it is not known"
            )
    return None


def _is_safe(source_id: str) -> bool:
    return bool(_SAFE_ID.fullmatch(source_id)) and bool(source_id.strip("."))


def _span(row: Row) -> tuple[float | None, float | None] | _Unreadable:
    seconds: list[float | None] = []
    for column in OPTIONAL_COLUMNS:
        value = row.get(column)
        if value is None or value == "":
            seconds.append(None)
            continue
        try:
            plain = isinstance(value, str | int | float) and not isinstance(value, bool)
            number = float(str(value)) if plain else math.nan
        except (ValueError, OverflowError):
            number = math.nan
        if not 0 <= number < math.inf:
            return _Unreadable(
                "manifest.span", f"{column} must be seconds from 0, got {value!r:.50}"
            )
        seconds.append(number)
    start, end = seconds
    if end is not None and end <= (start or 0.0):
        return _Unreadable(
            "manifest.span", f"end_seconds {end} is not after the start {start or 0}"
        )
    return start, end


def _bad_row(problem: _Unreadable, row: Row | _Unreadable, number: int, taken: set[str]) -> BadRow:
    own = row.get("source_id") if not isinstance(row, _Unreadable) else None
    usable = isinstance(own, str) and _is_safe(own.strip()) and own.strip() not in taken
    name = own.strip() if usable and isinstance(own, str) else f"row-{number}"
    taken.add(name)
    return BadRow(source_id=name, reason=problem.reason, message=f"row {number}: {problem.message}")

"""The rows of a manifest file as they stand there, unchecked."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

Row = Mapping[str, object]

FOLDER_COLUMNS = ("source_id", "path", "platform", "licence", "consent")
_VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".3gp", ".mkv", ".webm", ".avi", ".flv", ".gif", ".wmv", ".ogv"}
    | {".ts", ".mts", ".m2ts", ".mpg", ".mpeg"}
)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A row that cannot be used: a reason that can be counted, and words."""

    reason: str
    message: str


def read_rows(path: Path) -> tuple[Sequence[str], Iterable[Row | Unreadable]]:
    """The columns and rows of a manifest: CSV, JSON Lines or Parquet, or a folder of videos.

    Raises:
        ValueError: The file is missing, of another kind or unreadable.
    """
    if path.is_dir():
        return FOLDER_COLUMNS, list(_folder_rows(path))
    if not path.is_file():
        raise ValueError(f"There is no manifest {path}")
    readers = {".csv": _read_csv, ".jsonl": _read_json, ".ndjson": _read_json}
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return _read_parquet(path)
    if suffix not in readers:
        raise ValueError(f"a manifest is a folder, .csv, .jsonl, .ndjson or .parquet; got {path}")
    try:
        return readers[suffix](path)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text: {error}") from error


def _read_csv(path: Path) -> tuple[Sequence[str], list[Row | Unreadable]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        try:
            columns = [name.strip() for name in next(reader, [])]
        except csv.Error as error:
            raise ValueError(f"{path} has no readable header: {error}") from error
        return columns, list(_csv_rows(reader, columns))


def _csv_rows(reader: Iterator[list[str]], columns: Sequence[str]) -> Iterator[Row | Unreadable]:
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:  # e.g. a field of megabytes; the next row is readable again
            yield Unreadable("manifest.unreadable", f"the row cannot be read: {error}")
            continue
        if not cells:
            continue
        if len(cells) != len(columns):
            yield Unreadable(
                "manifest.cells", f"the row has {len(cells)} cells, the header {len(columns)}"
            )
        else:
            yield dict(zip(columns, cells, strict=True))


def _read_json(path: Path) -> tuple[Sequence[str], list[Row | Unreadable]]:
    rows: list[Row | Unreadable] = []
    columns: dict[str, None] = {}
    for line in path.read_text(encoding="utf-8-sig").split("\n"):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            rows.append(Unreadable("manifest.json", f"the line is not JSON: {error}"))
            continue
        if isinstance(row, dict):
            columns.update(dict.fromkeys(row))
            rows.append(row)
        else:
            rows.append(Unreadable("manifest.json", "the line is not a JSON object"))
    return list(columns), rows


def _read_parquet(path: Path) -> tuple[Sequence[str], list[Row | Unreadable]]:
    try:
        with pq.ParquetFile(path) as file:
            return file.schema_arrow.names, file.read().to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path} is not a readable Parquet file: {error}") from error


def _folder_rows(folder: Path) -> Iterator[Row]:
    """Every video below a folder; its id is its name and a digest of where it lies."""
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in _VIDEO_SUFFIXES or not path.is_file():
            continue
        place = path.relative_to(folder).as_posix()
        name = re.sub(r"[^A-Za-z0-9_-]+", "-", path.stem)[:80]
        digest = hashlib.sha256(place.encode("utf-8", "surrogateescape")).hexdigest()[:8]
        source_id = f"{name.strip('-') or 'video'}-{digest}"
        # Nobody said what may be done with them.
        cells = (source_id, str(path), "local", "unknown", "unknown")
        yield dict(zip(FOLDER_COLUMNS, cells, strict=True))

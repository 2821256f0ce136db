"""The source manifest: which videos to fetch, from where, and what may be done with them."""

from __future__ import annotations

import difflib
import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from curation.fetching.manifest_files import Row, Unreadable, read_rows
from curation.fetching.metadata import harmless_text
from curation.fetching.object_stores import is_object
from curation.fetching.source_extras import LABEL_COLUMN, read_extras

REQUIRED_COLUMNS = ("source_id", "platform", "licence", "consent")
PLACE_COLUMNS = ("url", "path")  # at least one of them
SPAN_COLUMNS = ("start_seconds", "end_seconds")
OPTIONAL_COLUMNS = (*SPAN_COLUMNS, "headers")
COLUMNS = (*REQUIRED_COLUMNS, *PLACE_COLUMNS, *OPTIONAL_COLUMNS)

_SAFE_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SAFE_PLATFORM = re.compile(r"[a-z0-9._-]{0,64}")
_MAX_PLACE = 4096
_MAX_TEXT = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One row of a manifest; exactly one of ``url`` and ``path`` is set."""

    source_id: str
    url: str | None = None
    path: str | None = None  # absolute (relative ones are the manifest's folder's), or s3://...
    platform: str = ""  # empty: told from the URL's host
    licence: str
    consent: str
    start_seconds: float | None = None
    end_seconds: float | None = None
    headers: str = "{}"  # JSON object: harmless headers to send along
    labels: str = "{}"  # JSON object of the columns label_*

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
    """Read a manifest: CSV, JSON Lines or Parquet, told by its suffix, or a folder of videos.

    Raises:
        ValueError: The file is missing, of another kind or unreadable, or a column is missing or
            unknown: the message names the file, the column and the nearest name.
    """
    columns, rows = read_rows(path)
    _check_columns(path, columns)
    sources: list[Source] = []
    bad: list[BadRow] = []
    taken: set[str] = set()
    for number, row in enumerate(rows, start=1):
        result = row if isinstance(row, Unreadable) else _source(row, path.parent, taken)
        if isinstance(result, Source):
            sources.append(result)
            taken.add(result.source_id)
        else:
            bad.append(_bad_row(result, row, number, taken))
    return sources, bad


def _check_columns(path: Path, columns: Sequence[str]) -> None:
    for column in columns:
        if column not in COLUMNS and not LABEL_COLUMN.fullmatch(column):
            raise ValueError(
                f"{path}: unknown column {column!r}{_nearest(column, COLUMNS)}; "
                f"a manifest has {', '.join(COLUMNS)} and label_*"
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


def _source(row: Row, folder: Path, taken: set[str]) -> Source | Unreadable:
    """The checked row, or what is wrong with it first."""
    texts: dict[str, str] = {}
    for column in (*REQUIRED_COLUMNS, *PLACE_COLUMNS):
        value, most = row.get(column), _MAX_PLACE if column in PLACE_COLUMNS else _MAX_TEXT
        if value is not None and not isinstance(value, str):
            return Unreadable(f"manifest.{column}", f"{column} must be text, got {value!r:.100}")
        texts[column] = (value or "").strip()
        if len(texts[column]) > most or _CONTROL.search(texts[column]):
            return Unreadable(
                f"manifest.{column}", f"{column} has control characters or over {most} letters"
            )
    problem = _problem(texts, taken)
    if problem is not None:
        return problem
    span, extras = _span(row), read_extras(row)
    if isinstance(span, Unreadable):
        return span
    if isinstance(extras, Unreadable):
        return extras
    return Source(
        source_id=texts["source_id"],
        url=texts["url"] or None,
        path=_place(folder, texts["path"]),
        platform=texts["platform"].lower(),
        licence=harmless_text(texts["licence"]) or "unknown",
        consent=harmless_text(texts["consent"]) or "unknown",
        start_seconds=span[0],
        end_seconds=span[1],
        headers=json.dumps(extras.headers),
        labels=json.dumps(extras.labels, ensure_ascii=False),
    )


def _place(folder: Path, path: str) -> str | None:
    if not path or is_object(path):
        return path or None
    return os.path.abspath(folder / path)  # links are followed, and judged, where it is read


def _problem(texts: Mapping[str, str], taken: set[str]) -> Unreadable | None:
    source_id = texts["source_id"]
    if not _is_safe(source_id):
        return Unreadable(
            "manifest.source_id",
            "source_id is 1 to 128 letters, digits, '.', '_' and '-', not only dots; "
            f"got {source_id[:100]!r}",
        )
    if source_id in taken:
        return Unreadable("manifest.duplicate", f"source_id {source_id!r} came before")
    if bool(texts["url"]) == bool(texts["path"]):
        return Unreadable("manifest.place", "a row needs a url or a path, and not both")
    if not _SAFE_PLATFORM.fullmatch(texts["platform"].lower()):
        return Unreadable(
            "manifest.platform", "platform is up to 64 letters, digits, '.', '_', '-'"
        )
    for column in ("licence", "consent"):
        if not texts[column]:
            return Unreadable(
                f"manifest.{column}", f"{column} is empty; write 'unknown' where it is not known"
            )
    return None


def _is_safe(source_id: str) -> bool:
    return bool(_SAFE_ID.fullmatch(source_id)) and bool(source_id.strip("."))


def _span(row: Row) -> tuple[float | None, float | None] | Unreadable:
    seconds: list[float | None] = []
    for column in SPAN_COLUMNS:
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
            return Unreadable(
                "manifest.span", f"{column} must be seconds from 0, got {value!r:.50}"
            )
        seconds.append(number)
    start, end = seconds
    if end is not None and end <= (start or 0.0):
        return Unreadable("manifest.span", f"end_seconds {end} is not after the start {start or 0}")
    return start, end


def _bad_row(problem: Unreadable, row: Row | Unreadable, number: int, taken: set[str]) -> BadRow:
    own = row.get("source_id") if not isinstance(row, Unreadable) else None
    usable = isinstance(own, str) and _is_safe(own.strip()) and own.strip() not in taken
    name = own.strip() if usable and isinstance(own, str) else f"row-{number}"
    taken.add(name)
    return BadRow(source_id=name, reason=problem.reason, message=f"row {number}: {problem.message}")

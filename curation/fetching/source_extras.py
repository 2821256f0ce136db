"""The columns of a manifest that go along with a source: headers to send, labels to keep."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from curation.fetching.manifest_files import Unreadable
from curation.fetching.metadata import harmless_text

LABEL_COLUMN = re.compile(r"label_[a-z0-9_]{1,40}")
"""Columns of the manifest's own, e.g. ``label_dance_form``."""

_HARMLESS = frozenset({"referer", "user-agent", "accept", "accept-language", "origin"})
_SECRET = frozenset({"cookie", "authorization", "proxy-authorization", "x-api-key"})
_MOST_LETTERS = 1024
_MOST_LABELS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Extras:
    """What goes along with one source."""

    headers: dict[str, str]
    labels: dict[str, str]  # by column


def read_extras(row: Mapping[str, object]) -> Extras | Unreadable:
    """The cell ``headers`` and the cells ``label_*`` of a row, or what is wrong with them."""
    headers, labels = _headers(row), _labels(row)
    if isinstance(headers, Unreadable):
        return headers
    if isinstance(labels, Unreadable):
        return labels
    return Extras(headers=headers, labels=labels)


def _headers(row: Mapping[str, object]) -> dict[str, str] | Unreadable:
    """The ``headers`` cell: a JSON object (or an object already) of harmless request headers."""
    value = row.get("headers")
    if value is None or value == "":
        return {}
    try:
        given = json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        return Unreadable("manifest.headers", "headers must be a JSON object of names and texts")
    headers = {str(name): text for name, text in given.items() if text is not None}
    for name, text in headers.items():
        problem = _header_problem(name, text)
        if problem is not None:
            return Unreadable("manifest.headers", problem)
    return headers


def _labels(row: Mapping[str, object]) -> dict[str, str] | Unreadable:
    """The cells of columns ``label_*``, by column; empty ones are left out."""
    labels: dict[str, str] = {}
    for column, value in row.items():
        if not LABEL_COLUMN.fullmatch(column) or value is None or value == "":
            continue
        plain = isinstance(value, str | int | float)
        text = harmless_text(str(value)) if plain else None
        if text is None or len(str(value)) > _MOST_LETTERS // 4:
            reason = f"{column} must be text of up to {_MOST_LETTERS // 4} letters"
            return Unreadable("manifest.label", reason)
        labels[column] = text
    if len(labels) > _MOST_LABELS:
        return Unreadable("manifest.label", f"a row has at most {_MOST_LABELS} labels")
    return labels


def _header_problem(name: str, text: object) -> str | None:
    if name.lower() in _SECRET:
        return (
            f"header {name!r} would put a secret into a manifest; give cookies as a file: "
            "fetch.platforms.NAME.cookies_file"
        )
    if name.lower() not in _HARMLESS:
        return f"header {name[:100]!r} is none of {', '.join(sorted(_HARMLESS))}"
    if not isinstance(text, str) or len(text) > _MOST_LETTERS:
        return f"header {name!r} must be text of up to {_MOST_LETTERS} letters"
    if not text.isascii() or not text.isprintable():
        return f"header {name!r} must be printable ASCII"
    return None

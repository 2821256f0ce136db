"""What a platform says of a video, as harmless text of bounded length."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_MOST_LETTERS = 500
_MOST_TAGS = 50
_UNSEEN = re.compile(  # control characters, and those that turn or hide the text around them
    r"[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]+"
)
_FORMULA_STARTS = ("=", "+", "-", "@")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformMetadata:
    """The columns of ``videos`` that a platform fills; null where it says nothing."""

    title: str | None = None
    uploader_id: str | None = None
    upload_date: str | None = None  # YYYY-MM-DD
    platform_licence: str | None = None  # the manifest's own ``licence`` is the one that counts
    platform_duration_seconds: float | None = None
    tags: list[str] | None = None
    video_id: str | None = None


def platform_metadata(info: Mapping[str, Any]) -> PlatformMetadata:
    """The metadata in an extractor's result, whatever types the platform's page put there."""
    tags = info.get("tags")
    texts = [harmless_text(tag) for tag in tags[:_MOST_TAGS]] if isinstance(tags, list) else []
    return PlatformMetadata(
        title=harmless_text(info.get("title")),
        uploader_id=harmless_text(info.get("uploader_id") or info.get("channel_id")),
        upload_date=_date(info.get("upload_date")),
        platform_licence=harmless_text(info.get("license")),
        platform_duration_seconds=_seconds(info.get("duration")),
        tags=[text for text in texts if text] or None,
        video_id=harmless_text(info.get("id")),
    )


def harmless_text(value: object) -> str | None:
    """Text for a table that people open in spreadsheets; None for what is no text, or empty.

    Characters that one cannot see become blanks, and what a spreadsheet would take for a formula
    gets an apostrophe in front (OWASP, "CSV Injection").
    """
    if not isinstance(value, str | int) or isinstance(value, bool):
        return None
    text = " ".join(_UNSEEN.sub(" ", str(value)[: 4 * _MOST_LETTERS]).split())[:_MOST_LETTERS]
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text or None


def _date(value: object) -> str | None:
    text = str(value)
    return f"{text[:4]}-{text[4:6]}-{text[6:]}" if re.fullmatch(r"[0-9]{8}", text) else None


def _seconds(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < math.inf else None

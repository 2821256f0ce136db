"""Going on with a download where it stopped: what was there, and whether it still fits.

Beside a file that is being downloaded lies a note of the version that it is of: the server's strong
``ETag``, or the time of its last change. The rest is asked for on the condition that the version is
still that one (``Range`` with ``If-Range``, RFC 9110, 13.1.5 and 14.2).
"""

from __future__ import annotations

import hashlib
import http.client
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How much of which version of a URL's content is there."""

    url_sha256: str
    validator: str = ""  # of the version; empty: nothing can be gone on with
    offset: int = 0

    @property
    def headers(self) -> dict[str, str]:
        """What asks for the rest, or for everything."""
        if not self.offset:
            return {}
        return {"Range": f"bytes={self.offset}-", "If-Range": self.validator}


def load_progress(target: Path, url: str) -> Progress:
    """What an earlier download of this URL left at ``target``; none where the two do not fit."""
    digest = hashlib.sha256(url.encode()).hexdigest()
    nothing = Progress(url_sha256=digest)
    note = _note(target)
    if not target.is_file() or not note.is_file():
        return nothing
    try:
        told = json.loads(note.read_text("utf-8"))
        validator, url_sha256 = str(told["validator"]), str(told["url_sha256"])
    except (ValueError, KeyError, TypeError):  # cut off when its writer was killed
        return nothing
    if url_sha256 != digest or not validator:
        return nothing
    return Progress(url_sha256=digest, validator=validator, offset=target.stat().st_size)


def begin(target: Path, progress: Progress, response: http.client.HTTPResponse) -> None:
    """Empty ``target`` and note the version that now comes; in this order, for who is killed."""
    _note(target).unlink(missing_ok=True)
    target.write_bytes(b"")
    validator = _validator(response)
    if validator:
        note = asdict(Progress(url_sha256=progress.url_sha256, validator=validator))
        _note(target).write_text(json.dumps(note), encoding="utf-8")


def forget_progress(target: Path) -> None:
    """Remove the note: what is at ``target`` is whole, or of no use."""
    _note(target).unlink(missing_ok=True)


def continues(response: http.client.HTTPResponse, progress: Progress) -> bool:
    """Whether a 206 response brings exactly the bytes after those that are there, to the end."""
    found = _CONTENT_RANGE.fullmatch((response.getheader("Content-Range") or "").strip())
    if not progress.offset or found is None:
        return False
    first, last, total = int(found[1]), int(found[2]), found[3]
    length = response.length
    return (
        first == progress.offset
        and (total == "*" or last + 1 == int(total))
        and (length is None or length == last + 1 - first)
    )


def _validator(response: http.client.HTTPResponse) -> str:
    if (response.getheader("Accept-Ranges") or "").strip().lower() == "none":
        return ""
    tag = (response.getheader("ETag") or "").strip()
    if tag.startswith('"') and tag.isascii() and tag.isprintable():
        return tag  # a weak one, W/"...", says nothing of single bytes
    changed = (response.getheader("Last-Modified") or "").strip()
    return changed if changed.isascii() and changed.isprintable() else ""


def _note(target: Path) -> Path:
    return target.with_name(f"{target.name}.version")

"""Watches what an extractor of a platform does: every request, response and block of bytes."""

from __future__ import annotations

import http.client
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from curation.fetching.addresses import Target, check_public
from curation.fetching.download import Sent, retry_after
from curation.fetching.opt_outs import opted_out
from curation.fetching.turns import Pace
from curation.fetching.urls import without_secrets
from dataset.errors import ItemError

BLOCK_BYTES = 1 << 16
"""What is received between two looks at the budget."""

_ERROR_STATUS = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformLimits:
    """What one download from a platform may be and use."""

    max_bytes: int
    timeout_seconds: float
    total_seconds: float = 1800.0
    max_height: int = 1080
    format: str = ""  # yt-dlp's format selection; empty: the best up to ``max_height``
    sent: Sent = field(default_factory=Sent)
    allow: frozenset[str] = frozenset()  # "address:port" that may be reached though not public


class Guard:
    """Lets one download ask for what it may have, at the pace that it may."""

    def __init__(self, limits: PlatformLimits, pace: Pace) -> None:
        self.refusal: ItemError | None = None
        self._limits, self._pace = limits, pace
        self._deadline = time.monotonic() + limits.total_seconds - pace.waited
        self._received = 0

    def admit(self, url: str) -> Target:
        """Before a request: its address is checked, and a place in the budget waited for."""
        place = check_public(url, allow=self._limits.allow)
        self._pace.before_request()
        return place

    def look(self, url: str, response: http.client.HTTPResponse) -> None:
        """After the head of a response: opt-outs, and how long to stay away."""
        if response.status >= _ERROR_STATUS:
            self._pace.told_to_wait(retry_after(response.headers.get("Retry-After")))
            return
        robots = response.headers.get_all("X-Robots-Tag") or []
        if opted_out(robots):
            response.close()
            message = f"{without_secrets(url)} says X-Robots-Tag: {'; '.join(robots)[:200]}"
            raise ItemError("fetch.opted_out", message, status="rejected")

    def progress(self, told: Mapping[str, Any]) -> None:
        """After every block of a download."""
        size = int(told.get("downloaded_bytes") or 0)
        self._pace.received(max(0, size - self._received))
        self._received = size
        if size > self._limits.max_bytes:
            raise too_large(self._limits.max_bytes)
        if time.monotonic() - self._pace.waited > self._deadline:
            raise ItemError("fetch.timeout", f"not done after {self._limits.total_seconds:.0f} s")
        self._pace.before_bytes(BLOCK_BYTES)


def too_large(most: int) -> ItemError:
    """A download that is over the limit."""
    return ItemError("fetch.too_large", f"more than the limit of {most} bytes", status="rejected")

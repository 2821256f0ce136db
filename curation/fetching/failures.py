"""Which failures pass by themselves, which stay, and which mean that a platform wants a rest."""

from __future__ import annotations

import re
from typing import Literal, get_args

RetryClass = Literal["transient", "permanent", "blocked"]
RETRY_CLASSES: tuple[RetryClass, ...] = get_args(RetryClass)

_TRANSIENT = frozenset(
    {
        "fetch.unreachable",
        "fetch.resolver_failed",
        "fetch.timeout",
        "fetch.truncated",
        "fetch.store_error",
        "fetch.platform_network",
        "fetch.http_408",
        "fetch.http_425",
    }
)
_BLOCKED = frozenset({"fetch.http_412", "fetch.http_429", "fetch.platform_blocked"})
_SAID_BY_PLATFORMS = (
    # what the platform's message holds, and the kind that is counted
    (
        r"http error (?:429|412)|too many requests|captcha|not a bot|rate.?limit",
        "fetch.platform_blocked",
    ),
    (r"http error 5\d\d", "fetch.platform_network"),
    (r"private|members.only|log ?in|sign in|cookies", "fetch.platform_private"),
    (r"not available in your|geo.?restrict|country", "fetch.platform_geo_blocked"),
    (
        r"removed|not exist|unavailable|terminated|http error (?:404|410)|deleted",
        "fetch.platform_removed",
    ),
    (r"unsupported url|no suitable extractor", "fetch.platform_unsupported"),
    (r"timed? ?out", "fetch.timeout"),
    (
        r"connection|temporary failure|incomplete ?read|bytes read|bytes, expected|any data",
        "fetch.platform_network",
    ),
)
_SERVER_ERROR = re.compile(r"fetch\.http_5\d\d")


def retry_class(kind: str) -> RetryClass:
    """The class of a failure, by its kind (``ItemError.kind``, ``outcomes.reason``).

    ``transient`` may be gone at the next try; ``blocked`` says nothing of the one video, but that
    its platform refuses everybody for a while; ``permanent`` is everything else: removed, private,
    opted out, no video, over a limit.
    """
    if kind in _BLOCKED:
        return "blocked"
    if kind in _TRANSIENT or _SERVER_ERROR.fullmatch(kind):
        return "transient"
    return "permanent"


def platform_failure(message: str) -> str:
    """The kind of a failure, by what a platform or yt-dlp says of it."""
    told = re.sub(r"https?://\S+", "", message)  # ports and ids hold numbers that mean nothing
    for pattern, kind in _SAID_BY_PLATFORMS:
        if re.search(pattern, told, re.IGNORECASE):
            return kind
    return "fetch.platform_error"

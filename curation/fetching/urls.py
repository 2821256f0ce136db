"""URLs as they may be shown and stored: without what gives access."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

_SECRET_NAME = re.compile(
    r"sig|token|auth|key|secret|pass|cred|session|expire|policy|hmac|ticket|cookie"
    r"|^x-(?:amz|goog)|wstime",
    re.IGNORECASE,
)
_URL = re.compile(r"https?://[^\s'\"<>]+")


def without_secrets(url: str) -> str:
    """The URL without user, password, and the parameters that are called like signatures.

    Signed links of object stores and of video platforms' servers carry their right to download in
    such parameters. A secret inside the path cannot be told from a name.
    """
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return re.split(r"[?#]", url)[0][:200]
    return SplitResult(
        parts.scheme, host, parts.path, _plain(parts.query), _plain(parts.fragment)
    ).geturl()


def has_secrets(url: str) -> bool:
    """Whether ``without_secrets`` takes something away, so that the rest may not suffice."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return True
    return "@" in parts.netloc or any(
        _plain(text) != text for text in (parts.query, parts.fragment)
    )


def texts_without_secrets(text: str) -> str:
    """A message with every URL in it cleaned."""
    return _URL.sub(lambda match: without_secrets(match[0]), text)


def _plain(parameters: str) -> str:
    pieces = parameters.split("&")
    return "&".join(piece for piece in pieces if not _SECRET_NAME.search(piece.partition("=")[0]))

"""Opt-outs that a server sends with a file: ``X-Robots-Tag: noai`` and its like.

The form is that of Google's "Robots meta tag, data-nosnippet, and X-Robots-Tag specifications":
directives parted by commas, each header perhaps opened by the name of the robot that it is for; the
words ``noai`` and ``noimageai`` are DeviantArt's, who introduced them in 2022.
"""

from __future__ import annotations

from collections.abc import Iterable

ROBOT = "champ-pipeline"
"""Our name in ``User-Agent`` and in opt-outs."""

_OPT_OUTS = ("noai", "noimageai")
_WITH_VALUE = ("unavailable_after", "max-snippet", "max-image-preview", "max-video-preview")


def opted_out(headers: Iterable[str]) -> bool:
    """Whether ``X-Robots-Tag`` headers forbid the use of a file for training, to all or to us.

    Args:
        headers: The value of each such header of one response.
    """
    return any(_forbids(header) for header in headers)


def _forbids(header: str) -> bool:
    addressed = True  # until a robot is named, a header speaks to all
    for piece in header.lower().split(","):
        name, colon, directive = (part.strip() for part in piece.rpartition(":"))
        if colon and name.partition(":")[0].strip() not in _WITH_VALUE:
            addressed = name == ROBOT
        if addressed and directive in _OPT_OUTS:
            return True
    return False

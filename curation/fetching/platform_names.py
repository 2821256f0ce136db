"""Which platform a URL belongs to, and who shares its budget."""

from __future__ import annotations

from urllib.parse import urlsplit

_HOSTS = {
    "youtube.com": "youtube",
    "youtu.be": "youtube",
    "tiktok.com": "tiktok",
    "douyin.com": "tiktok",
    "bilibili.com": "bilibili",
    "b23.tv": "bilibili",
    "xiaohongshu.com": "xiaohongshu",
    "xhslink.com": "xiaohongshu",
}
PLATFORMS = ("youtube", "tiktok", "bilibili", "xiaohongshu")
"""Those whose pages yt-dlp reads."""

DIRECT_PLATFORMS = ("kuaishou",)
"""Those that it does not know: their rows give the address of the video itself."""


def platform_of(url: str, named: str) -> str | None:
    """The platform that a URL belongs to, by its host, or by the manifest's ``platform`` column.

    ``None`` for anything else: a direct link, whatever the column says (Kuaishou's, for instance).
    """
    host = _host(url)
    for known, platform in _HOSTS.items():
        if host == known or host.endswith(f".{known}"):
            return platform
    return named if named in PLATFORMS else None


def budget_name(url: str, named: str) -> str:
    """Whose budget a URL is fetched on: its platform's, else its host's, ``web/HOST``."""
    platform = platform_of(url, named) or (named if named in DIRECT_PLATFORMS else None)
    return platform or f"web/{_host(url)[:253]}"


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return ""

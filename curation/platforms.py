"""Videos of video platforms, through yt-dlp with everything off that runs or opens other things.

Only the extractors of known platforms run, whatever the URL; no configuration files, plug-ins,
external downloaders or FFmpeg; the file's name is ours. Only this file knows yt-dlp.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yt_dlp
import yt_dlp.globals
from yt_dlp.utils import DownloadError, YoutubeDLError

from curation.addresses import check_public
from dataset.errors import ItemError

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
_EXTRACTORS = {
    "youtube": ("youtube",),
    "tiktok": ("tiktok", "vm.tiktok", "douyin"),
    "bilibili": ("bilibili",),
    "xiaohongshu": ("xiaohongshu",),
}
PLATFORMS = tuple(_EXTRACTORS)

_PROTOCOLS = ("http", "https", "m3u8_native", "http_dash_segments")
_FAILURES = (
    # what the platform's message holds, and the kind that is counted
    (r"429|too many requests|captcha|sign in to confirm|412|rate.?limit", "fetch.platform_blocked"),
    (r"private|members.only|login|cookies", "fetch.platform_private"),
    (r"removed|not exist|unavailable|terminated|404|410|deleted", "fetch.platform_removed"),
    (r"not available in your|geo.?restrict|country", "fetch.platform_geo_blocked"),
    (r"unsupported url|no suitable extractor", "fetch.platform_unsupported"),
    (r"larger than max-filesize", "fetch.too_large"),
    (r"timed? ?out", "fetch.timeout"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformLimits:
    """What one download from a platform may be and use."""

    max_bytes: int
    max_height: int
    timeout_seconds: float
    cookies_file: Path | None = None
    allow: frozenset[str] = frozenset()  # "address:port" that may be reached though not public


class _Messages:
    """Keeps yt-dlp's words off the terminal; the last error names the reason."""

    def debug(self, message: str) -> None: ...
    def info(self, message: str) -> None: ...
    def warning(self, message: str) -> None: ...
    def error(self, message: str) -> None: ...


def platform_of(url: str, named: str) -> str | None:
    """The platform that a URL belongs to, by its host, or by the manifest's ``platform`` column.

    ``None`` for anything else: a direct link, whatever the column says (Kuaishou's, for instance).
    """
    host = (urlsplit(url).hostname or "").rstrip(".")
    for known, platform in _HOSTS.items():
        if host == known or host.endswith(f".{known}"):
            return platform
    return named if named in PLATFORMS else None


def download_from_platform(
    url: str, folder: Path, source_id: str, *, platform: str, limits: PlatformLimits
) -> Path:
    """Download one video into ``folder``, named after ``source_id``.

    Raises:
        ItemError: ``fetch.platform_*`` (blocked, private, removed, geo_blocked, unsupported,
            protocol, error), ``fetch.too_large``, ``fetch.timeout``, and what ``check_public``
            raises for the page or for the media address that the platform hands out.
    """
    return run_extractors(url, folder, source_id, extractors=_EXTRACTORS[platform], limits=limits)


def run_extractors(
    url: str, folder: Path, source_id: str, *, extractors: tuple[str, ...], limits: PlatformLimits
) -> Path:
    """``download_from_platform`` for named yt-dlp extractors."""
    check_public(url, allow=limits.allow)
    options = _options(folder, source_id, extractors, limits)
    _refuse_plugins()
    try:
        with yt_dlp.YoutubeDL(options) as downloader:  # pyright: ignore[reportArgumentType]
            _check_requests(downloader, limits)
            info = _single_video(downloader.extract_info(url, download=False))
            _check_media(info, limits)
            downloader.process_ie_result(info, download=True)  # pyright: ignore[reportArgumentType]
    except YoutubeDLError as error:
        raise _platform_error(url, error) from error
    files = sorted(p for p in folder.glob(f"{source_id}.*") if not p.name.endswith(".part"))
    if len(files) != 1:
        # yt-dlp skips a file over max_filesize with a word and no exception
        raise ItemError(
            "fetch.too_large" if not files else "fetch.platform_error",
            f"{url}: {len(files)} files came; the limit is {limits.max_bytes} bytes",
        )
    return files[0]


def _options(
    folder: Path, source_id: str, extractors: tuple[str, ...], limits: PlatformLimits
) -> dict[str, object]:
    height = limits.max_height
    return {
        "allowed_extractors": [re.escape(name) + "(:.*)?" for name in extractors],
        # One file with pictures, no merging: sound is not used.
        "format": f"bv*[height<={height}]/b[height<={height}]/bv*/b",
        "outtmpl": {"default": str(folder / source_id).replace("%", "%%") + ".%(ext)s"},
        "max_filesize": limits.max_bytes,
        "socket_timeout": limits.timeout_seconds,
        "retries": 1,
        "fragment_retries": 2,
        "noplaylist": True,
        "playlist_items": "1:2",  # a second one is enough to refuse a list
        "cookiefile": str(limits.cookies_file) if limits.cookies_file else None,
        "cachedir": False,
        "enable_file_urls": False,
        "external_downloader": {"default": "native"},
        "ffmpeg_location": "/nonexistent",
        "fixup": "never",
        "postprocessors": [],
        "overwrites": True,
        "continuedl": False,
        "updatetime": False,
        "noprogress": True,
        "quiet": True,
        "logger": _Messages(),
    }


def _refuse_plugins() -> None:
    """yt-dlp loads whatever calls itself a plug-in on the path, unless there is no path."""
    yt_dlp.globals.plugin_dirs.value = []


def _check_requests(downloader: yt_dlp.YoutubeDL, limits: PlatformLimits) -> None:
    """Check the address of whatever extractors ask for, too, before they ask.

    Redirects within one request are followed by yt-dlp unchecked: what leads there are the
    platforms' own pages.
    """
    unchecked = downloader.urlopen

    def urlopen(req: Any) -> Any:
        check_public(req if isinstance(req, str) else req.url, allow=limits.allow)
        return unchecked(req)

    downloader.urlopen = urlopen


def _single_video(info: Mapping[str, Any] | None) -> dict[str, Any]:
    """The one video behind a page, which may call itself a list of one."""
    entries = [info] if info else []
    while len(entries) == 1 and entries[0].get("_type", "video") == "playlist":
        entries = [entry for entry in entries[0].get("entries") or () if entry]
    if len(entries) != 1 or entries[0].get("_type", "video") != "video":
        raise ItemError("fetch.platform_unsupported", "the URL leads to no single video")
    return dict(entries[0])


def _check_media(info: Mapping[str, Any], limits: PlatformLimits) -> None:
    """The addresses and protocols that the platform's page hands out are checked like any other."""
    parts = info.get("requested_formats") or info.get("requested_downloads") or [info]
    for part in parts:
        if part.get("protocol") not in _PROTOCOLS:
            raise ItemError("fetch.platform_protocol", f"{part.get('protocol')} is not fetched")
        check_public(str(part.get("url")), allow=limits.allow)


def _platform_error(url: str, error: YoutubeDLError) -> ItemError:
    message = re.sub(r"\x1b\[[0-9;]*m", "", str(error))[:500]
    kind = "fetch.platform_error"
    told = re.sub(r"https?://\S+", "", message)  # ports and ids hold numbers that mean nothing
    for pattern, known in _FAILURES:
        if re.search(pattern, told, re.IGNORECASE):
            kind = known
            break
    if not isinstance(error, DownloadError):
        message = f"{type(error).__name__}: {message}"
    return ItemError(kind, f"{url}: {message}")

"""Videos of video platforms, through yt-dlp with everything off that runs or opens other things.

Only the extractors of known platforms run, whatever the URL; no configuration files, plug-ins,
external downloaders or FFmpeg; the file's name is ours. Every connection that it opens, for pages,
redirects and media alike, goes to an address that was checked and within the budget. Only this file
knows yt-dlp.
"""

from __future__ import annotations

import functools
import hashlib
import re
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

import yt_dlp
import yt_dlp.globals
from yt_dlp.networking._urllib import HTTPHandler, ProxyHandler, RedirectHandler, UrllibRH
from yt_dlp.networking.exceptions import RequestError
from yt_dlp.utils import DownloadError, YoutubeDLError

from curation.fetching.addresses import check_public
from curation.fetching.connections import open_socket
from curation.fetching.download import Sent
from curation.fetching.failures import platform_failure
from curation.fetching.guard import BLOCK_BYTES, Guard, PlatformLimits, too_large
from curation.fetching.metadata import PlatformMetadata, platform_metadata
from curation.fetching.turns import UNHURRIED, Pace
from curation.fetching.urls import texts_without_secrets, without_secrets
from dataset.errors import ItemError

_EXTRACTORS = {
    "youtube": ("youtube",),
    "tiktok": ("tiktok", "vm.tiktok", "douyin"),
    "bilibili": ("bilibili",),
    "xiaohongshu": ("xiaohongshu",),
}
_DISK = re.compile(r"unable to (?:write data|open for writing)")
_PROTOCOLS = ("http", "https", "m3u8_native", "http_dash_segments")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformVideo:
    """A video that has arrived, and what its platform says of it."""

    path: Path
    metadata: PlatformMetadata


def download_from_platform(
    url: str,
    folder: Path,
    source_id: str,
    *,
    platform: str,
    limits: PlatformLimits,
    pace: Pace = UNHURRIED,
) -> PlatformVideo:
    """Download one video into ``folder``, named after ``source_id``; goes on with what is there.

    Raises:
        ItemError: ``fetch.platform_*`` (blocked, private, removed, geo_blocked, unsupported,
            protocol, network, error), ``fetch.too_large``, ``fetch.timeout``,
            ``fetch.opted_out``, and what ``check_public`` raises for any address on the way.
    """
    return run_extractors(
        url, folder, source_id, extractors=_EXTRACTORS[platform], limits=limits, pace=pace
    )


def run_extractors(
    url: str,
    folder: Path,
    source_id: str,
    *,
    extractors: tuple[str, ...],
    limits: PlatformLimits,
    pace: Pace = UNHURRIED,
) -> PlatformVideo:
    """``download_from_platform`` for named yt-dlp extractors."""
    guard = Guard(limits, pace)
    check_public(url, allow=limits.allow)
    options = _options(folder, source_id, extractors, limits)
    options["progress_hooks"] = [guard.progress]
    yt_dlp.globals.plugin_dirs.value = []  # else it imports what calls itself a plug-in on the path
    try:
        with yt_dlp.YoutubeDL(options) as downloader:  # pyright: ignore[reportArgumentType]
            _equip(downloader, guard, limits.sent)
            info = _single_video(downloader.extract_info(url, download=False))
            _check_media(info, limits)
            version = _version(info)
            _drop_other_versions(folder, source_id, version)
            pace.before_bytes(BLOCK_BYTES)
            downloader.process_ie_result(info | {"version": version}, download=True)  # pyright: ignore[reportArgumentType]
    except YoutubeDLError as error:
        raise guard.refusal or _platform_error(url, error) from error
    return PlatformVideo(path=_arrived(url, folder, limits), metadata=platform_metadata(info))


def _options(
    folder: Path, source_id: str, extractors: tuple[str, ...], limits: PlatformLimits
) -> dict[str, object]:
    height = limits.max_height
    # One file with pictures, no merging: sound is not used.
    best = f"bv*[height<=?{height}]/b[height<=?{height}]/wv*/w"
    name = str(folder / source_id).replace("%", "%%")
    return {
        "allowed_extractors": [re.escape(name) + "(:.*)?" for name in extractors],
        "format": limits.format or best,
        "outtmpl": {"default": f"{name}.%(version)s.%(ext)s"},
        "max_filesize": limits.max_bytes,
        "socket_timeout": limits.timeout_seconds,
        "http_headers": dict(limits.sent.headers),
        "proxy": limits.sent.proxy,  # empty: none, whatever the environment says
        "retries": 0,
        "fragment_retries": 1,
        "extractor_retries": 0,
        "noplaylist": True,
        "playlist_items": "1:2",  # a second one is enough to refuse a list
        "cachedir": False,
        "enable_file_urls": False,
        "external_downloader": {"default": "native"},
        "ffmpeg_location": "/nonexistent",
        "js_runtimes": {},  # a program on the path that would run a platform's scripts
        "fixup": "never",
        "postprocessors": [],
        "overwrites": False,
        "continuedl": True,
        "updatetime": False,
        "buffersize": BLOCK_BYTES,
        "noresizebuffer": True,
        "noprogress": True,
        "quiet": True,
        "logger": _Messages(),
    }


class _Messages:
    """Keeps yt-dlp's words off the terminal; the last error names the reason."""

    def debug(self, message: str) -> None: ...
    def info(self, message: str) -> None: ...
    def warning(self, message: str) -> None: ...
    def error(self, message: str) -> None: ...


class _GuardedHandler(HTTPHandler):
    """Opens every connection of yt-dlp, also after a redirect, to a checked address."""

    def __init__(self, guard: Guard, *, proxied: bool, **settings: Any) -> None:
        super().__init__(**settings)
        self._guard, self._proxied = guard, proxied

    def do_open(self, http_class: Any, req: Any, **settings: Any) -> Any:
        url = req.get_full_url()
        place = self._asked(self._guard.admit, url)

        def connection(host: str, **given: Any) -> Any:
            made = http_class(host, **given)
            if not self._proxied:  # then the proxy is what is connected to
                made._create_connection = lambda _to, timeout, *_: open_socket(place, timeout)
            return made

        response = super().do_open(connection, req, **settings)
        self._asked(self._guard.look, url, response)
        return response

    def _asked(self, check: Callable[..., Any], *what: Any) -> Any:
        """yt-dlp passes on its own exceptions alone: the guard keeps the reason."""
        try:
            return check(*what)
        except ItemError as error:
            self._guard.refusal = error
            raise RequestError(str(error)) from error


class _GuardedRH(UrllibRH):
    """yt-dlp's own network, without FTP, files and data URLs, and guarded."""

    def __init__(self, *, guard: Guard, proxied: bool, **settings: Any) -> None:
        super().__init__(**settings)
        self._guard, self._proxied = guard, proxied

    def _create_instance(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, proxies: Any, cookiejar: CookieJar, legacy_ssl_support: Any = None
    ) -> urllib.request.OpenerDirector:
        opener = urllib.request.OpenerDirector()
        context = self._make_sslcontext(legacy_ssl_support=legacy_ssl_support)
        for handler in (
            ProxyHandler(proxies),
            _GuardedHandler(self._guard, proxied=self._proxied, context=context),
            urllib.request.HTTPCookieProcessor(cookiejar),
            urllib.request.UnknownHandler(),
            urllib.request.HTTPDefaultErrorHandler(),
            urllib.request.HTTPErrorProcessor(),
            RedirectHandler(),
        ):
            opener.add_handler(handler)
        opener.addheaders = []
        return opener


def _equip(downloader: yt_dlp.YoutubeDL, guard: Guard, sent: Sent) -> None:
    """Give it our network, and cookies in memory: from a file it would write them back."""
    for cookie in sent.cookies or ():
        downloader.cookiejar.set_cookie(cookie)
    network: Any = functools.partial(_GuardedRH, guard=guard, proxied=bool(sent.proxy))
    downloader.__dict__["_request_director"] = downloader.build_request_director([network])


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


def _version(info: Mapping[str, Any]) -> str:
    """A name for the very file that was chosen: bytes of another one must not be gone on with."""
    told = [str(info.get(name)) for name in ("id", "format_id", "filesize", "ext")]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]


def _drop_other_versions(folder: Path, source_id: str, version: str) -> None:
    for path in folder.iterdir():
        if not path.name.startswith(f"{source_id}.{version}."):
            path.unlink()


def _arrived(url: str, folder: Path, limits: PlatformLimits) -> Path:
    files = [path for path in folder.iterdir() if path.suffix not in (".part", ".ytdl")]
    if not files:  # yt-dlp skips a file over max_filesize with a word and no exception
        raise too_large(limits.max_bytes)
    if len(files) > 1:
        raise ItemError("fetch.platform_error", f"{without_secrets(url)}: {len(files)} files came")
    return files[0]


def _platform_error(url: str, error: YoutubeDLError) -> ItemError:
    if _DISK.search(str(error)):
        raise OSError(str(error)) from error  # nothing is wrong with the video
    message = texts_without_secrets(re.sub(r"\x1b\[[0-9;]*m", "", str(error)))[:500]
    kind = platform_failure(message)
    if not isinstance(error, DownloadError):
        message = f"{type(error).__name__}: {message}"
    return ItemError(kind, f"{without_secrets(url)}: {message}")

"""Downloading one file over http(s) from the public internet, and from nowhere else."""

from __future__ import annotations

import contextlib
import email.utils
import http.client
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.parse import quote, urljoin

from curation.fetching.addresses import Target, check_public
from curation.fetching.connections import connect, network_error
from curation.fetching.cookies import cookie_header
from curation.fetching.opt_outs import ROBOT, opted_out
from curation.fetching.resume import Progress, begin, continues, forget_progress, load_progress
from curation.fetching.turns import UNHURRIED, Pace
from curation.fetching.urls import without_secrets
from dataset.errors import ItemError
from dataset.fingerprint import file_sha256

_CHUNK_BYTES = 1 << 18
_REDIRECTS = (301, 302, 303, 307, 308)
_NO_SUCH_REST = (http.client.PARTIAL_CONTENT, http.client.REQUESTED_RANGE_NOT_SATISFIABLE)
_PATH_CHARACTERS = "/%:=&?~#+!$,;'@()*[]"
_AGENT = f"{ROBOT} (research data collection)"
_LONGEST_RETRY_AFTER = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadLimits:
    """What one download may cost, and where it may go."""

    max_bytes: int
    timeout_seconds: float  # without any progress
    total_seconds: float  # for the whole download, however slowly it trickles; waiting apart
    max_redirects: int = 5
    allow: frozenset[str] = frozenset()  # "address:port" that may be reached though not public


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What goes along with the requests of one download, and through where."""

    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: CookieJar | None = None
    proxy: str = ""  # http://[user:password@]host:port


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """A file that has arrived whole."""

    url: str  # after redirects
    content_type: str
    size_bytes: int
    sha256: str


class _StaleError(Exception):
    """The bytes that are there do not fit the file any more."""


def download(
    url: str,
    target: Path,
    limits: DownloadLimits,
    *,
    sent: Sent | None = None,
    pace: Pace = UNHURRIED,
) -> Download:
    """Fetch a URL into ``target``, checking the address at every redirect.

    The connection goes to the very address that was checked. A download that was cut off goes on
    where it stopped if the server can tell that the file is still the same, else begins anew; the
    hash is of the file as it then lies there. ``target`` stays after a failure.

    Raises:
        ItemError: What ``check_public`` raises, ``fetch.unreachable``, ``fetch.timeout``,
            ``fetch.tls``, ``fetch.redirects``, ``fetch.http_404`` (any status),
            ``fetch.opted_out``, ``fetch.too_large``, ``fetch.encoding``, ``fetch.truncated``.
    """
    one = _One(target, limits, sent or Sent(), pace)
    progress = load_progress(target, url)
    try:
        return one.fetch(url, progress)
    except _StaleError:
        forget_progress(target)
        return one.fetch(url, Progress(url_sha256=progress.url_sha256))


def retry_after(value: str | None) -> float:
    """The seconds of a ``Retry-After`` header, a number or a date; 0 where it is neither."""
    text = (value or "").strip()
    if text.isdecimal() and text.isascii():
        return min(float(text[:9]), _LONGEST_RETRY_AFTER)
    try:
        until = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    seconds = (until - datetime.now(UTC)).total_seconds()
    return min(max(seconds, 0.0), _LONGEST_RETRY_AFTER)


class _One:
    """One download: where it goes, what it may cost."""

    def __init__(self, target: Path, limits: DownloadLimits, sent: Sent, pace: Pace) -> None:
        self._target, self._limits, self._sent, self._pace = target, limits, sent, pace
        self._deadline = time.monotonic() + limits.total_seconds - pace.waited

    def fetch(self, url: str, progress: Progress) -> Download:
        limits = self._limits
        for _ in range(limits.max_redirects + 1):
            place = check_public(url, allow=limits.allow)
            self._pace.before_request()
            opened = connect(place, timeout_seconds=limits.timeout_seconds, proxy=self._sent.proxy)
            with (
                contextlib.closing(opened) as connection,
                self._request(connection, place, url, progress) as response,
            ):
                if response.status not in _REDIRECTS:
                    return self._save(response, url, progress)
                url = _redirected(url, response)
        raise ItemError(
            "fetch.redirects", f"{without_secrets(url)}: more than {limits.max_redirects} redirects"
        )

    def _request(
        self, connection: http.client.HTTPConnection, place: Target, url: str, progress: Progress
    ) -> http.client.HTTPResponse:
        headers = {"User-Agent": _AGENT, "Accept": "*/*"}
        headers |= {name.title(): text for name, text in self._sent.headers.items()}
        headers |= {"Accept-Encoding": "identity", **progress.headers}
        headers |= cookie_header(self._sent.cookies, url)
        path = quote(place.request_path, safe=_PATH_CHARACTERS)
        try:
            connection.request("GET", path, headers=headers)
            return connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise network_error(url, error) from error

    def _save(self, response: http.client.HTTPResponse, url: str, progress: Progress) -> Download:
        offset = self._offset(response, progress)
        self._check(response, without_secrets(url), offset)
        if not offset:
            begin(self._target, progress, response)
        size = self._receive(response, url, offset)
        forget_progress(self._target)
        return Download(
            url=url,
            content_type=response.getheader("Content-Type") or "",
            size_bytes=size,
            sha256=file_sha256(self._target),
        )

    def _offset(self, response: http.client.HTTPResponse, progress: Progress) -> int:
        """Where the body goes on: after the bytes that are there, or at the beginning."""
        if not progress.offset:
            return 0
        if response.status == http.client.PARTIAL_CONTENT and continues(response, progress):
            return progress.offset
        if response.status in _NO_SUCH_REST:
            raise _StaleError
        return 0

    def _check(self, response: http.client.HTTPResponse, shown: str, offset: int) -> None:
        if response.status != (http.client.PARTIAL_CONTENT if offset else http.client.OK):
            self._pace.told_to_wait(retry_after(response.getheader("Retry-After")))
            raise ItemError(f"fetch.http_{response.status}", f"{shown}: {response.reason[:200]}")
        robots = response.headers.get_all("X-Robots-Tag") or []
        if opted_out(robots):
            message = f"{shown} says X-Robots-Tag: {'; '.join(robots)[:200]}"
            raise ItemError("fetch.opted_out", message, status="rejected")
        encoding = (response.getheader("Content-Encoding") or "identity").lower()
        if encoding != "identity":
            message = f"{shown} comes as {encoding[:50]}, which was not asked for"
            raise ItemError("fetch.encoding", message)
        self._check_size(offset + (response.length or 0))

    def _receive(self, response: http.client.HTTPResponse, url: str, offset: int) -> int:
        """Write the body after the first ``offset`` bytes of the file; the file's size then."""
        pace, size = self._pace, offset
        promised = None if response.length is None else offset + response.length
        with self._target.open("ab") as file:
            pace.before_bytes(_CHUNK_BYTES)
            while chunk := _read(response, url):
                size += len(chunk)
                pace.received(len(chunk))
                self._check_size(size)
                if time.monotonic() - pace.waited > self._deadline:
                    message = f"not done after {self._limits.total_seconds:.0f} s"
                    raise ItemError("fetch.timeout", message)
                file.write(chunk)
                pace.before_bytes(_CHUNK_BYTES)
        if promised is not None and size != promised:
            raise ItemError("fetch.truncated", f"{size} bytes came, {promised} were promised")
        return size

    def _check_size(self, size: int) -> None:
        if size > self._limits.max_bytes:
            message = f"{size} bytes are over the limit of {self._limits.max_bytes}"
            raise ItemError("fetch.too_large", message, status="rejected")


def _read(response: http.client.HTTPResponse, url: str) -> bytes:
    try:
        return response.read1(_CHUNK_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise network_error(url, error) from error


def _redirected(url: str, response: http.client.HTTPResponse) -> str:
    try:
        return urljoin(url, response.getheader("Location") or "")
    except ValueError as error:
        raise ItemError("fetch.bad_url", f"{without_secrets(url)} leads to no URL") from error

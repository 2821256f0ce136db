"""Downloading one file over http(s) from the public internet, and from nowhere else."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote, urljoin

from curation.addresses import Target, check_public
from dataset.errors import ItemError

_CHUNK_BYTES = 1 << 18
_REDIRECTS = (301, 302, 303, 307, 308)
_PATH_CHARACTERS = "/%:=&?~#+!$,;'@()*[]"
_OPT_OUTS = ("noai", "noimageai")
_AGENT = "champ-pipeline (research data collection)"


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadLimits:
    """What one download may cost, and where it may go."""

    max_bytes: int
    timeout_seconds: float  # without any progress
    total_seconds: float  # for the whole download, however slowly it trickles
    max_redirects: int = 5
    allow: frozenset[str] = frozenset()  # "address:port" that may be reached though not public


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """A file that has arrived whole."""

    url: str  # after redirects
    content_type: str
    size_bytes: int
    sha256: str


def download(
    url: str, target: Path, limits: DownloadLimits, *, headers: Mapping[str, str] | None = None
) -> Download:
    """Fetch a URL into ``target``, checking the address at every redirect.

    The connection goes to the very address that was checked. A partial ``target`` is left to the
    caller to remove.

    Raises:
        ItemError: What ``check_public`` raises, ``fetch.unreachable``, ``fetch.timeout``,
            ``fetch.redirects``, ``fetch.http_404`` (any status), ``fetch.opted_out``,
            ``fetch.too_large``, ``fetch.encoding``, ``fetch.truncated``.
    """
    deadline = time.monotonic() + limits.total_seconds
    for _ in range(limits.max_redirects + 1):
        place = check_public(url, allow=limits.allow)
        with contextlib.closing(_connect(place, limits)) as connection:
            try:
                with _request(connection, place, headers or {}) as response:
                    if response.status not in _REDIRECTS:
                        return _save(response, url, target, limits, deadline=deadline)
                    url = urljoin(url, response.getheader("Location") or "")
            except (OSError, http.client.HTTPException) as error:
                raise _network_error(url, error) from error
    raise ItemError("fetch.redirects", f"{url}: more than {limits.max_redirects} redirects")


def _save(
    response: http.client.HTTPResponse,
    url: str,
    target: Path,
    limits: DownloadLimits,
    *,
    deadline: float,
) -> Download:
    _check_response(response, url, limits)
    with target.open("wb") as file:
        size, digest = _receive(response, file, limits, deadline)
    content_type = response.getheader("Content-Type") or ""
    return Download(url=url, content_type=content_type, size_bytes=size, sha256=digest)


def _connect(place: Target, limits: DownloadLimits) -> http.client.HTTPConnection:
    """A connection whose socket is opened here, to a checked address, not by name."""
    failure: OSError | None = None
    for address in place.addresses:
        try:
            raw = socket.create_connection((address, place.port), limits.timeout_seconds)
        except OSError as error:
            failure = error
            continue
        connection = http.client.HTTPConnection(place.host, place.port)
        try:
            connection.sock = _secured(raw, place)
        except OSError as error:
            raw.close()
            raise _network_error(place.host, error) from error
        return connection
    raise ItemError("fetch.unreachable", f"{place.host}:{place.port}: {failure}") from failure


def _secured(raw: socket.socket, place: Target) -> socket.socket:
    if place.scheme == "http":
        return raw
    return ssl.create_default_context().wrap_socket(raw, server_hostname=place.host)


def _request(
    connection: http.client.HTTPConnection, place: Target, headers: Mapping[str, str]
) -> http.client.HTTPResponse:
    sent = {"User-Agent": _AGENT, "Accept": "*/*", "Accept-Encoding": "identity", **headers}
    connection.request("GET", quote(place.request_path, safe=_PATH_CHARACTERS), headers=sent)
    return connection.getresponse()


def _check_response(response: http.client.HTTPResponse, url: str, limits: DownloadLimits) -> None:
    if response.status != 200:
        raise ItemError(f"fetch.http_{response.status}", f"{url}: {response.reason}")
    robots = (response.getheader("X-Robots-Tag") or "").lower()
    if any(word in robots.replace(",", " ").split() for word in _OPT_OUTS):
        raise ItemError("fetch.opted_out", f"{url} says X-Robots-Tag: {robots}", status="rejected")
    encoding = (response.getheader("Content-Encoding") or "identity").lower()
    if encoding != "identity":
        raise ItemError("fetch.encoding", f"{url} comes as {encoding}, which was not asked for")
    if response.length is not None and response.length > limits.max_bytes:
        raise _too_large(response.length, limits)


def _receive(
    response: http.client.HTTPResponse, file: BinaryIO, limits: DownloadLimits, deadline: float
) -> tuple[int, str]:
    """Write the body to ``file``; its size and SHA-256."""
    promised = response.length
    digest, size = hashlib.sha256(), 0
    while chunk := response.read1(_CHUNK_BYTES):
        size += len(chunk)
        if size > limits.max_bytes:
            raise _too_large(size, limits)
        if time.monotonic() > deadline:
            raise ItemError("fetch.timeout", f"not done after {limits.total_seconds:.0f} s")
        digest.update(chunk)
        file.write(chunk)
    if promised is not None and size != promised:
        raise ItemError("fetch.truncated", f"{size} bytes came, {promised} were promised")
    return size, digest.hexdigest()


def _too_large(size: int, limits: DownloadLimits) -> ItemError:
    return ItemError(
        "fetch.too_large",
        f"{size} bytes are over the limit of {limits.max_bytes}",
        status="rejected",
    )


def _network_error(url: str, error: Exception) -> ItemError:
    if isinstance(error, TimeoutError):
        return ItemError("fetch.timeout", f"{url}: {error}")
    if isinstance(error, http.client.IncompleteRead):
        return ItemError("fetch.truncated", f"{url}: {error}")
    if isinstance(error, ssl.SSLError):
        return ItemError("fetch.tls", f"{url}: {error}")
    return ItemError("fetch.unreachable", f"{url}: {type(error).__name__}: {error}")

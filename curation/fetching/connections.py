"""Connections to addresses that were checked, directly or through a proxy of the operator's."""

from __future__ import annotations

import base64
import http.client
import socket
import ssl
from urllib.parse import unquote, urlsplit

from curation.fetching.addresses import Target
from curation.fetching.urls import without_secrets
from dataset.errors import ItemError


def connect(
    place: Target, *, timeout_seconds: float, proxy: str = ""
) -> http.client.HTTPConnection:
    """A connection whose socket is opened here, to a checked address, not by name.

    Args:
        place: From ``check_public``.
        timeout_seconds: For connecting, and then for every read.
        proxy: ``http://[user:password@]host:port``; it is told the address, too, by CONNECT.

    Raises:
        ItemError: ``fetch.unreachable``, ``fetch.timeout``, ``fetch.tls``.
    """
    connection = http.client.HTTPConnection(place.host, place.port)
    try:
        raw = open_socket(place, timeout_seconds, proxy)
        connection.sock = raw
        connection.sock = _secured(raw, place)
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        raise network_error(f"{place.host}:{place.port}", error) from error
    return connection


def open_socket(place: Target, timeout_seconds: float, proxy: str = "") -> socket.socket:
    """A socket to the first of the checked addresses that answers; ``OSError`` where none does."""
    failure: OSError | None = None
    for address in place.addresses:
        try:
            if proxy:
                return _tunnel(proxy, (address, place.port), timeout_seconds)
            return socket.create_connection((address, place.port), timeout_seconds)
        except OSError as error:
            failure = error
    raise failure or OSError("no address")


def _tunnel(proxy: str, address: tuple[str, int], timeout_seconds: float) -> socket.socket:
    parts = urlsplit(proxy)
    headers = {}
    if parts.username:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Proxy-Authorization"] = f"Basic {base64.b64encode(login.encode()).decode()}"
    tunnel = http.client.HTTPConnection(
        parts.hostname or "", parts.port or 80, timeout=timeout_seconds
    )
    tunnel.set_tunnel(address[0], address[1], headers)
    tunnel.connect()
    return tunnel.sock


def _secured(raw: socket.socket, place: Target) -> socket.socket:
    if place.scheme == "http":
        return raw
    return ssl.create_default_context().wrap_socket(raw, server_hostname=place.host)


def network_error(url: str, error: Exception) -> ItemError:
    """What went wrong on the way, as a kind that can be counted."""
    shown = without_secrets(url)
    if isinstance(error, TimeoutError):
        return ItemError("fetch.timeout", f"{shown}: {error}")
    if isinstance(error, http.client.IncompleteRead):
        return ItemError("fetch.truncated", f"{shown}: {error}")
    if isinstance(error, ssl.SSLError):
        return ItemError("fetch.tls", f"{shown}: {error}")
    return ItemError("fetch.unreachable", f"{shown}: {type(error).__name__}: {error}")

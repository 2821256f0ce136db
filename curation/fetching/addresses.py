"""Which addresses the pipeline may connect to: public ones, over http and https.

A URL in a manifest must not reach a machine inside the network it runs in, however the address is
written. What counts is the number that the name resolves to; the caller then connects to exactly
that number, so that a name that resolves differently the second time gains nothing.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from curation.fetching.urls import without_secrets
from dataset.errors import ItemError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolver = Callable[[str, int], Sequence[str]]

_PORTS = {"http": 80, "https": 443}
_UNSAFE = re.compile(r"[\x00-\x20\x7f-\x9f\\]")
_EMBEDDED_V4 = (  # networks whose addresses lead to the IPv4 address in their last 32 bits
    ipaddress.IPv6Network("::/96"),
    ipaddress.IPv6Network("64:ff9b::/96"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A URL that may be fetched, and the checked addresses behind its host."""

    scheme: str
    host: str  # in ASCII, for the Host header and the certificate
    port: int
    request_path: str  # path and query
    addresses: tuple[str, ...]


def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host, by the system's resolver; also reads notations such as 0x7f.1."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def check_public(
    url: str, *, allow: frozenset[str] = frozenset(), resolver: Resolver = resolve
) -> Target:
    """Resolve a URL's host and refuse it unless every address of it is public.

    Args:
        url: From a manifest, or from a redirect.
        allow: ``"address:port"`` pairs that may be reached although they are not public.
        resolver: Host and port to addresses.

    Raises:
        ItemError: ``fetch.scheme``, ``fetch.bad_url``, ``fetch.unresolved`` (there is no such
            name), ``fetch.resolver_failed`` (nobody could say), ``fetch.private_address``.
    """
    scheme, host, port, request_path = _split(url)
    shown = without_secrets(url)
    try:
        addresses = tuple(resolver(host, port))
    except (OSError, UnicodeError) as error:
        passing = isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN
        kind = "fetch.resolver_failed" if passing else "fetch.unresolved"
        raise ItemError(kind, f"the host of {shown} has no address: {error}") from error
    if not addresses:
        raise ItemError("fetch.unresolved", f"the host of {shown} has no address")
    for address in addresses:
        if f"{address}:{port}" not in allow and not is_public(address):
            raise ItemError(
                "fetch.private_address",
                f"{shown} leads to {address}, which is not a public address",
                status="rejected",
            )
    return Target(
        scheme=scheme, host=host, port=port, request_path=request_path, addresses=addresses
    )


def is_public(address: str) -> bool:
    """Whether an address (a number, not a name) belongs to the public internet."""
    try:
        number = ipaddress.ip_address(address)
    except ValueError:
        return False  # with a zone, e.g. fe80::1%eth0, or no address at all
    return all(a.is_global and not a.is_multicast and not a.is_reserved for a in _meanings(number))


def _meanings(number: Address) -> list[Address]:
    """The address and every IPv4 address that it stands for."""
    if isinstance(number, ipaddress.IPv4Address):
        return [number]
    if number.ipv4_mapped is not None:
        return [number.ipv4_mapped]
    meanings: list[Address] = [number]
    if number.sixtofour is not None:
        meanings.append(number.sixtofour)
    if number.teredo is not None:
        meanings += number.teredo
    if any(number in network for network in _EMBEDDED_V4):
        return [ipaddress.IPv4Address(int(number) & 0xFFFFFFFF)]
    return meanings


def _split(url: str) -> tuple[str, str, int, str]:
    if _UNSAFE.search(url):
        raise ItemError("fetch.bad_url", f"{url[:200]!r} has blanks or control characters")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ItemError("fetch.bad_url", f"{url[:200]!r} is not a URL: {error}") from error
    shown = without_secrets(url)[:200]
    if parts.scheme not in _PORTS:
        raise ItemError(
            "fetch.scheme",
            f"only http and https are fetched, got {parts.scheme or 'no scheme'!r} in {shown}",
            status="rejected",
        )
    if not host or port == 0:
        raise ItemError("fetch.bad_url", f"{shown!r} names no host or port")
    if parts.username is not None or parts.password is not None:
        raise ItemError("fetch.bad_url", "a URL with a user name or password is not fetched")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return parts.scheme, _ascii_host(host, shown), port or _PORTS[parts.scheme], path


def _ascii_host(host: str, shown: str) -> str:
    """The name as the name server is asked for it; digits and dots of other scripts become plain.

    What is resolved and what is sent is then one and the same.
    """
    if host.isascii():
        return host
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise ItemError("fetch.bad_url", f"the host of {shown!r} is no name: {error}") from error

"""Cookies from a file of the user's: read, never written back, and sent where they belong only."""

from __future__ import annotations

import urllib.request
from http.cookiejar import Cookie, CookieJar
from pathlib import Path

_FIELDS = 7
_HTTP_ONLY = "#HttpOnly_"


def read_cookies(path: Path) -> CookieJar:
    """The cookies of a Netscape cookie file, as browsers' add-ons export it.

    Raises:
        ValueError: It is missing or has no such line; the message never shows a line.
    """
    if not path.is_file():
        raise ValueError(f"There is no cookie file {path}")
    jar = CookieJar()
    for line in path.read_text("utf-8", errors="replace").splitlines():
        cells = line.removeprefix(_HTTP_ONLY).split("\t")
        if len(cells) == _FIELDS and not cells[0].startswith("#"):
            jar.set_cookie(_cookie(cells))
    if not len(jar):
        raise ValueError(f"{path} is no Netscape cookie file: no line has {_FIELDS} fields by tabs")
    return jar


def cookie_header(jar: CookieJar | None, url: str) -> dict[str, str]:
    """The ``Cookie`` header for one URL: the cookies of its own host, path and scheme."""
    if jar is None:
        return {}
    request = urllib.request.Request(url)  # carries the header, is never opened
    jar.add_cookie_header(request)
    value = request.get_header("Cookie")
    return {"Cookie": value} if value else {}


def _cookie(cells: list[str]) -> Cookie:
    domain, _, path, secure, expires, name, value = cells
    return Cookie(
        version=0,
        name=name,
        value=value,
        port=None,
        port_specified=False,
        domain=domain,
        domain_specified=domain.startswith("."),
        domain_initial_dot=domain.startswith("."),
        path=path,
        path_specified=bool(path),
        secure=secure.upper() == "TRUE",
        expires=int(expires) if expires.isdigit() and int(expires) > 0 else None,
        discard=False,
        comment=None,
        comment_url=None,
        rest={},
    )

"""A web server on the loopback address that also behaves badly, as real ones do."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Page:
    """What a path answers."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    more_headers: list[tuple[str, str]] = field(default_factory=list)  # of a name that is there
    promised: int | None = None  # Content-Length, where it is to lie
    endless: bool = False  # no Content-Length at all
    seconds_per_byte: float = 0.0
    failures: int = 0  # answers 503 so often before it works
    first: list[Page] = field(default_factory=list)  # answers these before, one a request
    cuts: list[int] = field(default_factory=list)  # closes after so many bytes, one a request
    ranges: str = ""  # "right", or "wrong": other bytes than were asked for


@dataclass
class Loopback:
    """A running server: set ``pages``, read ``requests`` and what came with them."""

    port: int
    pages: dict[str, Page] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    asked: list[Message] = field(default_factory=list)
    tunnels: list[str] = field(default_factory=list)  # where CONNECT led

    @property
    def address(self) -> str:
        """What goes into an allow-list."""
        return f"127.0.0.1:{self.port}"

    def url(self, path: str) -> str:
        """The URL of a page."""
        return f"http://{self.address}{path}"


class Notes:
    """A pace that only writes down what is asked of it."""

    waited = 0.0

    def __init__(self) -> None:
        self.requests = 0
        self.bytes = 0
        self.told: list[float] = []

    def before_request(self) -> None:
        self.requests += 1

    def before_bytes(self, count: int) -> None:
        assert count > 0

    def received(self, count: int) -> None:
        self.bytes += count

    def told_to_wait(self, seconds: float) -> None:
        self.told.append(seconds)


@contextmanager
def serve() -> Iterator[Loopback]:
    """Run a server until the block ends."""
    state = Loopback(port=0)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.requests.append(self.path)
            state.asked.append(self.headers)
            page = state.pages.get(self.path, Page(status=404))
            if page.failures > 0:
                page.failures -= 1
                page = Page(status=503)
            if page.first:
                page = page.first.pop(0)
            self._answer(page, *_ranged(page, self.headers))

        def do_CONNECT(self) -> None:
            state.tunnels.append(self.path)
            host, _, port = self.path.rpartition(":")
            with socket.create_connection((host, int(port)), 2.0) as inner:
                self.send_response(200)
                self.end_headers()
                _relay(self.connection, inner)

        def _answer(self, page: Page, status: int, body: bytes, extra: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in [*page.headers.items(), *page.more_headers, *extra.items()]:
                self.send_header(name, value)
            if not page.endless:
                promised = len(body) if page.promised is None else page.promised
                self.send_header("Content-Length", str(promised))
            self.end_headers()
            self._send(page, body[: page.cuts.pop(0)] if page.cuts else body)

        def _send(self, page: Page, body: bytes) -> None:
            try:
                if page.seconds_per_byte == 0:
                    self.wfile.write(body)
                    return
                for byte in body:
                    self.wfile.write(bytes([byte]))
                    time.sleep(page.seconds_per_byte)
            except (BrokenPipeError, ConnectionResetError):
                state.requests.append("client went away")

        def log_message(self, format: str, *args: object) -> None:
            """Requests are kept in ``requests``, not printed."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _ranged(page: Page, asked: Message) -> tuple[int, bytes, dict[str, str]]:
    """Status, body and headers of a page whose server keeps to ``Range`` and ``If-Range``."""
    found = re.fullmatch(r"bytes=(\d+)-", asked.get("Range", ""))
    current = page.headers.get("ETag") or page.headers.get("Last-Modified")
    if not page.ranges or found is None or asked.get("If-Range", current) != current:
        return page.status, page.body, {}
    size, first = len(page.body), int(found[1])
    if first >= size:
        return 416, b"", {"Content-Range": f"bytes */{size}"}
    if page.ranges == "wrong":
        first = max(0, first - 10)
    told = {"Content-Range": f"bytes {first}-{size - 1}/{size}"}
    return 206, page.body[first:], told


def _relay(outer: socket.socket, inner: socket.socket) -> None:
    """Pass bytes both ways until either side closes."""

    def back() -> None:
        with contextlib.suppress(OSError):
            while data := inner.recv(1 << 16):
                outer.sendall(data)
            outer.shutdown(socket.SHUT_WR)

    thread = threading.Thread(target=back)
    thread.start()
    with contextlib.suppress(OSError):
        while data := outer.recv(1 << 16):
            inner.sendall(data)
        inner.shutdown(socket.SHUT_WR)
    thread.join()

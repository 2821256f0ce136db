"""A web server on the loopback address that also behaves badly, as real ones do."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Page:
    """What a path answers."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    promised: int | None = None  # Content-Length, where it is to lie
    seconds_per_byte: float = 0.0
    failures: int = 0  # answers 503 so often before it works


@dataclass
class Loopback:
    """A running server: set ``pages``, read ``requests``."""

    port: int
    pages: dict[str, Page] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    @property
    def address(self) -> str:
        """What goes into an allow-list."""
        return f"127.0.0.1:{self.port}"

    def url(self, path: str) -> str:
        """The URL of a page."""
        return f"http://{self.address}{path}"


@contextmanager
def serve() -> Iterator[Loopback]:
    """Run a server until the block ends."""
    state = Loopback(port=0)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.requests.append(self.path)
            page = state.pages.get(self.path, Page(status=404))
            if page.failures > 0:
                page.failures -= 1
                page = Page(status=503)
            self.send_response(page.status)
            for name, value in page.headers.items():
                self.send_header(name, value)
            promised = len(page.body) if page.promised is None else page.promised
            self.send_header("Content-Length", str(promised))
            self.end_headers()
            self._send(page)

        def _send(self, page: Page) -> None:
            try:
                if page.seconds_per_byte == 0:
                    self.wfile.write(page.body)
                    return
                for byte in page.body:
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

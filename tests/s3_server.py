"""An S3 server on the loopback address, for tests: moto's, with requests one after the other."""

from __future__ import annotations

import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

ACCESS = {
    "AWS_ACCESS_KEY_ID": "loopback",
    "AWS_SECRET_ACCESS_KEY": "loopback-secret",
    "AWS_REGION": "us-east-1",
}


class OneAtATime:
    """S3 decides a conditional put at once; moto looks first and writes then.

    What was asked is kept in ``requests``, as "METHOD path" with the range if there is one.
    """

    def __init__(self) -> None:
        self._app = DomainDispatcherApplication(create_backend_app)
        self._lock = threading.Lock()
        self.requests: list[str] = []

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        with self._lock:
            asked = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"
            self.requests.append(f"{asked} {environ.get('HTTP_RANGE', '')}".strip())
            return list(self._app(environ, start_response))


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: object) -> None:
        del type, message, args


@contextmanager
def s3_server() -> Iterator[OneAtATime]:
    """A fresh server with a bucket ``champ``; the environment leads to it, within the block."""
    app = OneAtATime()
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    request = urllib.request.Request(f"{endpoint}/champ", method="PUT")
    with urllib.request.urlopen(request), pytest.MonkeyPatch.context() as patched:
        for name, value in {**ACCESS, "AWS_ENDPOINT_URL": endpoint}.items():
            patched.setenv(name, value)
        yield app
    server.shutdown()
    thread.join()
    server.server_close()

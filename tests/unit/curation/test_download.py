"""Claims about downloads, each against a real server on the loopback address."""

import hashlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from curation import download as module
from curation.addresses import Target
from curation.download import DownloadLimits, download
from dataset.errors import ItemError
from tests.unit.curation.loopback import Loopback, Page, serve

BODY = bytes(range(256)) * 300


@pytest.fixture
def server() -> Iterator[Loopback]:
    """A server with one good file."""
    with serve() as state:
        state.pages["/good.mp4"] = Page(body=BODY, headers={"Content-Type": "video/mp4"})
        yield state


def limits(server: Loopback, **changes: float) -> DownloadLimits:
    """Limits that let the test's own server be reached."""
    values = {"max_bytes": 1_000_000, "timeout_seconds": 5.0, "total_seconds": 10.0, **changes}
    return DownloadLimits(
        max_bytes=int(values["max_bytes"]),
        timeout_seconds=values["timeout_seconds"],
        total_seconds=values["total_seconds"],
        allow=frozenset({server.address}),
    )


def failure(server: Loopback, path: str, target: Path, **changes: float) -> ItemError:
    """How the download of a page fails."""
    with pytest.raises(ItemError) as caught:
        download(server.url(path), target / "file", limits(server, **changes))
    return caught.value


def test_a_file_arrives_whole(server: Loopback, tmp_path: Path) -> None:
    """Content, size, hash and type are those the server has."""
    got = download(server.url("/good.mp4"), tmp_path / "file", limits(server))
    assert (tmp_path / "file").read_bytes() == BODY
    assert (got.size_bytes, got.content_type) == (len(BODY), "video/mp4")
    assert got.sha256 == hashlib.sha256(BODY).hexdigest()


def test_redirects_are_followed(server: Loopback, tmp_path: Path) -> None:
    """Relative and absolute redirects lead to the file, whose address is told."""
    server.pages["/a"] = Page(status=302, headers={"Location": "/b"})
    server.pages["/b"] = Page(status=307, headers={"Location": server.url("/good.mp4")})
    got = download(server.url("/a"), tmp_path / "file", limits(server))
    assert got.url == server.url("/good.mp4")


@pytest.mark.parametrize(
    ("location", "kind"),
    [
        ("http://127.0.0.1:1/", "fetch.private_address"),
        ("http://169.254.169.254/latest/meta-data/", "fetch.private_address"),
        ("http://[::ffff:10.0.0.1]/", "fetch.private_address"),
        ("file:///etc/passwd", "fetch.scheme"),
        ("//10.0.0.1/x", "fetch.private_address"),
        ("/loop", "fetch.redirects"),
    ],
)
def test_every_redirect_is_checked(
    server: Loopback, tmp_path: Path, location: str, kind: str
) -> None:
    """A redirect into the inner network, to a file, or without end is refused, unrequested."""
    server.pages["/loop"] = Page(status=301, headers={"Location": location})
    assert failure(server, "/loop", tmp_path).kind == kind
    assert set(server.requests) == {"/loop"}


def test_private_addresses_are_never_connected_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A private address is refused before any socket is connected."""
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("connected"))
    without = DownloadLimits(max_bytes=10, timeout_seconds=1.0, total_seconds=1.0)
    with pytest.raises(ItemError, match=r"fetch\.private_address"):
        download("http://127.0.0.1:80/x.mp4", tmp_path / "file", without)


def test_the_checked_address_is_the_one_connected_to(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the check the name is not looked up again: a changed answer has no effect."""
    asked: list[str] = []

    def checked(url: str, *, allow: frozenset[str]) -> Target:
        del allow
        asked.append(url)
        return Target(
            scheme="http", host="rebinding.example", port=server.port,
            request_path="/good.mp4", addresses=("127.0.0.1",),
        )  # fmt: skip

    def lookup(host: str, port: int, *_: object, **__: object) -> list[tuple[object, ...]]:
        if host != "127.0.0.1":
            pytest.fail(f"{host} was looked up again")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port))]

    monkeypatch.setattr(module, "check_public", checked)
    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    got = download("http://rebinding.example/good.mp4", tmp_path / "file", limits(server))
    assert got.size_bytes == len(BODY)
    assert asked == ["http://rebinding.example/good.mp4"]


def test_large_files_are_refused_by_their_length(server: Loopback, tmp_path: Path) -> None:
    """A promised length over the limit ends the download before the first byte is stored."""
    server.pages["/big"] = Page(body=b"x", promised=10_000_000)
    assert failure(server, "/big", tmp_path).kind == "fetch.too_large"
    assert not (tmp_path / "file").exists()


def test_large_files_that_lie_are_stopped(server: Loopback, tmp_path: Path) -> None:
    """Without a length the limit holds while the bytes come."""
    assert failure(server, "/good.mp4", tmp_path, max_bytes=1000).kind == "fetch.too_large"


def test_missing_bytes_are_truncation(server: Loopback, tmp_path: Path) -> None:
    """A connection that closes before the promised length is no file."""
    server.pages["/short"] = Page(body=BODY[:1000], promised=len(BODY))
    assert failure(server, "/short", tmp_path, timeout_seconds=0.5).kind == "fetch.truncated"


def test_stalls_and_trickles_end(server: Loopback, tmp_path: Path) -> None:
    """A server that goes silent, and one that sends a byte now and then, are both left."""
    server.pages["/stall"] = Page(body=b"xy", seconds_per_byte=1.0)
    assert failure(server, "/stall", tmp_path, timeout_seconds=0.2).kind == "fetch.timeout"
    server.pages["/trickle"] = Page(body=b"x" * 100, seconds_per_byte=0.05)
    assert failure(server, "/trickle", tmp_path, total_seconds=0.3).kind == "fetch.timeout"


@pytest.mark.parametrize("status", [401, 403, 404, 410, 429, 500, 503])
def test_statuses_are_told(server: Loopback, tmp_path: Path, status: int) -> None:
    """Each status is a reason of its own, so that they can be counted."""
    server.pages["/no"] = Page(status=status)
    assert failure(server, "/no", tmp_path).kind == f"fetch.http_{status}"


def test_opt_outs_are_honoured(server: Loopback, tmp_path: Path) -> None:
    """A file whose server says noai is not taken."""
    server.pages["/mine"] = Page(body=BODY, headers={"X-Robots-Tag": "noindex, noai"})
    error = failure(server, "/mine", tmp_path)
    assert (error.kind, error.status) == ("fetch.opted_out", "rejected")


def test_unasked_encodings_are_refused(server: Loopback, tmp_path: Path) -> None:
    """A compressed answer could unfold without limit, and was not asked for."""
    server.pages["/zip"] = Page(body=BODY, headers={"Content-Encoding": "gzip"})
    assert failure(server, "/zip", tmp_path).kind == "fetch.encoding"


def test_nobody_listening_is_unreachable(tmp_path: Path) -> None:
    """A closed port is a failure that can be tried again."""
    with serve() as closed:
        pass
    with pytest.raises(ItemError, match=r"fetch\.unreachable"):
        download(closed.url("/x"), tmp_path / "file", limits(closed))


def test_unusual_paths_are_quoted(server: Loopback, tmp_path: Path) -> None:
    """A path with letters beyond ASCII is asked for in its quoted form."""
    server.pages["/caf%C3%A9.mp4"] = Page(body=BODY)
    assert download(server.url("/café.mp4"), tmp_path / "f", limits(server)).size_bytes == len(BODY)

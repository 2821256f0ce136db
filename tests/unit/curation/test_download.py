"""Claims about downloads, each against a real server on the loopback address."""

import hashlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from curation.fetching import download as module
from curation.fetching.addresses import Target
from curation.fetching.cookies import read_cookies
from curation.fetching.download import DownloadLimits, Sent, download, retry_after
from curation.fetching.opt_outs import opted_out
from dataset.errors import ItemError
from tests.unit.curation.loopback import Loopback, Notes, Page, serve

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
    """A file whose server says noai is not taken, in whichever of several headers it says so."""
    server.pages["/mine"] = Page(
        body=BODY,
        headers={"X-Robots-Tag": "otherbot: noindex"},
        more_headers=[("X-Robots-Tag", "noindex, noai")],
    )
    error = failure(server, "/mine", tmp_path)
    assert (error.kind, error.status) == ("fetch.opted_out", "rejected")
    assert not (tmp_path / "file").exists()


@pytest.mark.parametrize(
    ("headers", "forbidden"),
    [
        (["noai"], True),
        (["NoImageAI"], True),
        (["noindex, noai"], True),
        (["champ-pipeline: noai"], True),
        (["Champ-Pipeline: noindex, noai"], True),
        (["unavailable_after: 25 Jun 2030 15:00:00 PST, noai"], True),
        (["max-snippet: 20, noimageai"], True),
        (["otherbot: noai"], False),
        (["otherbot: noindex, noai"], False),
        (["otherbot: noai, champ-pipeline: noai"], True),
        (["otherbot: noai", "noindex"], False),
        (["otherbot: noai", "noai"], True),
        (["noindex, nofollow"], False),
        (["noaiming"], False),
        ([""], False),
        ([], False),
    ],
)
def test_opt_outs_are_for_all_or_for_one(headers: list[str], forbidden: bool) -> None:
    """A directive counts when it is for all or for us, not when it is for another robot."""
    assert opted_out(headers) == forbidden


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


def send(server: Loopback, path: str, target: Path, sent: Sent) -> None:
    """A download that sends something along."""
    download(server.url(path), target / "file", limits(server), sent=sent)


def test_headers_of_the_manifest_are_sent(server: Loopback, tmp_path: Path) -> None:
    """A referer and a user agent reach the server; the encoding stays ours."""
    headers = {"Referer": "https://www.kuaishou.com/", "User-Agent": "x", "accept-encoding": "br"}
    send(server, "/good.mp4", tmp_path, Sent(headers=headers))
    (asked,) = server.asked
    assert (asked["Referer"], asked["User-Agent"]) == ("https://www.kuaishou.com/", "x")
    assert asked.get_all("Accept-Encoding") == ["identity"]


def test_cookies_go_to_their_host_alone(server: Loopback, tmp_path: Path) -> None:
    """A cookie of the server's host is sent, another host's is not; the file stays as it was."""
    jar = tmp_path / "cookies.txt"
    jar.write_text(
        "# Netscape HTTP Cookie File\n127.0.0.1\tFALSE\t/\tFALSE\t0\tid\tmine\n"
        "#HttpOnly_.example.org\tTRUE\t/\tFALSE\t0\tid\ttheirs\nbroken line with a secret\n"
    )
    before = jar.read_bytes()
    server.pages["/good.mp4"].headers["Set-Cookie"] = "id=changed"
    send(server, "/good.mp4", tmp_path, Sent(cookies=read_cookies(jar)))
    assert server.asked[0]["Cookie"] == "id=mine"
    assert jar.read_bytes() == before


def test_what_is_no_cookie_file_is_refused_without_showing_it(tmp_path: Path) -> None:
    """The message names the file, never what is in it."""
    (tmp_path / "c.txt").write_text('{"id": "secret"}\nid=secret\n')
    with pytest.raises(ValueError, match=r"c\.txt is no Netscape cookie file") as caught:
        read_cookies(tmp_path / "c.txt")
    assert "secret" not in str(caught.value)
    with pytest.raises(ValueError, match="There is no cookie file"):
        read_cookies(tmp_path / "no.txt")


def test_a_proxy_is_told_the_checked_address(server: Loopback, tmp_path: Path) -> None:
    """The request goes through the proxy, to the number that was checked and no name."""
    with serve() as proxy:
        login = f"http://user:pass@{proxy.address}"
        send(server, "/good.mp4", tmp_path, Sent(proxy=login))
        assert proxy.tunnels == [server.address]
    assert (tmp_path / "file").read_bytes() == BODY


def test_a_dead_proxy_is_unreachable_and_its_login_not_told(
    server: Loopback, tmp_path: Path
) -> None:
    """A proxy that does not answer is a failure that may pass; nobody goes around it."""
    with serve() as closed:
        pass
    with pytest.raises(ItemError, match=r"fetch\.unreachable") as caught:
        send(server, "/good.mp4", tmp_path, Sent(proxy=f"http://user:pass@{closed.address}"))
    assert "pass" not in str(caught.value)
    assert server.requests == []


def test_signatures_are_not_told(server: Loopback, tmp_path: Path) -> None:
    """A refused address is named without what gives access to it."""
    error = failure(server, "/no?v=7&X-Amz-Signature=abcdef&token=ghi", tmp_path)
    assert "v=7" in error.message
    assert not any(secret in str(error) for secret in ("abcdef", "ghi"))


def test_unknown_bytes_of_no_length_arrive(server: Loopback, tmp_path: Path) -> None:
    """A server that tells no length ends the file by closing."""
    server.pages["/open"] = Page(body=BODY, endless=True)
    got = download(server.url("/open"), tmp_path / "file", limits(server))
    assert got.size_bytes == len(BODY)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("120", 120), ("0", 0), ("99999999999", 86_400), ("-5", 0), ("soon", 0), ("", 0), (None, 0),
     ("Tue, 01 Sep 2020 10:00:00 GMT", 0), ("Tue, 01 Sep 2099 10:00:00 GMT", 86_400),
     ("\u0661", 0), ("1" * 5000, 86_400)],
)  # fmt: skip
def test_retry_after_is_read(text: str | None, seconds: float) -> None:
    """Seconds or a date, at most a day, else nothing."""
    assert retry_after(text) == seconds


def test_the_pace_is_asked_for_everything(server: Loopback, tmp_path: Path) -> None:
    """Every request, redirects too, and every byte; a 429 hands on how long to stay away."""
    server.pages["/a"] = Page(status=302, headers={"Location": "/good.mp4"})
    notes = Notes()
    download(server.url("/a"), tmp_path / "file", limits(server), pace=notes)
    assert (notes.requests, notes.bytes, notes.told) == (2, len(BODY), [])
    server.pages["/busy"] = Page(status=429, headers={"Retry-After": "7"})
    with pytest.raises(ItemError, match=r"fetch\.http_429"):
        download(server.url("/busy"), tmp_path / "file", limits(server), pace=notes)
    assert notes.told == [7.0]


def test_a_full_disk_is_no_failure_of_the_source(server: Loopback) -> None:
    """It is no word of the network: the job stops, and goes on when there is room."""
    with pytest.raises(OSError, match="No space left"):
        download(server.url("/good.mp4"), Path("/dev/full"), limits(server))


class Sleepy(Notes):
    """A pace that was waited for before, and at every request."""

    waited = 100.0

    def before_request(self) -> None:
        time.sleep(0.3)
        self.waited += 0.3


def test_waiting_for_the_budget_is_not_counted(server: Loopback, tmp_path: Path) -> None:
    """The time limit is on the download alone: not longer for waits before, not shorter for own."""
    sleepy = Sleepy()
    download(
        server.url("/good.mp4"), tmp_path / "f", limits(server, total_seconds=0.25), pace=sleepy
    )
    server.pages["/trickle"] = Page(body=b"x" * 100, seconds_per_byte=0.05)
    with pytest.raises(ItemError, match=r"fetch\.timeout"):
        download(
            server.url("/trickle"), tmp_path / "f", limits(server, total_seconds=0.3), pace=sleepy
        )

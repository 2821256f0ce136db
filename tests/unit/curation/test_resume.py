"""Claims about downloads that go on where they stopped, from servers right and wrong."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from curation.fetching.download import DownloadLimits, download
from dataset.errors import ItemError
from tests.unit.curation.loopback import Loopback, Page, serve

BODY = bytes(range(256)) * 300
ETAG = {"ETag": '"v1"'}


@pytest.fixture
def server() -> Iterator[Loopback]:
    """A server whose file breaks off after 1000 bytes, once."""
    with serve() as state:
        state.pages["/v"] = Page(body=BODY, headers=dict(ETAG), cuts=[1000], ranges="right")
        yield state


def fetch(server: Loopback, target: Path) -> str:
    """The hash of the whole file."""
    limits = DownloadLimits(
        max_bytes=1_000_000, timeout_seconds=1.0, total_seconds=5.0,
        allow=frozenset({server.address}),
    )  # fmt: skip
    return download(server.url("/v"), target, limits).sha256


def break_off(server: Loopback, target: Path) -> None:
    """The first try, which leaves 1000 bytes."""
    with pytest.raises(ItemError, match=r"fetch\.truncated"):
        fetch(server, target)
    assert target.stat().st_size == 1000


def assert_whole(server: Loopback, target: Path) -> None:
    """The second try brings the file as the server has it, and leaves nothing else."""
    body = server.pages["/v"].body
    assert fetch(server, target) == hashlib.sha256(body).hexdigest()
    assert target.read_bytes() == body
    assert [path.name for path in target.parent.iterdir()] == [target.name]


def test_the_rest_alone_is_asked_for(server: Loopback, tmp_path: Path) -> None:
    """A second try asks for what is missing, on the condition that the file is the same."""
    break_off(server, tmp_path / "f")
    assert_whole(server, tmp_path / "f")
    assert server.asked[1]["Range"] == "bytes=1000-"
    assert server.asked[1]["If-Range"] == '"v1"'


def test_a_changed_file_begins_anew(server: Loopback, tmp_path: Path) -> None:
    """Where the server has another version, none of the old bytes stay."""
    break_off(server, tmp_path / "f")
    server.pages["/v"] = Page(body=BODY[::-1], headers={"ETag": '"v2"'}, ranges="right")
    assert_whole(server, tmp_path / "f")


@pytest.mark.parametrize("ranges", ["", "wrong"])
def test_servers_that_cannot_resume(server: Loopback, tmp_path: Path, ranges: str) -> None:
    """One that ignores Range, and one that sends other bytes, both end in the whole file."""
    break_off(server, tmp_path / "f")
    server.pages["/v"].ranges = ranges
    assert_whole(server, tmp_path / "f")


def test_a_file_that_shrank_begins_anew(server: Loopback, tmp_path: Path) -> None:
    """416, no such range: what is there is of no use."""
    break_off(server, tmp_path / "f")
    server.pages["/v"] = Page(body=BODY[:500], headers=dict(ETAG), ranges="right")
    assert_whole(server, tmp_path / "f")


@pytest.mark.parametrize(
    "headers", [{}, {"ETag": 'W/"weak"'}, {"ETag": '"v1"', "Accept-Ranges": "none"}]
)
def test_without_a_version_nothing_is_gone_on_with(
    server: Loopback, tmp_path: Path, headers: dict[str, str]
) -> None:
    """A weak version, none, or a server that wants no ranges: the second try asks for all."""
    server.pages["/v"].headers = headers
    break_off(server, tmp_path / "f")
    assert_whole(server, tmp_path / "f")
    assert server.asked[1]["Range"] is None


def test_the_time_of_change_is_a_version(server: Loopback, tmp_path: Path) -> None:
    """Where there is no ETag."""
    server.pages["/v"].headers = {"Last-Modified": "Tue, 01 Sep 2026 10:00:00 GMT"}
    break_off(server, tmp_path / "f")
    assert_whole(server, tmp_path / "f")
    assert server.asked[1]["If-Range"] == "Tue, 01 Sep 2026 10:00:00 GMT"


def test_another_urls_bytes_are_not_gone_on_with(server: Loopback, tmp_path: Path) -> None:
    """What lies there belongs to one URL; another one begins anew, same version or not."""
    server.pages["/other"] = Page(body=BODY, headers=dict(ETAG), cuts=[700], ranges="right")
    limits = DownloadLimits(
        max_bytes=1_000_000, timeout_seconds=1.0, total_seconds=5.0,
        allow=frozenset({server.address}),
    )  # fmt: skip
    with pytest.raises(ItemError):
        download(server.url("/other"), tmp_path / "f", limits)
    server.pages["/v"].cuts = []
    assert_whole(server, tmp_path / "f")
    assert server.asked[1]["Range"] is None


def test_a_note_that_was_cut_off_is_ignored(server: Loopback, tmp_path: Path) -> None:
    """A worker killed while writing the note costs the bytes, not the file."""
    break_off(server, tmp_path / "f")
    (tmp_path / "f.version").write_text('{"url_sha')
    assert_whole(server, tmp_path / "f")
    assert server.asked[1]["Range"] is None


def test_a_resumed_file_keeps_to_the_limit(server: Loopback, tmp_path: Path) -> None:
    """The limit is on the whole file, also when only its rest is asked for."""
    break_off(server, tmp_path / "f")
    limits = DownloadLimits(
        max_bytes=len(BODY) - 1, timeout_seconds=1.0, total_seconds=5.0,
        allow=frozenset({server.address}),
    )  # fmt: skip
    with pytest.raises(ItemError, match=r"fetch\.too_large"):
        download(server.url("/v"), tmp_path / "f", limits)

"""Hostile rows of a manifest cost themselves alone: the job ends well, with a row for each."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from dataset.outcomes import Outcome, read_outcomes
from dataset.tables import read_table
from dataset.video import write_playable
from pipeline.cli import app
from tests.unit.curation.loopback import Loopback, Page, serve

INNER_HOSTS = [
    "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "017700000001",
    "0", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1",
    "255.255.255.255", "224.0.0.1", "[::1]", "[::]", "[fe80::1]", "[fd00::1]",
    "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]",
    "[::127.0.0.1]", "localhost", "inner.example", "mixed.example", "127。0。0。1", "①②⑦.⓪.⓪.①",
]  # fmt: skip
NAMES = {"inner.example": ["10.1.2.3"], "mixed.example": ["93.184.215.14", "127.0.0.1"]}
PLAYLIST = b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"
CONCAT = b"ffconcat version 1.0\nfile /etc/passwd\n"


def hostile_rows(server: Loopback, folder: Path) -> dict[str, tuple[dict[str, object], str]]:
    """By id, what a row changes, and the reason that it is refused for."""
    private, place = "fetch.private_address", "url"
    rows = {f"inner-{i}": ({place: f"http://{host}/v.mp4"}, private)
            for i, host in enumerate(INNER_HOSTS)}  # fmt: skip
    rows["zone"] = ({place: "http://[fe80::1%25eth0]/v.mp4"}, "fetch.unresolved")
    for i, url in enumerate(
        ["file:///etc/passwd", "ftp://a.example/v.mp4", "gopher://a.example/",
         "javascript:alert(1)", "data:video/mp4;base64,AAAA", "/etc/passwd"]
    ):  # fmt: skip
        rows[f"scheme-{i}"] = ({place: url}, "fetch.scheme")
    for i, url in enumerate(
        ["http://user:secret@a.example/v.mp4", "http://a.example\\@127.0.0.1/", "http://[::1/",
         "http://a.example:99999/", "http:///v.mp4", "http://a.example /v.mp4",
         f"http://{'ä' * 70}.example/"]
    ):  # fmt: skip
        rows[f"odd-{i}"] = ({place: url}, "fetch.bad_url")
    for name, kind in (("to-inner", private), ("to-file", "fetch.scheme"),
                       ("round", "fetch.redirects"), ("playlist.m3u8", "probe.not_video"),
                       ("concat.txt", "probe.not_video"), ("gone", "fetch.http_404")):  # fmt: skip
        rows[f"served-{name}"] = ({place: server.url(f"/{name}")}, kind)
    for i, (path, kind) in enumerate(
        [("../secret.mp4", "fetch.path_not_allowed"), ("/etc/passwd", "fetch.path_not_allowed"),
         ("link.mp4", "fetch.path_not_allowed"), ("s3://bucket/v.mp4", "fetch.path_not_allowed"),
         ("list.m3u8", "probe.not_video"), ("..", "fetch.path_not_allowed"),
         ("https://a.example/v.mp4", "fetch.scheme"), ("a\x00b", "manifest.path")]
    ):  # fmt: skip
        rows[f"path-{i}"] = ({"url": "", "path": path}, kind)
    cookie, huge = {"headers": '{"Cookie": "id=secret"}'}, {"licence": "x" * 100_000}
    rows |= {
        "cookie": (cookie, "manifest.headers"),
        "smuggled": ({"headers": '{"Referer": "a\\r\\nCookie: id=secret"}'}, "manifest.headers"),
        "huge": (huge, "manifest.licence"),
        "huge-url": ({"url": "http://a.example/" + "x" * 100_000}, "manifest.url"),
        "control": ({"url": "http://a.example/\x1b[2J"}, "manifest.url"),
        "nested": ({"headers": "[" * 100_000}, "manifest.headers"),
        "formula": ({"platform": "=cmd|' /c calc'!A1"}, "manifest.platform"),
        "label": ({"label_mood": {"$": 1}}, "manifest.label"),
        "../../up": ({}, "manifest.source_id"),
        "=1+1": ({}, "manifest.source_id"),
        "a\nb": ({}, "manifest.source_id"),
    }
    return rows


@dataclass
class Fetched:
    """What became of the manifest."""

    exit_code: int
    root: Path
    expected: dict[str, str]  # reason by key
    outcomes: dict[str, Outcome]
    requests: list[str]


def lookup(host: str, port: int, *rest: object, **named: object) -> list[tuple[object, ...]]:
    """A name server that knows a few names; numbers are read by the system."""
    if host in NAMES:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, port)) for a in NAMES[host]]
    if any(letter in "ghijklmnopqrstuvwyz" for letter in host) and host != "localhost":
        raise socket.gaierror(socket.EAI_NONAME, "unknown")
    return REAL_LOOKUP(host, port, *rest, **named)  # type: ignore[arg-type]


REAL_LOOKUP = socket.getaddrinfo


@pytest.fixture(scope="module")
def fetched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fetched]:
    """One run of the job over all hostile rows and two good ones."""
    base = tmp_path_factory.mktemp("hostile")
    folder, root = base / "manifest", base / "root"
    folder.mkdir()
    write_playable(base / "secret.mp4", [np.zeros((64, 64, 3), np.uint8)] * 5, fps=5)
    (folder / "good.mp4").write_bytes((base / "secret.mp4").read_bytes())
    (folder / "link.mp4").symlink_to(base / "secret.mp4")
    (folder / "list.m3u8").write_bytes(PLAYLIST)
    with serve() as server, pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", lookup)
        patch.setattr(socket.socket, "connect", only_to(server, socket.socket.connect))
        redirect = {"to-inner": "http://169.254.169.254/meta-data", "to-file": "file:///etc/passwd",
                    "round": "/round"}  # fmt: skip
        for name, location in redirect.items():
            server.pages[f"/{name}"] = Page(status=302, headers={"Location": location})
        server.pages["/playlist.m3u8"] = Page(body=PLAYLIST, headers={"Content-Type": "video/mp4"})
        server.pages["/concat.txt"] = Page(body=CONCAT, headers={"Content-Type": "video/mp4"})
        server.pages["/good.mp4"] = Page(body=(folder / "good.mp4").read_bytes())
        rows = hostile_rows(server, folder)
        rows["good-url"] = ({"url": server.url("/good.mp4")}, "")
        rows["good-path"] = ({"url": "", "path": "good.mp4", "licence": "=1+1"}, "")
        expected = write_manifest(folder / "m.jsonl", rows)
        settings = [f"fetch.allow_addresses=['{server.address}']",
                    f"fetch.allow_paths=['{folder}']"]  # fmt: skip
        command = ["fetch", str(root), str(folder / "m.jsonl"), "--in-process"]
        ran = CliRunner().invoke(app, command + [f"--set={setting}" for setting in settings])
        outcomes = {outcome.key: outcome for outcome in read_outcomes(root, "fetch")}
        yield Fetched(ran.exit_code, root, expected, outcomes, list(server.requests))


def only_to(server: Loopback, connect: object) -> object:
    """A connect that fails the test for any address but the server's."""

    def checked(self: socket.socket, address: object) -> None:
        assert address == ("127.0.0.1", server.port), f"connected to {address}"
        connect(self, address)  # type: ignore[operator]

    return checked


def write_manifest(path: Path, rows: dict[str, tuple[dict[str, object], str]]) -> dict[str, str]:
    """Write the rows; the reason of each by the key that it is known by."""
    expected = {}
    with path.open("w", encoding="utf-8") as file:
        for number, (source_id, (changes, reason)) in enumerate(rows.items(), start=1):
            row = {"source_id": source_id, "url": "http://a.example/v.mp4", "path": "",
                   "platform": "web", "licence": "CC0-1.0", "consent": "given", "headers": "",
                   "label_mood": "", **changes}  # fmt: skip
            file.write(json.dumps(row) + "\n")
            safe = reason != "manifest.source_id"
            expected[source_id if safe else f"row-{number}"] = reason
    return expected


def test_every_row_has_its_outcome_and_reason(fetched: Fetched) -> None:
    """Sixty and more hostile rows: each is refused for the reason that it is hostile for."""
    assert len(fetched.expected) - 2 >= 60
    got = {key: outcome.reason for key, outcome in fetched.outcomes.items()}
    assert got == fetched.expected
    assert fetched.exit_code == 0


def test_only_good_rows_become_videos(fetched: Fetched) -> None:
    """Nothing but the two good sources is in the table and in the files."""
    videos = {row["source_id"]: row for row in read_table(fetched.root, "videos").to_pylist()}
    assert set(videos) == {"good-url", "good-path"}
    files = [path for path in (fetched.root / "files").rglob("*") if path.is_file()]
    assert len(files) == 1
    assert videos["good-path"]["licence"] == "'=1+1"


def test_no_secret_gets_into_a_table(fetched: Fetched) -> None:
    """Passwords and cookies of refused rows are in no message."""
    told = " ".join(outcome.message for outcome in fetched.outcomes.values())
    assert "secret@" not in told
    assert "id=secret" not in told
    assert b"id=secret" not in b"".join(
        path.read_bytes() for path in fetched.root.rglob("*.parquet")
    )


def test_messages_are_safe_to_show(fetched: Fetched) -> None:
    """No key or message holds control characters, or is a formula; none is endless."""
    for outcome in fetched.outcomes.values():
        for text in (outcome.key, outcome.message):
            assert not text.startswith(("=", "+", "-", "@"))
            assert text.isprintable()
            assert len(text) < 6000

"""Claims about the fetch stage: one good source in, one row out; each bad one has its reason."""

import hashlib
import pickle
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from curation.fetch import FetchStage
from curation.fetching import platforms
from curation.fetching.settings import FetchSettings, deciding_settings
from dataset.denied import deny
from dataset.errors import ItemDeferredError, ItemError
from dataset.schemas import SCHEMAS
from dataset.tables import commit, read_table, write_shard
from dataset.video import read_frames, write_playable
from tests.unit.curation.loopback import Loopback, Page, serve


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small real video of half a second."""
    path = tmp_path_factory.mktemp("video") / "v.mp4"
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 256, (96, 64, 3), dtype=np.uint8) for _ in range(15)]
    write_playable(path, frames, fps=30.0)
    return path


@pytest.fixture
def server(video: Path) -> Iterator[Loopback]:
    """A server with that video."""
    with serve() as state:
        state.pages["/v.mp4"] = Page(body=video.read_bytes())
        yield state


def item(**changes: object) -> dict[str, object]:
    """A source row."""
    return {
        "source_id": "clip-1", "url": None, "path": None, "platform": "", "licence": "CC0-1.0",
        "consent": "given", "start_seconds": None, "end_seconds": None,
        "headers": "{}", "labels": "{}", **changes,
    }  # fmt: skip


def stage(root: Path, **settings: object) -> FetchStage:
    """A loaded stage; it does not wait between attempts."""
    eager = {"kuaishou": {"sleep_seconds": [0, 0]}}
    given = {"retry_seconds": 0.0, "platforms": eager, **settings}
    made = FetchStage(FetchSettings.model_validate(given), root)
    made.load()
    return made


def reason(root: Path, source: dict[str, object], **settings: object) -> str:
    """Why a source is refused; nothing of it may stay."""
    with pytest.raises(ItemError) as caught:
        list(stage(root, **settings).process(source))
    assert [path for path in (root / "files").glob("*") if path.name != ".partial"] == []
    return caught.value.kind


def test_a_local_file_becomes_a_row(video: Path, tmp_path: Path) -> None:
    """The row names a content-addressed copy, with rights and probe, and fits the table."""
    (row,) = stage(tmp_path).process(item(path=str(video), end_seconds=0.4))
    digest = hashlib.sha256(video.read_bytes()).hexdigest()
    assert row["path"] == f"files/{digest[:2]}/{digest}.mp4"
    assert (tmp_path / str(row["path"])).read_bytes() == video.read_bytes()
    assert (row["platform"], row["url"], row["licence"]) == ("local", "", "CC0-1.0")
    assert (row["width"], row["height"], row["frames"], row["fps"]) == (64, 96, 15, 30.0)
    assert set(row) == set(SCHEMAS["videos"].names) - {"recipe", "created_at"}
    shard = write_shard(tmp_path, "videos", [{**row, "recipe": "r"}], name="part")
    commit(tmp_path, "videos", [shard], app="fetch")
    stored = read_table(tmp_path, "videos").to_pylist()[0]
    assert len(list(read_frames(tmp_path / stored["path"]))) == stored["frames"]


def test_a_url_becomes_a_row(server: Loopback, tmp_path: Path) -> None:
    """A direct link arrives by http, under the platform that the manifest names."""
    source = item(url=server.url("/v.mp4"), platform="kuaishou")
    (row,) = stage(tmp_path, allow_addresses=[server.address]).process(source)
    assert (row["platform"], row["url"]) == ("kuaishou", server.url("/v.mp4"))
    assert row["size_bytes"] == (tmp_path / str(row["path"])).stat().st_size


def test_the_same_content_is_stored_once(video: Path, server: Loopback, tmp_path: Path) -> None:
    """Two sources of one content share a file; the second leaves it as it was."""
    made = stage(tmp_path, allow_addresses=[server.address])
    (one,) = made.process(item(path=str(video)))
    (two,) = made.process(item(source_id="clip-2", url=server.url("/v.mp4")))
    assert one["path"] == two["path"]
    assert len([p for p in (tmp_path / "files").rglob("*") if p.is_file()]) == 1


def test_passing_failures_are_tried_again(server: Loopback, tmp_path: Path) -> None:
    """A server that is busy twice is asked a third time; one that says no is asked once."""
    server.pages["/v.mp4"].failures = 2
    made = stage(tmp_path, allow_addresses=[server.address])
    assert len(list(made.process(item(url=server.url("/v.mp4"))))) == 1
    assert server.requests.count("/v.mp4") == 3
    with pytest.raises(ItemError, match=r"fetch\.http_404"):
        list(made.process(item(url=server.url("/gone"))))
    assert server.requests.count("/gone") == 1


def test_a_truncated_video_is_refused(video: Path, tmp_path: Path) -> None:
    """Half an MP4, its index first or last, is told as truncated."""
    data = video.read_bytes()
    half = tmp_path / "half.mp4"
    half.write_bytes(data[: len(data) // 2])
    assert reason(tmp_path / "root", item(path=str(half))) == "probe.truncated"


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    """A file of no bytes is told as empty."""
    (tmp_path / "empty.mp4").touch()
    source = item(path=str(tmp_path / "empty.mp4"))
    assert reason(tmp_path / "root", source) == "probe.empty"


def test_a_text_named_mp4_is_refused(tmp_path: Path) -> None:
    """What a file is called does not make it a video."""
    (tmp_path / "text.mp4").write_text("not a video at all\n" * 50)
    assert reason(tmp_path / "root", item(path=str(tmp_path / "text.mp4"))) == "probe.not_video"


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    """A path that leads nowhere, or to a folder, is told as missing."""
    root = tmp_path / "root"
    assert reason(root, item(path=str(tmp_path / "no.mp4"))) == "fetch.missing_file"
    assert reason(root, item(path=str(tmp_path))) == "fetch.missing_file"


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("http://127.0.0.1/x.mp4", "fetch.private_address"),
        ("http://169.254.169.254/latest/meta-data", "fetch.private_address"),
        ("https://[::1]/x.mp4", "fetch.private_address"),
        ("http://10.0.0.1:8080/x.mp4", "fetch.private_address"),
        ("file:///etc/passwd", "fetch.scheme"),
        ("ftp://example.org/x.mp4", "fetch.scheme"),
    ],
)
def test_private_addresses_and_schemes_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, kind: str
) -> None:
    """Such a URL is refused without a single connection."""
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("connected"))
    assert reason(tmp_path, item(url=url)) == kind


def test_a_truncated_download_is_refused(server: Loopback, tmp_path: Path) -> None:
    """Fewer bytes than promised, at every attempt, are a failure."""
    server.pages["/short"] = Page(body=b"x" * 100, promised=1000)
    source = item(url=server.url("/short"))
    settings = {"allow_addresses": [server.address], "timeout_seconds": 0.2, "attempts": 2}
    assert reason(tmp_path, source, **settings) == "fetch.truncated"
    assert server.requests.count("/short") == 2


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({"max_bytes": 100}, "fetch.too_large"),
        ({"max_duration_seconds": 0.4}, "probe.too_long"),
        ({"min_side": 65}, "probe.too_small"),
        ({"max_side": 95}, "probe.too_large"),
        ({"max_side": 64}, "probe.too_large"),
        ({"max_fps": 29.0}, "probe.too_fast"),
    ],
)
def test_limits_hold(video: Path, tmp_path: Path, settings: dict[str, float], kind: str) -> None:
    """Each limit refuses what is over it, with a reason of its own."""
    assert reason(tmp_path, item(path=str(video)), **settings) == kind


def test_a_span_past_the_end_is_refused(video: Path, tmp_path: Path) -> None:
    """A span that begins after the video ends is a mistake of the manifest."""
    assert reason(tmp_path, item(path=str(video), start_seconds=0.6)) == "probe.span"


def test_denied_content_does_not_return(video: Path, tmp_path: Path) -> None:
    """A source id, and a content under any id, on the deny-list stay out."""
    denied = tmp_path / "denied.txt"
    denied.write_text(f"clip-1\n{hashlib.sha256(video.read_bytes()).hexdigest()}\n")
    settings = {"deny_list": str(denied)}
    for source_id in ("clip-1", "another-name"):
        source = item(source_id=source_id, path=str(video))
        assert reason(tmp_path / "root", source, **settings) == "fetch.denied"


def test_a_platforms_word_gets_into_the_row(
    server: Loopback, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Title, tags and date of a page, and the manifest's labels; its licence stays the manifest's.

    The page is read by yt-dlp's generic extractor in place of a platform's own.
    """
    monkeypatch.setitem(platforms._EXTRACTORS, "bilibili", ("generic",))
    page = (
        '<html><script type="application/ld+json">{"@context": "http://schema.org", "@type": '
        '"VideoObject", "name": "@dance", "uploadDate": "2024-02-29", "keywords": "a,b", '
        f'"contentUrl": "{server.url("/v.mp4")}"}}</script></html>'
    )
    server.pages["/page"] = Page(body=page.encode(), headers={"Content-Type": "text/html"})
    eager = {"bilibili": {"sleep_seconds": [0, 0], "requests_per_minute": 600}}
    made = stage(tmp_path, allow_addresses=[server.address], platforms=eager)
    source = item(url=server.url("/page?sign=hush"), platform="bilibili",
                  labels='{"label_dance_form": "ballet"}')  # fmt: skip
    server.pages["/page?sign=hush"] = server.pages["/page"]
    (row,) = made.process(source)
    assert (row["title"], row["upload_date"], row["tags"]) == ("'@dance", "2024-02-29", ["a", "b"])
    assert (row["licence"], row["platform_licence"]) == ("CC0-1.0", None)
    assert row["labels"] == '{"label_dance_form": "ballet"}'
    assert row["url"] == server.url("/page")  # a signature is no part of the record
    assert (tmp_path / str(row["path"])).read_bytes() == video.read_bytes()


def test_a_block_puts_rows_off(server: Loopback, tmp_path: Path) -> None:
    """A host that says 429 is asked no more: its rows wait, others go on."""
    server.pages["/busy"] = Page(status=429, headers={"Retry-After": "3600"})
    made = stage(tmp_path, allow_addresses=[server.address])
    for path in ("/busy", "/v.mp4"):
        with pytest.raises(ItemDeferredError, match=r"fetch\.platform_paused"):
            list(made.process(item(url=server.url(path))))
    assert server.requests == ["/busy"]
    kuaishou = item(source_id="k", url=server.url("/v.mp4"), platform="kuaishou")
    assert len(list(made.process(kuaishou))) == 1


def test_a_short_block_is_waited_for(server: Loopback, tmp_path: Path) -> None:
    """A pause within one's patience costs the row nothing but time."""
    server.pages["/v.mp4"].first = [Page(status=429, headers={"Retry-After": "1"})]
    platforms = {"web": {"pause_seconds": 0.1}}
    made = stage(tmp_path, allow_addresses=[server.address], platforms=platforms)
    began = time.monotonic()
    assert len(list(made.process(item(url=server.url("/v.mp4"))))) == 1
    assert time.monotonic() - began >= 1.0
    assert server.requests == ["/v.mp4", "/v.mp4"]


def test_a_fetch_goes_on_in_the_next_run(server: Loopback, video: Path, tmp_path: Path) -> None:
    """What one run left unfinished, another one completes, asking for the rest alone."""
    server.pages["/v.mp4"] = Page(
        body=video.read_bytes(), headers={"ETag": '"1"'}, ranges="right", cuts=[500]
    )
    source, allowed = item(url=server.url("/v.mp4")), [server.address]
    with pytest.raises(ItemError, match=r"fetch\.truncated"):
        list(stage(tmp_path, allow_addresses=allowed, attempts=1).process(source))
    (row,) = stage(tmp_path, allow_addresses=allowed).process(source)
    assert server.asked[1]["Range"] == "bytes=500-"
    assert row["content_sha256"] == hashlib.sha256(video.read_bytes()).hexdigest()
    assert list((tmp_path / "files" / ".partial").iterdir()) == []


def test_what_was_taken_down_stays_out(video: Path, tmp_path: Path) -> None:
    """The dataset's own table of denied sources and contents is asked before and after."""
    deny(tmp_path, ["clip-1", hashlib.sha256(video.read_bytes()).hexdigest()])
    for source_id in ("clip-1", "another-name"):
        source = item(source_id=source_id, path=str(video))
        with pytest.raises(ItemError, match=r"source\.denied"):
            list(stage(tmp_path).process(source))


def test_paths_keep_to_where_they_are_allowed(video: Path, tmp_path: Path) -> None:
    """A folder outside, and a link that leads there, are refused; the folder itself is not."""
    inside, outside = tmp_path / "in", tmp_path / "in-side"
    for folder in (inside, outside):
        folder.mkdir()
        (folder / "v.mp4").write_bytes(video.read_bytes())
    (inside / "link.mp4").symlink_to(outside / "v.mp4")
    root, settings = tmp_path / "root", {"allow_paths": [str(inside)]}
    for path in (outside / "v.mp4", inside / "link.mp4", inside / ".." / "in-side" / "v.mp4"):
        assert reason(root, item(path=str(path)), **settings) == "fetch.path_not_allowed"
    assert len(list(stage(root, **settings).process(item(path=str(inside / "v.mp4"))))) == 1


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/dev/zero", "fetch.missing_file"), ("/proc/self/environ", "probe.not_video"),
     ("\0", "fetch.missing_file"), ("x" * 5000, "fetch.missing_file")],
)  # fmt: skip
def test_odd_paths_end(tmp_path: Path, path: str, kind: str) -> None:
    """Devices, files without a size and names that are none cost their row alone."""
    assert reason(tmp_path, item(path=path), max_bytes=10_000_000) == kind


def test_the_stage_travels_to_workers(video: Path, tmp_path: Path) -> None:
    """A stage that was pickled before it is loaded does its work."""
    made = pickle.loads(pickle.dumps(FetchStage(FetchSettings(), tmp_path)))  # noqa: S301
    made.load()
    assert len(list(made.process(item(path=str(video))))) == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"platforms": {"youtube": {"format": "bv+ba"}}}, "joins streams"),
        ({"platforms": {"youtube": {"proxy": "socks5://a:1"}}}, "must be http://"),
        ({"platforms": {"youtube": {"sleep_seconds": [3, 1]}}}, "the shorter first"),
        ({"platforms": {"youtub": {}}}, "youtub"),
        ({"allow_paths": ["videos"]}, "absolute folders"),
    ],
)
def test_platform_settings_are_validated(settings: dict[str, object], message: str) -> None:
    """What cannot work is refused before any work."""
    with pytest.raises(ValidationError, match=message):
        FetchSettings.model_validate(settings)


def test_a_proxys_login_is_not_printed() -> None:
    """Settings are shown and logged: the proxy's address is not."""
    given = {"platforms": {"web": {"proxy": "http://user:hush@10.0.0.1:3128"}}}
    settings = FetchSettings.model_validate(given)
    assert "hush" not in settings.model_dump_json() + repr(settings)


def test_cookies_are_read_before_any_work(tmp_path: Path) -> None:
    """A cookie file that is missing stops the job, not each of its rows."""
    with pytest.raises(ValueError, match="There is no cookie file"):
        stage(tmp_path, platforms={"web": {"cookies_file": str(tmp_path / "no.txt")}})


def test_settings_are_validated() -> None:
    """Unknown and impossible settings are refused before any work."""
    with pytest.raises(ValidationError, match="max_byte"):
        FetchSettings.model_validate({"max_byte": 1})
    with pytest.raises(ValidationError, match="attempts"):
        FetchSettings.model_validate({"attempts": 0})


def test_waiting_times_do_not_decide() -> None:
    """Another timeout does not make another recipe; another limit does."""
    decided = deciding_settings(FetchSettings())
    assert deciding_settings(FetchSettings(timeout_seconds=1.0, attempts=9)) == decided
    assert deciding_settings(FetchSettings(max_fps=60.0)) != decided
    faster = {"platforms": {"web": {"concurrency": 9, "proxy": "http://a:1"}}}
    assert deciding_settings(FetchSettings.model_validate(faster)) == decided
    smaller = {"platforms": {"tiktok": {"max_height": 480}}}
    assert deciding_settings(FetchSettings.model_validate(smaller)) != decided

"""Claims about platform videos: yt-dlp itself, driven against a server on the loopback address."""

import gc
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from yt_dlp.utils import DownloadError

from curation.fetching import guard, platforms
from curation.fetching.addresses import Target
from curation.fetching.cookies import read_cookies
from curation.fetching.download import Sent
from curation.fetching.failures import retry_class
from curation.fetching.guard import PlatformLimits
from curation.fetching.platform_names import PLATFORMS, budget_name, platform_of
from curation.fetching.platforms import (
    PlatformVideo,
    _platform_error,
    download_from_platform,
    run_extractors,
)
from dataset.errors import ItemError
from dataset.video import write_playable
from tests.unit.curation.loopback import Loopback, Notes, Page, serve

# yt-dlp leaves the sockets of failed requests to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(autouse=True, scope="module")
def _collect_sockets() -> Iterator[None]:
    """Keep what yt-dlp leaves behind out of the tests after these."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A small real video."""
    path = tmp_path_factory.mktemp("video") / "v.mp4"
    write_playable(path, [np.full((64, 64, 3), i * 9, np.uint8) for i in range(10)], fps=10.0)
    return path.read_bytes()


@pytest.fixture
def server(video: bytes) -> Iterator[Loopback]:
    """A server with that video."""
    with serve() as state:
        state.pages["/v.mp4"] = Page(body=video, headers={"Content-Type": "video/mp4"})
        yield state


def limits(server: Loopback, *, max_bytes: int = 1_000_000) -> PlatformLimits:
    """Limits that let the test's own server be reached."""
    allow = frozenset({server.address})
    return PlatformLimits(max_bytes=max_bytes, max_height=720, timeout_seconds=2.0, allow=allow)


def fetch(server: Loopback, path: str, folder: Path, *, max_bytes: int = 1_000_000) -> Path:
    """The file that yt-dlp's generic extractor makes of a page."""
    return fetch_video(server, path, folder, limits(server, max_bytes=max_bytes)).path


def fetch_video(
    server: Loopback, path: str, folder: Path, within: PlatformLimits | None = None
) -> PlatformVideo:
    """What yt-dlp's generic extractor makes of a page."""
    return run_extractors(
        server.url(path), folder, "clip-1",
        extractors=("generic",), limits=within or limits(server),
    )  # fmt: skip


def failure(server: Loopback, path: str, folder: Path, *, max_bytes: int = 1_000_000) -> str:
    """The reason yt-dlp's attempt at a page fails for."""
    with pytest.raises(ItemError) as caught:
        fetch(server, path, folder, max_bytes=max_bytes)
    return caught.value.kind


@pytest.mark.parametrize(
    ("url", "named", "platform"),
    [
        ("https://www.youtube.com/watch?v=x", "", "youtube"),
        ("https://youtu.be/x", "web", "youtube"),
        ("https://www.tiktok.com/@a/video/1", "", "tiktok"),
        ("https://www.douyin.com/video/1", "", "tiktok"),
        ("https://www.bilibili.com/video/BV1", "", "bilibili"),
        ("https://www.xiaohongshu.com/explore/1", "", "xiaohongshu"),
        ("https://short.example/1", "bilibili", "bilibili"),
        ("https://cdn.example/v.mp4", "kuaishou", None),
        ("https://cdn.example/v.mp4", "web", None),
        ("https://youtube.com.evil.example/x", "", None),
        ("https://notyoutube.com/x", "", None),
        ("http://[::1/x", "", None),
    ],
)
def test_platforms_are_told_by_host_or_name(url: str, named: str, platform: str | None) -> None:
    """The host decides, then the manifest's word; everything else is a direct link."""
    assert platform_of(url, named) == platform


def test_yt_dlp_brings_a_video_under_our_name(
    server: Loopback, video: bytes, tmp_path: Path
) -> None:
    """The file is named after the source id, whatever the server calls it, and is alone."""
    headers = {"Content-Type": "video/mp4", "Content-Disposition": "attachment; filename=../../x"}
    server.pages["/v.mp4"] = Page(body=video, headers=headers)
    path = fetch(server, "/v.mp4", tmp_path)
    assert path.parent == tmp_path
    assert path.name.startswith("clip-1.")
    assert path.read_bytes() == video
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_removed_video_is_told(server: Loopback, tmp_path: Path) -> None:
    """A 404 is a permanent reason, a 429 means that the platform blocks."""
    assert failure(server, "/gone", tmp_path) == "fetch.platform_removed"
    server.pages["/busy"] = Page(status=429)
    assert failure(server, "/busy", tmp_path) == "fetch.platform_blocked"


def test_the_size_limit_holds(server: Loopback, tmp_path: Path) -> None:
    """A video over the limit does not arrive."""
    assert failure(server, "/v.mp4", tmp_path, max_bytes=100) == "fetch.too_large"


@pytest.mark.parametrize(
    "page",
    [
        '<html><head><meta property="og:video" content="http://127.0.0.1:9/inner.mp4"></head></html>',
        '<html><head><script type="application/ld+json">{"@context": "http://schema.org", '
        '"@type": "VideoObject", "name": "x", "contentUrl": "http://127.0.0.1:9/inner.mp4"}'
        "</script></head></html>",
    ],
)
def test_media_addresses_are_checked(server: Loopback, tmp_path: Path, page: str) -> None:
    """A page that hands out a media address inside the network gets nothing fetched from it."""
    server.pages["/page"] = Page(body=page.encode(), headers={"Content-Type": "text/html"})
    assert failure(server, "/page", tmp_path) == "fetch.private_address"


def test_lists_are_refused(server: Loopback, tmp_path: Path) -> None:
    """A feed of several videos is not one source; a feed of one is."""
    entry = f"<item><title>a</title><link>{server.url('/v.mp4')}</link></item>"
    for count in (1, 2):
        feed = f'<rss version="2.0"><channel><title>t</title>{entry * count}</channel></rss>'
        headers = {"Content-Type": "application/rss+xml"}
        server.pages[f"/feed{count}"] = Page(body=feed.encode(), headers=headers)
    assert fetch(server, "/feed1", tmp_path).is_file()
    assert failure(server, "/feed2", tmp_path) == "fetch.platform_unsupported"


@pytest.mark.parametrize("platform", PLATFORMS)
def test_only_the_platforms_own_extractor_runs(
    server: Loopback, tmp_path: Path, platform: str
) -> None:
    """A URL that is not the platform's is refused before any request, also by its column."""
    with pytest.raises(ItemError, match=r"fetch\.platform_unsupported"):
        download_from_platform(
            server.url("/v.mp4"), tmp_path, "clip-1", platform=platform, limits=limits(server)
        )
    assert server.requests == []


def test_private_pages_are_refused(tmp_path: Path) -> None:
    """Without an entry in the allow-list the loopback server is not asked."""
    with serve() as server:
        closed = PlatformLimits(max_bytes=1000, max_height=720, timeout_seconds=1.0)
        with pytest.raises(ItemError, match=r"fetch\.private_address"):
            run_extractors(
                server.url("/v.mp4"), tmp_path, "x", extractors=("generic",), limits=closed
            )
        assert server.requests == []


def test_plugins_on_the_path_are_not_loaded(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Code that calls itself a yt-dlp plug-in is not imported."""
    plugin = tmp_path / "path" / "yt_dlp_plugins" / "extractor" / "evil.py"
    plugin.parent.mkdir(parents=True)
    plugin.write_text("raise SystemExit('a plug-in ran')")
    monkeypatch.syspath_prepend(str(tmp_path / "path"))
    videos = tmp_path / "videos"
    videos.mkdir()
    assert fetch(server, "/v.mp4", videos).is_file()


def test_numbers_of_an_address_are_no_status() -> None:
    """A port or an id with 404 or 429 in it does not make a video removed or a platform blocked."""
    url = "http://127.0.0.1:41025/v429.mp4"
    error = _platform_error(url, DownloadError(f"No suitable extractor found for URL {url}"))
    assert error.kind == "fetch.platform_unsupported"
    gone = _platform_error(url, DownloadError(f"HTTP Error 404: Not Found: {url}"))
    assert gone.kind == "fetch.platform_removed"


@pytest.mark.parametrize(
    ("url", "named", "name"),
    [
        ("https://m.youtube.com/watch?v=x", "", "youtube"),
        ("https://cdn.example/v.mp4", "kuaishou", "kuaishou"),
        ("https://cdn.example/v.mp4", "web", "web/cdn.example"),
        ("https://CDN.example./v.mp4", "", "web/cdn.example"),
        ("http://[::1/", "", "web/"),
    ],
)
def test_budgets_are_shared_by_platform_or_host(url: str, named: str, name: str) -> None:
    """Videos of a platform share its budget; on the open web every host has its own."""
    assert budget_name(url, named) == name


def served(server: Loopback, body: str, **headers: str) -> None:
    """A page of HTML at /page."""
    given = {"Content-Type": "text/html", **headers}
    server.pages["/page"] = Page(body=body.encode(), headers=given)


def page_of(media: str) -> str:
    """A page that describes a video as schema.org does."""
    return (
        '<html><head><title>t</title><script type="application/ld+json">{"@context": '
        '"http://schema.org", "@type": "VideoObject", "name": "=A \\u202edance", "duration": '
        '"PT1S", "uploadDate": "2024-02-29T10:00:00Z", "keywords": "ballet,solo", '
        f'"contentUrl": "{media}"}}</script></head></html>'
    )


def test_metadata_comes_along(server: Loopback, video: bytes, tmp_path: Path) -> None:
    """Title, date, tags and length are kept as harmless text; no title is in a path."""
    served(server, page_of(server.url("/v.mp4")))
    got = fetch_video(server, "/page", tmp_path)
    assert got.path.read_bytes() == video
    assert got.metadata.title == "'=A dance"
    assert (got.metadata.upload_date, got.metadata.tags) == ("2024-02-29", ["ballet", "solo"])
    assert got.metadata.platform_duration_seconds == 1.0
    assert "dance" not in str(got.path.relative_to(tmp_path))


def test_downloads_go_on_where_they_stopped(server: Loopback, video: bytes, tmp_path: Path) -> None:
    """The media that broke off is asked for from there on, and is whole then."""
    headers = {"Content-Type": "video/mp4", "ETag": '"1"'}
    server.pages["/v.mp4"] = Page(body=video, headers=headers, ranges="right")
    served(server, page_of(server.url("/v.mp4")))
    whole = len(video)
    server.pages["/v.mp4"].cuts = [whole, whole // 2]
    with pytest.raises(ItemError) as caught:
        fetch_video(server, "/page", tmp_path)
    assert retry_class(caught.value.kind) == "transient"
    assert fetch_video(server, "/page", tmp_path).path.read_bytes() == video
    assert server.asked[-1]["Range"] == f"bytes={whole // 2}-"


def test_another_version_is_not_gone_on_with(
    server: Loopback, video: bytes, tmp_path: Path
) -> None:
    """Where the platform now offers another file, the old bytes are dropped."""
    (tmp_path / "clip-1.0123456789abcdef.mp4.part").write_bytes(b"old bytes")
    served(server, page_of(server.url("/v.mp4")))
    assert fetch_video(server, "/page", tmp_path).path.read_bytes() == video
    assert len(list(tmp_path.iterdir())) == 1


def refusal(server: Loopback, tmp_path: Path, pace: Notes, path: str = "/page") -> ItemError:
    """How a page fails; what it asks the budget for goes into ``pace``."""
    with pytest.raises(ItemError) as caught:
        run_extractors(
            server.url(path), tmp_path, "clip-1",
            extractors=("generic",), limits=limits(server), pace=pace,
        )  # fmt: skip
    return caught.value


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (429, "", "fetch.platform_blocked"),
        (412, "<html>Please solve the captcha</html>", "fetch.platform_blocked"),
        (503, "", "fetch.platform_network"),
        (404, "", "fetch.platform_removed"),
    ],
)
def test_what_pages_answer_has_its_class(
    server: Loopback, tmp_path: Path, status: int, body: str, kind: str
) -> None:
    """Blocks are told from failures that pass, and from videos that are gone; with Retry-After."""
    headers = {"Retry-After": "7"}
    server.pages["/page"] = Page(status=status, body=body.encode(), headers=headers)
    notes = Notes()
    assert refusal(server, tmp_path, notes).kind == kind
    assert set(notes.told) == {7.0}


@pytest.mark.parametrize(
    "location", ["http://169.254.169.254/v.mp4", "ftp://127.0.0.1/v.mp4", "file:///etc/passwd"]
)
def test_redirects_are_checked_too(server: Loopback, tmp_path: Path, location: str) -> None:
    """A page, and a media address, that leads inside or elsewhere is not followed."""
    server.pages["/v.mp4"] = Page(status=302, headers={"Location": location})
    served(server, page_of(server.url("/v.mp4")))
    server.pages["/moved"] = server.pages["/v.mp4"]
    for path in ("/page", "/moved"):
        error = refusal(server, tmp_path, Notes(), path)
        assert retry_class(error.kind) == "permanent"
        assert list(tmp_path.glob("*.mp4")) == []
    if location.startswith("http:"):
        assert error.kind == "fetch.private_address"


def test_redirects_inside_are_never_connected_to(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not a single connection goes anywhere but to the server itself."""
    connect = socket.socket.connect

    def only_there(self: socket.socket, address: object) -> None:
        assert address == ("127.0.0.1", server.port)
        connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", only_there)
    server.pages["/moved"] = Page(status=301, headers={"Location": "http://10.0.0.1/v.mp4"})
    assert refusal(server, tmp_path, Notes(), "/moved").kind == "fetch.private_address"


def test_opt_outs_of_pages_and_media_are_honoured(server: Loopback, tmp_path: Path) -> None:
    """Whoever of the two says noai, to all or to us, is heard."""
    served(server, page_of(server.url("/v.mp4")), **{"X-Robots-Tag": "noai"})
    assert refusal(server, tmp_path, Notes()).kind == "fetch.opted_out"
    served(server, page_of(server.url("/v.mp4")))
    server.pages["/v.mp4"].headers["X-Robots-Tag"] = "champ-pipeline: noimageai"
    error = refusal(server, tmp_path, Notes())
    assert (error.kind, error.status) == ("fetch.opted_out", "rejected")


def test_everything_is_within_the_budget(server: Loopback, video: bytes, tmp_path: Path) -> None:
    """Each request that the server sees, and each byte of the video, was asked for before."""
    served(server, page_of(server.url("/v.mp4")))
    notes = Notes()
    run_extractors(
        server.url("/page"), tmp_path, "clip-1",
        extractors=("generic",), limits=limits(server), pace=notes,
    )  # fmt: skip
    assert notes.requests == len(server.requests)
    assert notes.bytes == len(video)


def test_an_endless_video_is_stopped(server: Loopback, video: bytes, tmp_path: Path) -> None:
    """A server that promises no length is held to the limit while the bytes come."""
    server.pages["/v.mp4"] = Page(
        body=video * 50, endless=True, headers={"Content-Type": "video/mp4"}
    )
    assert failure(server, "/v.mp4", tmp_path, max_bytes=len(video)) == "fetch.too_large"


def test_cookies_are_sent_and_never_written(server: Loopback, tmp_path: Path) -> None:
    """The user's file stays as it is, though the server sets others; none is left anywhere."""
    jar, folder = tmp_path / "cookies.txt", tmp_path / "videos"
    folder.mkdir()
    jar.write_text("# Netscape HTTP Cookie File\n127.0.0.1\tFALSE\t/\tFALSE\t0\tid\thush\n")
    before = (jar.read_bytes(), jar.stat().st_mtime_ns)
    served(server, page_of(server.url("/v.mp4")), **{"Set-Cookie": "id=changed"})
    sent = Sent(cookies=read_cookies(jar))
    got = fetch_video(server, "/page", folder, replace(limits(server), sent=sent))
    assert server.asked[0]["Cookie"] == "id=hush"
    assert (jar.read_bytes(), jar.stat().st_mtime_ns) == before
    assert "hush" not in str(got.metadata)
    assert [path.name for path in folder.iterdir()] == [got.path.name]


def test_a_proxy_is_used_for_all(server: Loopback, tmp_path: Path) -> None:
    """With a proxy nothing is asked of the server directly."""
    with serve() as closed:
        proxy = f"http://user:pass@{closed.address}"
    within = replace(limits(server), sent=Sent(proxy=proxy))
    with pytest.raises(ItemError) as caught:
        fetch_video(server, "/v.mp4", tmp_path, within)
    assert retry_class(caught.value.kind) == "transient"
    assert "pass" not in caught.value.message
    assert server.requests == []


def test_streams_in_pieces_arrive(server: Loopback, video: bytes, tmp_path: Path) -> None:
    """An HLS playlist is put together without FFmpeg; one that names inner addresses is not."""
    head = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n"
    server.pages["/piece.ts"] = Page(body=video)
    headers = {"Content-Type": "application/vnd.apple.mpegurl"}
    for name, piece in (("good", "piece.ts"), ("inner", "http://10.0.0.1/x.ts"),
                        ("file", "file:///etc/passwd")):  # fmt: skip
        text = f"{head}{piece}\n#EXT-X-ENDLIST\n"
        server.pages[f"/{name}.m3u8"] = Page(body=text.encode(), headers=headers)
    assert fetch(server, "/good.m3u8", tmp_path).read_bytes() == video
    assert failure(server, "/inner.m3u8", tmp_path) == "fetch.private_address"
    assert failure(server, "/file.m3u8", tmp_path).startswith("fetch.")


@pytest.mark.parametrize(("most", "wanted"), [(720, 360), (1080, 1080), (240, 360)])
def test_the_height_is_chosen(
    server: Loopback, video: bytes, tmp_path: Path, most: int, wanted: int
) -> None:
    """The best pictures up to the height are taken; where all are larger, the smallest."""
    headers = {"Content-Type": "application/vnd.apple.mpegurl"}
    master = "#EXTM3U\n"
    for height in (360, 1080):
        master += (
            f"#EXT-X-STREAM-INF:BANDWIDTH={height}000,RESOLUTION={height * 2}x{height}\n"
            f"{height}.m3u8\n"
        )
        piece = f"#EXTM3U\n#EXTINF:1,\n{height}.ts\n#EXT-X-ENDLIST\n"
        server.pages[f"/{height}.m3u8"] = Page(body=piece.encode(), headers=headers)
        server.pages[f"/{height}.ts"] = Page(body=video)
    server.pages["/master.m3u8"] = Page(body=master.encode(), headers=headers)
    fetch_video(server, "/master.m3u8", tmp_path, replace(limits(server), max_height=most))
    assert [path for path in server.requests if path.endswith(".ts")] == [f"/{wanted}.ts"]


def test_the_checked_address_is_the_one_connected_to(
    server: Loopback, video: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that was checked is not looked up again: a changed answer has no effect."""

    def checked(url: str, *, allow: frozenset[str]) -> Target:
        return Target(
            scheme="http", host="rebinding.example", port=server.port,
            request_path=url, addresses=("127.0.0.1",),
        )  # fmt: skip

    def lookup(host: str, port: int, *_: object, **__: object) -> list[tuple[object, ...]]:
        assert host == "127.0.0.1", f"{host} was looked up again"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port))]

    for module in (guard, platforms):
        monkeypatch.setattr(module, "check_public", checked)
    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    got = run_extractors(
        f"http://rebinding.example:{server.port}/v.mp4", tmp_path, "clip-1",
        extractors=("generic",), limits=limits(server),
    )  # fmt: skip
    assert got.path.read_bytes() == video


def test_a_full_disk_is_no_failure_of_the_video() -> None:
    """It stops the job, which goes on when there is room."""
    with pytest.raises(OSError, match="No space left"):
        _platform_error("http://a.org/", DownloadError("unable to write data: No space left"))

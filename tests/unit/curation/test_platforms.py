"""Claims about platform videos: yt-dlp itself, driven against a server on the loopback address."""

import gc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from yt_dlp.utils import DownloadError

from curation.cookies import read_cookies
from curation.download import Sent
from curation.failures import retry_class
from curation.guard import PlatformLimits
from curation.metadata import PlatformMetadata
from curation.platform_names import PLATFORMS, budget_name, platform_of
from curation.platforms import (
    PlatformVideo,
    _platform_error,
    download_from_platform,
    run_extractors,
)
from dataset.errors import ItemError
from dataset.video import write_playable
from tests.unit.curation.loopback import Loopback, Page, serve

# yt-dlp leaves the sockets of failed requests to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(autouse=True)
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

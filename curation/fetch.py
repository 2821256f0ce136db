"""The fetch stage: a source becomes a probed, content-addressed file and a ``videos`` row."""

from __future__ import annotations

import hashlib
import math
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import Field

from curation.download import DownloadLimits, download
from curation.platforms import PlatformLimits, download_from_platform, platform_of
from dataset.durable import sync
from dataset.errors import ItemError
from dataset.fingerprint import file_sha256
from dataset.settings import Settings
from dataset.video import VideoProbe, probe_video

_CHUNK_BYTES = 1 << 20
_TOLD_BY_PLATFORMS = (
    "title",
    "uploader_id",
    "upload_date",
    "platform_licence",
    "platform_duration_seconds",
    "tags",
    "video_id",
)
_PARTIAL = ".fetch-"
_TRANSIENT = (
    "fetch.unreachable",
    "fetch.timeout",
    "fetch.truncated",
    "fetch.http_429",
    "fetch.http_500",
    "fetch.http_502",
    "fetch.http_503",
    "fetch.http_504",
)


class FetchSettings(Settings):
    """What a source may be and cost before it is refused."""

    max_bytes: int = Field(default=2 << 30, gt=0, description="Largest file, in bytes")
    max_duration_seconds: float = Field(default=3600.0, gt=0, description="Longest video")
    min_side: int = Field(default=64, gt=0, description="Least pixels of the shorter side")
    max_side: int = Field(default=4096, gt=0, description="Most pixels of the longer side")
    max_fps: float = Field(default=240.0, gt=0, description="Most frames per second")
    timeout_seconds: float = Field(
        default=30.0, gt=0, description="A download without progress ends"
    )
    total_seconds: float = Field(default=1800.0, gt=0, description="A download of any speed ends")
    attempts: int = Field(default=3, ge=1, description="Tries of a download that failed in passing")
    retry_seconds: float = Field(
        default=2.0, ge=0, description="Wait before the second try; then doubled"
    )
    platform_height: int = Field(
        default=1080, gt=0, description="Pixels of height asked of a platform"
    )
    cookies_file: Path | None = Field(
        default=None, description="Netscape cookie file, for platforms"
    )
    deny_list: Path | None = Field(
        default=None,
        description="Text file: a source_id or a content SHA-256 a line that never comes in",
    )
    allow_addresses: tuple[str, ...] = Field(
        default=(),
        description='"address:port" that may be reached although not public, e.g. a cache',
    )


def deciding_settings(settings: FetchSettings) -> dict[str, object]:
    """The settings that decide what is fetched, for the recipe: no waiting times, no places."""
    return settings.model_dump(
        mode="json",
        exclude={
            "timeout_seconds",
            "total_seconds",
            "attempts",
            "retry_seconds",
            "cookies_file",
            "deny_list",
            "allow_addresses",
        },
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Arrived:
    path: Path
    sha256: str


class FetchStage:
    """Source rows in (``Source.as_item``), ``videos`` rows out; files in ``root/files``."""

    name = "fetch"
    version = 1
    cpus = 1.0
    gpus = 0.0

    def __init__(self, settings: FetchSettings, root: Path) -> None:
        self._settings = settings
        self._root = root
        self._denied: frozenset[str] = frozenset()

    def load(self) -> None:
        """Make the folder of the files, read the deny-list."""
        (self._root / "files").mkdir(parents=True, exist_ok=True)
        if self._settings.deny_list is not None:
            self._denied = frozenset(self._settings.deny_list.read_text("utf-8").split())

    def process(self, item: Mapping[str, object]) -> Iterator[dict[str, object]]:
        """Bring the source's file here, check it, and yield its row.

        Raises:
            ItemError: ``fetch.*`` where it does not arrive (``fetch.missing_file``,
                ``fetch.too_large``, ...: see curation/download.py and platforms.py), ``probe.*``
                where it is no video or not a whole one, or is over the limits.
        """
        self._check_allowed(str(item["source_id"]))
        # Beside its final place, so that the last step is a rename within one file system.
        with tempfile.TemporaryDirectory(prefix=_PARTIAL, dir=self._root / "files") as folder:
            arrived = self._bring(item, Path(folder))
            self._check_allowed(arrived.sha256)
            probe = probe_video(arrived.path, max_pixels=self._settings.max_side**2)
            self._check(probe, item)
            stored = _store(arrived, self._root, probe.suffix)
        yield self._row(item, probe, arrived.sha256, stored)

    def _check_allowed(self, name: str) -> None:
        if name in self._denied:
            raise ItemError("fetch.denied", f"{name} is on the deny-list", status="rejected")

    def _bring(self, item: Mapping[str, object], folder: Path) -> _Arrived:
        target = folder / "content"
        if item.get("path"):
            digest = _copy(Path(str(item["path"])), target, self._settings.max_bytes)
            return _Arrived(path=target, sha256=digest)
        for attempt in range(1, self._settings.attempts + 1):
            try:
                return self._download(item, folder, target)
            except ItemError as error:
                if error.kind not in _TRANSIENT or attempt == self._settings.attempts:
                    raise
                time.sleep(self._settings.retry_seconds * 2 ** (attempt - 1))
        raise AssertionError("the last attempt returns or raises")

    def _download(self, item: Mapping[str, object], folder: Path, target: Path) -> _Arrived:
        settings, url = self._settings, str(item["url"])
        allow = frozenset(settings.allow_addresses)
        platform = platform_of(url, str(item.get("platform") or ""))
        if platform is not None:
            limits = PlatformLimits(
                max_bytes=settings.max_bytes,
                max_height=settings.platform_height,
                timeout_seconds=settings.timeout_seconds,
                cookies_file=settings.cookies_file,
                allow=allow,
            )
            source_id = str(item["source_id"])
            path = download_from_platform(url, folder, source_id, platform=platform, limits=limits)
            return _Arrived(path=path, sha256=file_sha256(path))
        limits = DownloadLimits(
            max_bytes=settings.max_bytes,
            timeout_seconds=settings.timeout_seconds,
            total_seconds=settings.total_seconds,
            allow=allow,
        )
        return _Arrived(path=target, sha256=download(url, target, limits).sha256)

    def _check(self, probe: VideoProbe, item: Mapping[str, object]) -> None:
        settings = self._settings
        short, long = sorted((probe.width, probe.height))
        start = float(str(item.get("start_seconds") or 0.0))
        limits = (
            ("probe.too_long", probe.duration_seconds, 0.0, settings.max_duration_seconds),
            ("probe.too_small", short, settings.min_side, math.inf),
            ("probe.too_large", long, 0, settings.max_side),
            ("probe.too_fast", probe.fps, 0.0, settings.max_fps),
            ("probe.span", start, 0.0, probe.duration_seconds),
        )
        for kind, value, least, most in limits:
            if not least <= value <= most:
                message = f"{value:g} is not between {least:g} and {most:g}"
                raise ItemError(kind, message, status="rejected")

    def _row(
        self, item: Mapping[str, object], probe: VideoProbe, sha256: str, stored: Path
    ) -> dict[str, object]:
        url = str(item.get("url") or "")
        known = asdict(probe)
        shown = ("width", "height", "fps", "frames", "duration_seconds", "codec")
        return {
            "source_id": item["source_id"],
            "path": stored.relative_to(self._root).as_posix(),
            "content_sha256": sha256,
            "size_bytes": stored.stat().st_size,
            "url": url,
            "platform": item.get("platform") or platform_of(url, "") or ("web" if url else "local"),
            "licence": item["licence"],
            "consent": item["consent"],
            "start_seconds": item.get("start_seconds"),
            "end_seconds": item.get("end_seconds"),
            **{name: known[name] for name in shown},
            **dict.fromkeys(_TOLD_BY_PLATFORMS),
            "labels": item.get("labels") or "{}",
        }


def sweep_partial_downloads(root: Path, *, older_than_seconds: float) -> list[Path]:
    """Remove what killed downloads left in ``root/files``, and return the folders."""
    newest = time.time() - older_than_seconds
    folders = [path for path in (root / "files").glob(f"{_PARTIAL}*") if path.is_dir()]
    old = sorted(path for path in folders if path.stat().st_mtime <= newest)
    for path in old:
        shutil.rmtree(path)
    return old


def _copy(source: Path, target: Path, max_bytes: int) -> str:
    """Copy a local file and return its SHA-256, both in one pass."""
    if not source.is_file():
        raise ItemError("fetch.missing_file", f"there is no file {source}")
    size = source.stat().st_size
    if size > max_bytes:
        raise ItemError("fetch.too_large", f"{source}: {size} > {max_bytes}", status="rejected")
    digest = hashlib.sha256()
    try:
        with source.open("rb") as reading, target.open("wb") as writing:
            while chunk := reading.read(_CHUNK_BYTES):
                digest.update(chunk)
                writing.write(chunk)
    except PermissionError as error:
        raise ItemError("fetch.missing_file", f"{source} may not be read: {error}") from error
    return digest.hexdigest()


def _store(arrived: _Arrived, root: Path, suffix: str) -> Path:
    """Move a file to the place its content names, durably; the same content is stored once."""
    folder = root / "files" / arrived.sha256[:2]
    folder.mkdir(parents=True, exist_ok=True)
    final = folder / f"{arrived.sha256}{suffix}"
    sync(arrived.path)
    arrived.path.replace(final)
    sync(folder)
    sync(folder.parent)
    return final

"""Bringing one source's file here, from wherever its row says that it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from curation.fetching.budgets import Budget
from curation.fetching.cookies import read_cookies
from curation.fetching.download import DownloadLimits, Sent, download
from curation.fetching.guard import PlatformLimits
from curation.fetching.local_files import copy_local
from curation.fetching.metadata import PlatformMetadata
from curation.fetching.object_stores import copy_object, is_object
from curation.fetching.platform_names import budget_name, platform_of
from curation.fetching.platforms import download_from_platform
from curation.fetching.settings import FetchSettings, PlatformSettings
from curation.fetching.turns import Turn, Turns
from dataset.fingerprint import file_sha256

Item = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """A file that has arrived whole, and what its platform says of it."""

    path: Path
    sha256: str
    metadata: PlatformMetadata


class Bringer:
    """Local files, objects of stores, direct links, and pages of platforms.

    Raises:
        ValueError: A cookie file of the settings cannot be read.
    """

    def __init__(self, settings: FetchSettings, budget: Budget) -> None:
        self._settings = settings
        self._turns = Turns(budget, settings.retry_rules)
        self._cookies = {
            section.cookies_file: read_cookies(section.cookies_file)
            for _, section in settings.platforms
            if section.cookies_file is not None
        }

    def bring(self, item: Item, folder: Path) -> Arrived:
        """Bring a source's file into ``folder``, where an earlier try may have left some of it.

        Raises:
            ItemError: ``fetch.*``: see ``copy_local``, ``copy_object``, ``download`` and
                ``download_from_platform``.
            ItemDeferredError: The platform is paused.
        """
        if item.get("path"):
            return self._copy(str(item["path"]), folder / "content")
        url, named = str(item["url"]), str(item.get("platform") or "")
        name = budget_name(url, named)
        section = self._settings.platforms.of(name)

        def attempt(turn: Turn) -> Arrived:
            return self._fetch(item, folder, section, turn)

        return self._turns.run(name, section.rates, attempt, sleep_seconds=section.sleep_seconds)

    def _copy(self, path: str, target: Path) -> Arrived:
        settings = self._settings
        limits = {"max_bytes": settings.max_bytes, "allow_paths": settings.allow_paths}
        if is_object(path):
            digest = copy_object(path, target, **limits)
        else:
            digest = copy_local(Path(path), target, **limits)
        return Arrived(path=target, sha256=digest, metadata=PlatformMetadata())

    def _fetch(self, item: Item, folder: Path, section: PlatformSettings, turn: Turn) -> Arrived:
        url = str(item["url"])
        platform = platform_of(url, str(item.get("platform") or ""))
        if platform is None:
            got = download(
                url,
                folder / "content",
                self._download_limits(),
                sent=self._sent(item, section),
                pace=turn,
            )
            return Arrived(path=folder / "content", sha256=got.sha256, metadata=PlatformMetadata())
        video = download_from_platform(
            url,
            folder,
            str(item["source_id"]),
            platform=platform,
            limits=self._platform_limits(item, section),
            pace=turn,
        )
        return Arrived(path=video.path, sha256=file_sha256(video.path), metadata=video.metadata)

    def _sent(self, item: Item, section: PlatformSettings) -> Sent:
        return Sent(
            headers=json.loads(str(item.get("headers") or "{}")),
            cookies=self._cookies.get(section.cookies_file) if section.cookies_file else None,
            proxy=section.proxy.get_secret_value() if section.proxy else "",
        )

    def _download_limits(self) -> DownloadLimits:
        return DownloadLimits(
            max_bytes=self._settings.max_bytes,
            timeout_seconds=self._settings.timeout_seconds,
            total_seconds=self._settings.total_seconds,
            allow=frozenset(self._settings.allow_addresses),
        )

    def _platform_limits(self, item: Item, section: PlatformSettings) -> PlatformLimits:
        return PlatformLimits(
            max_bytes=self._settings.max_bytes,
            timeout_seconds=self._settings.timeout_seconds,
            total_seconds=self._settings.total_seconds,
            max_height=section.max_height,
            format=section.format,
            sent=self._sent(item, section),
            allow=frozenset(self._settings.allow_addresses),
        )

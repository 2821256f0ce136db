"""The fetch stage: a source becomes a probed, content-addressed file and a ``videos`` row."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict

from curation.fetching.bring import Arrived, Bringer
from curation.fetching.budgets import Budget, PlatformBudgets
from curation.fetching.partials import partial_folder
from curation.fetching.platform_names import platform_of
from curation.fetching.settings import FETCH_VERSION, FetchSettings
from curation.fetching.urls import without_secrets
from dataset.denied import DenyList, read_denied
from dataset.errors import ItemError
from dataset.storage import Location, store_file
from dataset.video import VideoProbe, probe_video

_PROBED = (
    *("width", "height", "fps", "frames", "duration_seconds", "codec", "container"),
    *("pixel_format", "interlaced", "hdr", "alpha", "variable_rate", "has_audio", "video_streams"),
)
_FROM_MANIFEST = ("source_id", "licence", "consent", "start_seconds", "end_seconds")


class FetchStage:
    """Source rows in (``Source.as_item``), ``videos`` rows out; files in ``root/files``.

    Args:
        settings: Limits and platforms.
        root: The dataset root.
        budget: What all workers share; None: a budget of this worker's own.
    """

    name = "fetch"
    version = FETCH_VERSION
    cpus = 1.0
    gpus = 0.0

    def __init__(
        self, settings: FetchSettings, root: Location, budget: Budget | None = None
    ) -> None:
        self._settings, self._root, self._budget = settings, root, budget

    def load(self) -> None:
        """Read deny-lists and cookies."""
        listed = self._settings.deny_list
        self._listed = frozenset(listed.read_text("utf-8").split() if listed else ())
        self._denied: DenyList = read_denied(self._root)
        self._bringer = Bringer(self._settings, self._budget or PlatformBudgets())

    def process(self, item: Mapping[str, object]) -> Iterator[dict[str, object]]:
        """Bring the source's file here, check it, and yield its row.

        Raises:
            ItemError: ``fetch.*`` where it does not arrive (see ``Bringer.bring``),
                ``fetch.denied``, ``source.denied``, ``probe.*`` where it is no video or not a whole
                one, or is over the limits.
            ItemDeferredError: Its platform is paused.
        """
        self._check_allowed(str(item["source_id"]))
        with partial_folder(self._root, str(item["source_id"])) as folder:
            arrived = self._bringer.bring(item, folder)
            self._check_allowed(arrived.sha256)
            probe = probe_video(arrived.path, max_pixels=self._settings.max_side**2)
            self._check(probe, item)
            size = arrived.path.stat().st_size
            stored = _store(arrived, self._root, probe.suffix)
        yield {**self._row(item, probe, arrived), "path": stored, "size_bytes": size}

    def _check_allowed(self, name: str) -> None:
        if name in self._listed:
            raise ItemError("fetch.denied", f"{name} is on the deny-list", status="rejected")
        self._denied.check(name)

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
        self, item: Mapping[str, object], probe: VideoProbe, arrived: Arrived
    ) -> dict[str, object]:
        url, known = str(item.get("url") or ""), asdict(probe)
        return {
            **{name: item.get(name) for name in _FROM_MANIFEST},
            "content_sha256": arrived.sha256,
            "url": without_secrets(url),
            "platform": item.get("platform") or platform_of(url, "") or ("web" if url else "local"),
            **{name: known[name] for name in _PROBED},
            **asdict(arrived.metadata),
            "labels": item.get("labels") or "{}",
        }


def _store(arrived: Arrived, root: Location, suffix: str) -> str:
    """Move a file to the place its content names, durably, and return that place under the root.

    The same content is stored once.
    """
    path = f"files/{arrived.sha256[:2]}/{arrived.sha256}{suffix}"
    store_file(arrived.path, root / path)
    return path

"""What became of every source and every candidate clip, platform by platform, adding up to all.

Every source has exactly one fate, the first step that it did not pass or the last that it did; so
has every candidate clip. What waits for a job is a fate too: nothing drops out of the count.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from dataset.outcomes import read_outcomes
from dataset.tables import read_table
from pipeline.recipes import curate_recipe, fetch_recipe, render_recipe, select_recipe
from pipeline.workspace import Workspace

WAITS_FOR_FETCH = "waits for fetch"
WAITS_FOR_CURATE = "waits for curate"
WAITS_FOR_SELECT = "waits for select"
WAITS_FOR_RENDER = "waits for render"
NONE_SELECTED = "no clip selected"
GAVE_CLIPS = "gave selected clips"
RENDERED = "rendered"
KEPT = frozenset({GAVE_CLIPS, RENDERED, WAITS_FOR_RENDER})

_NO_PLATFORM = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """How many items of a platform ended in one way, and how long they are together."""

    name: str  # a reason, or one of the names above
    count: int
    share: float  # of the platform's items
    seconds: float  # of footage; 0 where it is not known
    kept: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Funnel:
    """A platform's items by what became of them; counts add up to ``total``."""

    platform: str
    total: int
    seconds: float
    fates: tuple[Fate, ...]


@dataclass(frozen=True, slots=True)
class _Item:
    platform: str
    fate: str
    seconds: float


def source_funnels(workspace: Workspace) -> list[Funnel]:
    """What became of every source of the manifests, largest platform first."""
    root, config = workspace.root, workspace.config
    fetched = _latest(workspace, "fetch", fetch_recipe(config))
    curated = _latest(workspace, "curate", curate_recipe(config))
    columns = ["source_id", "platform", "duration_seconds"]
    videos = {
        row["source_id"]: row
        for row in read_table(
            root, "videos", columns=columns, recipe=fetch_recipe(config)
        ).to_pylist()
    }
    listed = {
        row["source_id"]: row["platform"]
        for row in read_table(root, "sources", columns=["source_id", "platform"]).to_pylist()
    }
    giving = {row["source_id"] for row in _decisions(workspace) if row["selected"]}
    items = []
    for source in listed.keys() | fetched.keys() | videos.keys():
        video = videos.get(source)
        if video is None:
            fate = fetched.get(source) or WAITS_FOR_FETCH
        elif source not in curated:
            fate = WAITS_FOR_CURATE
        else:
            fate = curated[source] or (GAVE_CLIPS if source in giving else NONE_SELECTED)
        platform = (video or {}).get("platform") or listed.get(source) or _NO_PLATFORM
        items.append(_Item(platform, fate, (video or {}).get("duration_seconds") or 0.0))
    return _funnels(items)


def clip_funnels(workspace: Workspace) -> list[Funnel]:
    """What became of every candidate clip, largest platform first."""
    root, config = workspace.root, workspace.config
    rendered = _latest(workspace, "render", render_recipe(config))
    decisions = {row["clip_id"]: row for row in _decisions(workspace)}
    platforms = {
        row["source_id"]: row["platform"]
        for row in read_table(root, "videos", columns=["source_id", "platform"]).to_pylist()
    }
    columns = ["clip_id", "source_id", "frames", "fps"]
    clips = read_table(root, "clips", columns=columns, recipe=curate_recipe(config)).to_pylist()
    items = []
    for clip in clips:
        decision = decisions.get(clip["clip_id"])
        if decision is None:
            fate = WAITS_FOR_SELECT
        elif not decision["selected"]:
            fate = decision["reason"]
        elif clip["clip_id"] not in rendered:
            fate = WAITS_FOR_RENDER
        else:
            fate = rendered[clip["clip_id"]] or RENDERED
        platform = platforms.get(clip["source_id"]) or _NO_PLATFORM
        items.append(_Item(platform, fate, clip["frames"] / clip["fps"]))
    return _funnels(items)


def _decisions(workspace: Workspace) -> list[dict[str, Any]]:
    columns = ["clip_id", "source_id", "selected", "reason"]
    recipe = select_recipe(workspace.config)
    return read_table(workspace.root, "selection", columns=columns, recipe=recipe).to_pylist()


def _latest(workspace: Workspace, job: str, recipe: str) -> dict[str, str]:
    """The newest reason of every item of a job; ``""`` where it went well."""
    return {row.key: row.reason for row in read_outcomes(workspace.root, job, recipe)}


def _funnels(items: Iterable[_Item]) -> list[Funnel]:
    grouped: dict[str, list[_Item]] = defaultdict(list)
    for item in items:
        grouped[item.platform].append(item)
    if len(grouped) > 1:
        grouped["all"] = [item for group in grouped.values() for item in group]
    funnels = [_funnel(platform, group) for platform, group in grouped.items()]
    return sorted(funnels, key=lambda f: (f.platform != "all", -f.total, f.platform))


def _funnel(platform: str, items: list[_Item]) -> Funnel:
    counts = Counter(item.fate for item in items)
    seconds: dict[str, float] = defaultdict(float)
    for item in items:
        seconds[item.fate] += item.seconds
    fates = tuple(
        Fate(
            name=name,
            count=count,
            share=count / len(items),
            seconds=seconds[name],
            kept=name in KEPT,
        )
        for name, count in sorted(counts.items(), key=lambda pair: (pair[0] in KEPT, -pair[1]))
    )
    total_seconds = sum(seconds.values())
    return Funnel(platform=platform, total=len(items), seconds=total_seconds, fates=fates)

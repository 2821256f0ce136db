"""Which sources a training run saw, as digests beside its checkpoints: no run names anybody."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dataset.denied import name_digest, source_of_clip
from dataset.storage import Location
from training.run_folder import write_json

SOURCES_FILE = "sources.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedOn:
    """The runs in a dataset's ``runs`` folder, by whether they saw a source."""

    saw: tuple[Path, ...]
    did_not: tuple[Path, ...]
    do_not_say: tuple[Path, ...]


def record_sources(run_dir: Path, clip_ids: Iterable[str]) -> None:
    """Add to a run's folder whose clips it learns from; to be called before its first step."""
    digests = {name_digest(source_of_clip(clip_id)) for clip_id in clip_ids}
    run_dir.mkdir(parents=True, exist_ok=True)
    write_json(run_dir / SOURCES_FILE, {"digests": sorted(digests | (_digests(run_dir) or set()))})


def trained_on(root: Location, source_id: str) -> TrainedOn:
    """Which runs saw a clip of the source; those of other folders are not known here."""
    runs = root / "runs" if isinstance(root, Path) else None
    folders = [p for p in sorted(runs.iterdir()) if p.is_dir()] if runs and runs.is_dir() else []
    told = {folder: _digests(folder) for folder in folders}
    digest = name_digest(source_id)
    return TrainedOn(
        saw=tuple(f for f, digests in told.items() if digests and digest in digests),
        did_not=tuple(f for f, digests in told.items() if digests and digest not in digests),
        do_not_say=tuple(folder for folder, digests in told.items() if not digests),
    )


def _digests(run_dir: Path) -> set[str] | None:
    path = run_dir / SOURCES_FILE
    return set(json.loads(path.read_text(encoding="utf-8"))["digests"]) if path.is_file() else None

"""`champ export`: rendered clips as the folders of pictures that the official loader reads.

    OUT/PLATFORM/CLIP_ID/     one clip (``pipeline.champ_layout``)

The loader goes through all there is in OUT, its ``video_folder``, and in every part of it
(PLATFORM, its ``data_parts``). So nothing else is put there: a clip is written into OUT.partial,
and moved to its place when it is whole and durable. One that has its place is not written again.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from dataset.denied import read_denied
from dataset.durable import sync
from dataset.errors import ItemError
from dataset.locks import dataset_lock
from dataset.outcomes import Outcome, append_outcomes, read_outcomes
from dataset.storage import Location
from dataset.tables import newest_recipe, read_row, read_table
from pipeline.champ_layout import CLIP_FILE, ROW_COLUMNS, write_clip

JOB = "export"
_TOLD_OF_SOURCE = ("platform", "url", "licence", "consent", "content_sha256")
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedClip:
    """A clip and its place in the layout."""

    clip_id: str
    frames: int
    provenance: Mapping[str, object]
    place: Path

    @property
    def there(self) -> bool:
        return self.place.is_dir()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportSummary:
    """What an export found and did, in clips."""

    recipe: str
    out: Path
    written: int
    already_there: int
    to_do: int
    failures: Mapping[str, str]

    def __str__(self) -> str:
        counts = {
            "written": self.written,
            "there before": self.already_there,
            "to do": self.to_do,
            "failed": len(self.failures),
        }
        did = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
        told = [f"  {clip_id}: {why}" for clip_id, why in self.failures.items()]
        return "\n".join([f"export [{self.recipe}] to {self.out}: {did or 'no clips'}", *told])


def export(
    root: Location,
    out: Path,
    *,
    recipe: str | None = None,
    dry_run: bool = False,
    quiet: bool = False,
) -> ExportSummary:
    """Write the clips of a recipe that OUT does not hold yet; safe to kill and to repeat.

    Args:
        root: The dataset root.
        out: The folder; what is being written lies beside it, in OUT.partial.
        recipe: Which rows of ``guidance``; None for the newest.
        dry_run: Only count.
        quiet: No progress bar.

    Raises:
        ValueError: No rendered clips, or OUT holds a clip of another recipe.
    """
    recipe = recipe or newest_recipe(root, "guidance")
    clips = _clips(root, out, recipe)
    if recipe is None or not clips:
        raise ValueError(
            f"{root} holds no rendered clips{f' of recipe {recipe}' if recipe else ''}: "
            "`champ render` makes them"
        )
    with dataset_lock(root, JOB):
        before = [clip for clip in clips if clip.there]
        _check_recipe(before, recipe)
        pending = [] if dry_run else [clip for clip in clips if not clip.there]
        failures = _write_all(root, out, pending, recipe, quiet=quiet)
        if not dry_run:
            _record(root, clips, failures, recipe)
    return ExportSummary(
        recipe=recipe,
        out=out,
        written=len(pending) - len(failures),
        already_there=len(before),
        to_do=len(clips) - len(before) if dry_run else 0,
        failures={clip_id: str(error) for clip_id, error in failures.items()},
    )


def _clips(root: Location, out: Path, recipe: str | None) -> list[ExportedClip]:
    columns = ["clip_id", "source_id", "frames"]
    rows = read_table(root, "guidance", columns=columns, recipe=recipe).to_pylist()
    videos = read_table(root, "videos", columns=["source_id", *_TOLD_OF_SOURCE]).to_pylist()
    sources = {row["source_id"]: row for row in videos}
    clips = []
    for row in sorted(rows, key=lambda row: row["clip_id"]):
        source = sources.get(row["source_id"], {})
        told = {name: source.get(name) for name in _TOLD_OF_SOURCE}
        part = _UNSAFE.sub("_", told["platform"] or "") or "unknown"
        clips.append(
            ExportedClip(
                clip_id=row["clip_id"],
                frames=row["frames"],
                provenance=told,
                place=out / part / row["clip_id"],
            )
        )
    return clips


def _check_recipe(clips: Sequence[ExportedClip], recipe: str) -> None:
    """Two recipes of a clip never mix."""
    for clip in clips:
        found = json.loads((clip.place / CLIP_FILE).read_text(encoding="utf-8")).get("recipe")
        if found != recipe:
            raise ValueError(
                f"{clip.place} was exported from recipe {found}, this is {recipe}: choose another "
                "folder, or remove that one"
            )


def _write_all(
    root: Location, out: Path, clips: Sequence[ExportedClip], recipe: str, *, quiet: bool
) -> dict[str, ItemError]:
    """The clips that could not be written, and why."""
    columns = (TextColumn(JOB), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    denied, failures = read_denied(root), {}
    with Progress(*columns, disable=quiet or not clips) as bar:
        for clip in bar.track(clips):
            try:
                denied.check(clip.clip_id)
                _write(root, out, clip, recipe)
            except ItemError as error:
                failures[clip.clip_id] = error
    _remove(_partial(out))
    return failures


def _write(root: Location, out: Path, clip: ExportedClip, recipe: str) -> None:
    draft = _partial(out) / clip.clip_id
    _remove(draft)  # of an export that was killed
    read = partial(read_row, root, "guidance", clip.clip_id, recipe=recipe)
    row = read(columns=list(ROW_COLUMNS))

    def read_stream(name: str) -> bytes:
        stream: Any = read(columns=[name])[name]
        return stream

    write_clip(draft, row, read_stream, provenance=clip.provenance)
    clip.place.parent.mkdir(parents=True, exist_ok=True)
    draft.rename(clip.place)
    sync(clip.place.parent)


def _partial(out: Path) -> Path:
    """Beside OUT, so that the last step is a rename within one file system."""
    return out.resolve().with_name(f"{out.resolve().name}.partial")


def _remove(folder: Path) -> None:
    if folder.is_dir():
        shutil.rmtree(folder)


def _record(
    root: Location, clips: Sequence[ExportedClip], failures: Mapping[str, ItemError], recipe: str
) -> None:
    """Say in ``outcomes`` where copies of clips are: who forgets one must know."""
    known = {(row.key, row.message) for row in read_outcomes(root, JOB, recipe)}
    rows = []
    for clip in clips:
        failure = failures.get(clip.clip_id)
        message = str(clip.place.resolve()) if failure is None else failure.message
        if (clip.clip_id, message) not in known:
            rows.append(
                Outcome(
                    key=clip.clip_id,
                    job=JOB,
                    recipe=recipe,
                    status="ok" if failure is None else failure.status,
                    reason="" if failure is None else failure.kind,
                    message=message,
                )
            )
    append_outcomes(root, rows)

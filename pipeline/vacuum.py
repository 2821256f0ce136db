"""`champ vacuum`: files of a dataset that nothing names any more, removed by age.

What a killed job or download leaves behind is never read, but takes room. Younger files stay: a
running job may be about to name them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from curation.partials import sweep_partial_downloads
from dataset.locks import sweep_locks
from dataset.schemas import SCHEMAS
from dataset.tables import read_table, sweep_orphans


def vacuum(root: Path, *, older_than_seconds: float) -> Iterator[Path]:
    """Remove orphans and yield their paths, one after the other.

    They are shards and temporary files that no commit names, videos that no row of ``videos``
    names, files of animations that no row of ``animations`` names, partial downloads, and locks
    that nobody holds.
    """
    for table in SCHEMAS:
        yield from sweep_orphans(root, table, older_than_seconds=older_than_seconds)
    yield from sweep_partial_downloads(root, older_than_seconds=older_than_seconds)
    newest = time.time() - older_than_seconds
    yield from _sweep(root / "files", _named(root, "videos", "path"), newest)
    named = _named(root, "animations", "video_path") | _named(root, "animations", "frames_path")
    yield from _sweep(root / "outputs", named, newest)
    yield from sweep_locks(root, older_than_seconds=older_than_seconds)


def _named(root: Path, table: str, column: str) -> set[Path]:
    paths = read_table(root, table, columns=[column]).column(column).to_pylist()
    return {root / path for path in paths if path}


def _sweep(folder: Path, named: set[Path], newest: float) -> Iterator[Path]:
    for path in _old(folder, newest):
        if path not in named:
            path.unlink()
            yield path


def _old(folder: Path, newest: float) -> list[Path]:
    """Files old enough to go, but not those in hidden folders: partial downloads end by a rule of
    their own."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    shown = [p for p in files if not any(part[0] == "." for part in p.relative_to(folder).parts)]
    return [path for path in shown if path.stat().st_mtime <= newest]

"""`champ vacuum`: files of a dataset that nothing names any more, removed by age.

What a killed job or download leaves behind is never read, but takes room. Younger files stay: a
running job may be about to name them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from curation.fetching.partials import sweep_partial_downloads
from dataset.locks import sweep_locks
from dataset.schemas import SCHEMAS
from dataset.scratch import sweep_scratch
from dataset.storage import Location, delete_file, files_below
from dataset.tables import read_table, sweep_orphans


def vacuum(root: Location, *, older_than_seconds: float) -> Iterator[Location]:
    """Remove orphans and yield their places, one after the other.

    They are shards and temporary files that no commit names, videos that no row of ``videos``
    names, files of animations that no row of ``animations`` names, partial downloads, shards and
    animations that were being made on this machine, and locks that nobody holds.
    """
    for table in SCHEMAS:
        yield from sweep_orphans(root, table, older_than_seconds=older_than_seconds)
    yield from sweep_partial_downloads(root, older_than_seconds=older_than_seconds)
    newest_ms = (time.time() - older_than_seconds) * 1000
    yield from _sweep(root, "files", _named(root, "videos", "path"), newest_ms)
    named = _named(root, "animations", "video_path") | _named(root, "animations", "frames_path")
    yield from _sweep(root, "outputs", named, newest_ms)
    yield from sweep_scratch(older_than_seconds=older_than_seconds)
    yield from sweep_locks(root, older_than_seconds=older_than_seconds)


def _named(root: Location, table: str, column: str) -> set[Location]:
    paths = read_table(root, table, columns=[column]).column(column).to_pylist()
    return {root / path for path in paths if path}


def _sweep(
    root: Location, folder: str, named: set[Location], newest_ms: float
) -> Iterator[Location]:
    """Files old enough to go, but not those in hidden folders: partial downloads end by a rule of
    their own."""
    for file in list(files_below(root / folder)):
        shown = "/." not in str(file.path).removeprefix(str(root))
        if shown and file.path not in named and file.modified_ms <= newest_ms:
            delete_file(file.path)
            yield file.path

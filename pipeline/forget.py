"""`champ forget`: a source out of every table and file for good, and the proof that it is.

Denied first, so that it cannot come back; then rows, then files; then every file of the dataset is
read. Killed at any moment and called again, it completes (``pipeline.forget_plan``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

from curation.fetching.partials import partial_folder
from dataset.denied import deny
from dataset.locks import dataset_lock
from dataset.schemas import SCHEMAS
from dataset.storage import Location, delete_file, file_status, files_below, files_in
from dataset.tables import sweep_orphans
from dataset.takedown import remove_rows
from pipeline.forget_plan import (
    KEPT_TABLES,
    Plan,
    drop_plan,
    find_plan,
    other_names,
    plans_folder,
    save_plan,
)
from pipeline.naming import Hit, NameSearch, hits_in_file
from pipeline.trained_on import TrainedOn, trained_on

JOBS = (
    *("fetch", "curate", "duplicates", "select", "render", "encode", "animate", "evaluate"),
    "export",
)
"""Whoever writes to the dataset; a takedown waits for those at work, and they wait for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """What a takedown took away, and what is left to do by hand."""

    plan: Plan
    rows: Mapping[str, int]  # taken out, by table
    files: tuple[str, ...]  # removed, below the root
    read_files: int
    read_bytes: int
    hits: tuple[Hit, ...]  # what still names the source: the proof failed
    runs: TrainedOn  # which trainings saw a clip of the source


def plan_forget(root: Location, source_id: str) -> Plan:
    """What ``forget`` would remove; nothing is changed.

    Raises:
        ValueError: The dataset does not know such a source and never did.
    """
    return find_plan(root, source_id)


def forget(
    root: Location, source_id: str, *, reason: str = "", told: Callable[[str], None] = print
) -> Forgotten:
    """Remove a source and all that came of it, block its return, and read what is left.

    Args:
        root: The dataset root.
        source_id: Of ``videos``.
        reason: Kept in the ``denied`` table; must not name the source.
        told: Is given a line at every step.

    Raises:
        ValueError: No such source, or a reason that names it.
    """
    find_plan(root, source_id)  # a wrong id waits for nobody
    with ExitStack() as held:
        told("waiting for jobs on this dataset to end")
        for job in JOBS:
            held.enter_context(dataset_lock(root, job))
        plan = find_plan(root, source_id)
        save_plan(root, plan)
        deny(root, plan.names(), reason=reason)
        rows = dict(_remove_rows(root, plan, told))
        files = tuple(_remove_files(root, plan))
        told("reading every file that is left")
        hits, read_files, read_bytes = _prove(root, plan)
        if not hits:
            drop_plan(root, plan)
    return Forgotten(
        plan=plan,
        rows=rows,
        files=files,
        read_files=read_files,
        read_bytes=read_bytes,
        hits=hits,
        runs=trained_on(root, source_id),
    )


def _remove_rows(
    root: Location, plan: Plan, told: Callable[[str], None]
) -> Iterator[tuple[str, int]]:
    """The tables from the last to the first, so that what tells of the source goes last."""
    for table in reversed([name for name in SCHEMAS if name not in KEPT_TABLES]):
        keys = plan.keys.get(table)
        if keys:
            told(f"removing rows of {table}")
            yield table, remove_rows(root, table, keys).rows
        sweep_orphans(root, table, older_than_seconds=0)  # no job is at work


def _remove_files(root: Location, plan: Plan) -> Iterator[str]:
    """Videos, animations, and pages of the report, which show what is forgotten."""
    with partial_folder(root, plan.source_id):  # ends a download that waits to go on
        pass
    search = NameSearch(plan.names(), other_names(root, plan.source_id))
    pages = [file for file in files_in(root) if file.path.suffix == ".html"]
    shown = [file for file in pages if any(hits_in_file(root, file, search))]
    for path in (*plan.files, *(file.path.name for file in shown)):
        try:
            file_status(root / path)
        except FileNotFoundError:
            continue
        delete_file(root / path)
        yield path


def _prove(root: Location, plan: Plan) -> tuple[tuple[Hit, ...], int, int]:
    """Read all but the plan itself: what names the source, how many files and bytes there are."""
    search = NameSearch(plan.names(), other_names(root, plan.source_id))
    own = str(plans_folder(root))
    hits: list[Hit] = []
    read_files, read_bytes = 0, 0
    for file in files_below(root):
        if not str(file.path).startswith(own):
            hits += hits_in_file(root, file, search)
            read_files += 1
            read_bytes += file.size_bytes
    return tuple(hits), read_files, read_bytes

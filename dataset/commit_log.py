"""The files of a table's log: what the table library leaves to whoever stores them.

It neither syncs what it writes nor notices an entry that a power cut left empty or torn, which
would hide rows or make the table impossible to open. In an object store an entry is put whole.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from dataset.durable import sync
from dataset.faults import fault_point
from dataset.storage import Location, delete_file, files_in

_NUMBERED = re.compile(r"(\d{20})\.(json|checkpoint.*\.parquet)")
_ABANDONED_SECONDS = 60.0  # a commit stages its entry for some milliseconds


def log_entries(folder: Path) -> list[Path]:
    """The entries of a table's log, oldest first."""
    return sorted((folder / "_delta_log").glob("*.json"))


def has_log(folder: Path) -> bool:
    """Whether the folder is a table: old entries may be gone into a checkpoint."""
    return bool(log_entries(folder)) or (folder / "_delta_log" / "_last_checkpoint").is_file()


def check_newest_entry(folder: Path) -> None:
    """Refuse a log whose last entry was torn by a power cut: it would hide or block rows."""
    for entry in log_entries(folder)[-1:]:
        try:
            lines = entry.read_text(encoding="utf-8").splitlines()
            whole = bool(lines) and all(isinstance(json.loads(line), dict) for line in lines)
        except ValueError:
            whole = False
        if not whole:
            raise ValueError(
                f"{entry} is torn: it was being written when the machine stopped, and was never "
                f"acknowledged. Remove that one file; the job that wrote it redoes the work."
            )


def sync_log(folder: Path) -> None:
    """Make the newest log entries durable; the library leaves that to the caller."""
    log = folder / "_delta_log"
    changed = [*log_entries(folder)[-8:], *sorted(log.glob("*.checkpoint*"))[-1:]]
    for entry in [*changed, log / "_last_checkpoint"]:  # concurrent writers may have added some
        if entry.is_file():
            sync(entry)
    for place in (log, folder, folder.parent):
        sync(place)


def remove_older_entries(folder: Location, version: int) -> None:
    """Remove entries and checkpoints below a checkpoint, and what killed commits staged."""
    log = folder / "_delta_log"
    for file in files_in(log):
        numbered = _NUMBERED.fullmatch(file.path.name)
        if numbered is None:
            gone = file.path.name != "_last_checkpoint" and file.age_seconds > _ABANDONED_SECONDS
        else:
            gone = int(numbered[1]) < version
        if gone:
            delete_file(file.path)
            fault_point("log.entry_removed")
    if isinstance(log, Path):
        sync(log)

"""The files of a table's log: what the table library leaves to whoever stores them.

It neither syncs what it writes nor notices an entry that a power cut left empty or torn, which
would hide rows or make the table impossible to open.
"""

from __future__ import annotations

import json
from pathlib import Path

from dataset.durable import sync


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
    for entry in log_entries(folder)[-8:]:  # concurrent writers may have added some
        sync(entry)
    for changed in (folder / "_delta_log", folder, folder.parent):
        sync(changed)

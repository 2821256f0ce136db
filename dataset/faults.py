"""Points at which tests let a write go wrong: killed, disk full, I/O error. Otherwise nothing.

Every step of writing and committing names itself with ``fault_point``. Where ``CHAMP_FAULTS`` is
not set, as ever outside of tests, that is one comparison. It is set to a folder whose files are the
faults to come: ``POINT-NTH-ACTION``, e.g. ``shard.renamed-3-kill``. A fault happens once, whichever
process gets there for the NTH time (each counts for itself) and removes the file first.
"""

from __future__ import annotations

import errno
import os
import signal
from collections import Counter
from pathlib import Path

FAULT_POINTS = (
    "shard.opened",
    "shard.group_written",
    "shard.written",
    "shard.synced",
    "shard.renamed",
    "shard.done",
    "commit.checked",
    "commit.written",
    "commit.entry_synced",
    "commit.done",
    "outcomes.begun",
    "outcomes.done",
    "takedown.rewritten",
    "takedown.committed",
    "takedown.deleted",
    "log.checkpointed",
    "log.entry_removed",
    "lock.taken",
)
"""In the order in which a job, and then a takedown, comes by them."""

_FOLDER = os.environ.get("CHAMP_FAULTS")
_ERRORS = {"full": errno.ENOSPC, "broken": errno.EIO}
_passed: Counter[str] = Counter()


def fault_point(name: str) -> None:
    """Where a test asked for it: kill this process, or raise ``OSError`` (disk full, I/O error)."""
    if _FOLDER is None:
        return
    assert name in FAULT_POINTS, name
    _passed[name] += 1
    for path in Path(_FOLDER).glob(f"{name}-{_passed[name]}-*"):
        try:
            path.unlink()
        except FileNotFoundError:  # another process was first
            continue
        action = path.name.rpartition("-")[2]
        if action == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        raise OSError(_ERRORS[action], os.strerror(_ERRORS[action]), name)

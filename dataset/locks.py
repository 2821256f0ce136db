"""Who may do a piece of work on a dataset: one process at a time."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from dataset.faults import fault_point
from dataset.leases import Fence, lease
from dataset.object_store import ObjectPath
from dataset.storage import Location


@contextmanager
def dataset_lock(root: Location, name: str) -> Iterator[Fence | None]:
    """Hold the right to do ``name`` on this dataset; a second process waits for the first.

    On a disk the kernel drops the lock when its holder dies, so a killed job never blocks the next
    one. In an object store a killed job's lease ends by itself after ``lease_seconds``.

    Yields:
        What commits have to carry so that a table refuses them after the lease was lost; None
        where a lock cannot be lost.
    """
    if isinstance(root, ObjectPath):
        with lease(root / ".locks" / name) as fence:
            fault_point("lock.taken")
            yield fence
        return
    path = root / ".locks" / f"{name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with path.open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if _is_at(handle, path):  # else it was swept while this process waited for it
                fault_point("lock.taken")
                yield None
                return


def sweep_locks(root: Location, *, older_than_seconds: float) -> list[Path]:
    """Remove the files of locks that nobody holds and nobody took lately; their paths.

    In an object store there are none: a lease's numbers have to go on.
    """
    if isinstance(root, ObjectPath):
        return []
    newest = time.time() - older_than_seconds
    locks = [p for p in sorted((root / ".locks").glob("*.lock")) if p.stat().st_mtime <= newest]
    return [path for path in locks if _remove_free(path)]


def _is_at(handle: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _remove_free(path: Path) -> bool:
    with path.open("r") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        path.unlink()
    return True

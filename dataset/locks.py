"""Who may do a piece of work on a dataset: one process at a time."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dataset.faults import fault_point


@contextmanager
def dataset_lock(root: Path, name: str) -> Iterator[None]:
    """Hold the right to do ``name`` on this dataset; a second process waits for the first.

    The kernel drops the lock when its holder dies, so a killed job never blocks the next one.
    """
    path = root / ".locks" / f"{name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        fault_point("lock.taken")
        yield

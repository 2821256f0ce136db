"""Where downloads grow until they are whole: one folder a source, kept while it may go on."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from curation.fetching.failures import retry_class
from dataset.errors import ItemError
from dataset.scratch import scratch_folder
from dataset.storage import Location


def partials_folder(root: Location) -> Path:
    """The folder of all unfinished downloads, on the file system that the files end up on.

    For a dataset in an object store a folder of this machine: there is nothing to append to.
    """
    if isinstance(root, Path):
        return root / "files" / ".partial"
    return scratch_folder() / "partial" / hashlib.sha256(str(root).encode()).hexdigest()[:16]


@contextmanager
def partial_folder(root: Location, source_id: str) -> Iterator[Path]:
    """The folder that a source's download grows in, for this process alone.

    It stays when the block is killed, put off or fails in passing, so that the next try goes on
    there; otherwise it is removed. Its name is made from the id and tells nothing. Where another
    process still works on the same source, a folder that begins empty.
    """
    parent = partials_folder(root)
    parent.mkdir(parents=True, exist_ok=True)
    folder = parent / hashlib.sha256(source_id.encode()).hexdigest()[:32]
    held = _hold(folder)
    if held is None:
        with tempfile.TemporaryDirectory(prefix="second-", dir=parent) as second:
            yield Path(second)
        return
    try:
        yield folder
    except ItemError as error:
        if retry_class(error.kind) == "permanent":
            shutil.rmtree(folder)
        raise
    else:
        shutil.rmtree(folder)
    finally:
        os.close(held)


def sweep_partial_downloads(root: Location, *, older_than_seconds: float) -> list[Path]:
    """Remove unfinished downloads that nobody went on with, and return their folders."""
    newest = time.time() - older_than_seconds
    swept = []
    for folder in sorted(p for p in partials_folder(root).glob("*") if p.is_dir()):
        changed = max(path.stat().st_mtime for path in (folder, *folder.rglob("*")))
        held = _hold(folder) if changed <= newest else None
        if held is not None:
            shutil.rmtree(folder)
            os.close(held)
            swept.append(folder)
    return swept


def _hold(folder: Path) -> int | None:
    """Lock the folder, made where it is missing; None where another process has it.

    The kernel drops the lock with its holder, so a killed worker never blocks the next one.
    """
    while True:
        folder.mkdir(exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if folder.exists() and os.fstat(handle).st_ino == folder.stat().st_ino:
                return handle
        except BlockingIOError:
            os.close(handle)
            return None
        os.close(handle)  # its last holder removed it meanwhile

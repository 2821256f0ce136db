"""Copies on this machine of objects that must be files: fetched once, kept within bounds.

All processes of a machine share them. Who uses a copy holds a lock on it, so that another process
that makes room leaves it alone; a killed process's lock is gone with it.
"""

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

from dataset.object_store import ObjectPath, download_object, object_status

_DEFAULT_BYTES = 20 << 30  # some hundred source videos


def scratch_folder() -> Path:
    """Where this machine keeps passing files: ``CHAMP_SCRATCH``, else in the temporary folder.

    The folder is this user's alone: what is read from it is taken for the object.
    """
    named = os.environ.get("CHAMP_SCRATCH")
    folder = Path(named) if named else Path(tempfile.gettempdir()) / f"champ-{os.getuid()}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise ValueError(f"{folder} belongs to another user: set CHAMP_SCRATCH to one of yours")
    return folder


@contextmanager
def local_copy(path: ObjectPath) -> Iterator[Path]:
    """An object as a local file within the block; see ``dataset.storage.local_file``."""
    status = object_status(path)
    content = f"{path}\n{status.size_bytes}\n{status.version}"
    name = hashlib.sha256(content.encode()).hexdigest()[:32] + path.suffix
    copy = scratch_folder() / "copies" / name
    copy.parent.mkdir(exist_ok=True)
    while True:
        with copy.open("ab") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if not _is_there(copy, handle.fileno()):
                continue  # removed while this process waited
            if copy.stat().st_size != status.size_bytes:
                _make_room(copy.parent, status.size_bytes)
                download_object(path, copy)
            os.utime(copy)
            fcntl.flock(handle, fcntl.LOCK_SH)
            if _is_there(copy, handle.fileno()):
                yield copy
                return


def sweep_scratch(*, older_than_seconds: float) -> list[Path]:
    """Remove what killed workers were making on this machine; copies end by their own rule."""
    newest = time.time() - older_than_seconds
    made = [*scratch_folder().glob("shard-*"), *scratch_folder().glob("animation-*")]
    old = sorted(path for path in made if path.stat().st_mtime <= newest)
    for path in old:
        shutil.rmtree(path)
    return old


def _is_there(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False


def _make_room(folder: Path, size_bytes: int) -> None:
    """Remove the copies that were used longest ago and that nobody uses now."""
    limit = int(os.environ.get("CHAMP_SCRATCH_BYTES", _DEFAULT_BYTES))
    one_at_a_time = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
        copies = sorted((path.stat().st_mtime, path) for path in folder.iterdir())
        total = sum(path.stat().st_size for _, path in copies) + size_bytes
        for _, path in copies:
            if total <= limit:
                return
            total -= _remove_unused(path)
    finally:
        os.close(one_at_a_time)


def _remove_unused(path: Path) -> int:
    """How many bytes that gave back."""
    with path.open("rb") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return 0
        size = path.stat().st_size
        path.unlink()
    return size

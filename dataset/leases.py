"""Locks in an object store, which has none: a lease that its holder keeps renewing.

Every holder makes an object of its own, under the next number, by a put that succeeds only where
there is nothing; so of several one wins. It renews the object; who waits takes over when it has
seen no change for the length of a lease, by its own clock. A holder that only slept may then wake
up beside its successor: that is why commits carry the lease's number (``Fence``), and a table
refuses those of a lower number than it has seen.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from dataset.object_store import (
    ObjectPath,
    StoreError,
    create_object,
    delete_object,
    get_object,
    list_folder,
    put_object,
)

_FREE = b"free"
_KEPT = 8  # older holders' objects; a process that slept while listing them finds out


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """The right to commit: a table takes no commit of a lower number than one it has seen."""

    app: str
    number: int


def lease_seconds() -> float:
    """How long a dead holder keeps others waiting: ``CHAMP_LEASE_SECONDS``, else a minute."""
    return float(os.environ.get("CHAMP_LEASE_SECONDS", "60"))


@contextmanager
def lease(folder: ObjectPath) -> Iterator[Fence]:
    """Hold the lease of a folder of the store, after whoever holds it now."""
    length = lease_seconds()
    number = _acquire(folder, length)
    mine = folder / f"{number:012d}"
    ended = threading.Event()
    renewing = threading.Thread(target=_renew, args=(mine, length / 4, ended), daemon=True)
    renewing.start()
    try:
        yield Fence(app=f"fence-{folder.name}", number=number)
    finally:
        ended.set()
        renewing.join()
        put_object(mine, _FREE)


def _acquire(folder: ObjectPath, length: float) -> int:
    seen: tuple[ObjectPath, bytes] | None = None
    since = time.monotonic()
    while True:
        newest = _newest(folder)
        now = None if newest is None else (newest, get_object(newest))
        if now != seen:
            seen, since = now, time.monotonic()
        if now is None or now[1] == _FREE or time.monotonic() - since > length:
            number = 1 if now is None else int(now[0].name) + 1
            mine = folder / f"{number:012d}"
            if create_object(mine, secrets.token_bytes(16)) and _newest(folder) == mine:
                for old in list_folder(folder)[:-_KEPT]:
                    delete_object(folder / old.path.name)
                return number
            continue
        time.sleep(length / 20)


def _newest(folder: ObjectPath) -> ObjectPath | None:
    names = [status.path.name for status in list_folder(folder)]
    return folder / max(names) if names else None


def _renew(mine: ObjectPath, every: float, ended: threading.Event) -> None:
    while not ended.wait(every):
        try:
            put_object(mine, secrets.token_bytes(16))
        except StoreError:  # the next time may succeed; if not, the fence stops our commits
            continue

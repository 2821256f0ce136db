"""One process at a time, also while lock files are swept."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from dataset.locks import dataset_lock, sweep_locks


def test_a_lock_that_was_swept_under_a_waiting_process_is_taken_again(tmp_path: Path) -> None:
    """Sweeping goes on while many take and leave the lock: never are two inside."""
    inside, most, rounds = 0, 0, 0
    stop = threading.Event()

    def work() -> None:
        nonlocal inside, most, rounds
        while not stop.is_set():
            with dataset_lock(tmp_path, "render"):
                inside += 1
                most = max(most, inside)
                time.sleep(0.001)
                rounds += 1
                inside -= 1
            time.sleep(0.002)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    swept = 0
    end = time.monotonic() + 0.7
    while time.monotonic() < end:
        swept += len(sweep_locks(tmp_path, older_than_seconds=0))
    stop.set()
    for thread in threads:
        thread.join(timeout=20)
        assert not thread.is_alive()
    assert most == 1
    assert swept > 10
    assert rounds > 20


def test_only_old_locks_are_swept(tmp_path: Path) -> None:
    """A lock that was taken lately stays, free or not."""
    with dataset_lock(tmp_path, "render"):
        pass
    assert sweep_locks(tmp_path, older_than_seconds=60) == []
    assert sweep_locks(tmp_path, older_than_seconds=0) == [tmp_path / ".locks" / "render.lock"]

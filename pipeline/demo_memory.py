"""How much memory this process and all it started held at most."""

from __future__ import annotations

import threading
from types import TracebackType

import psutil


class PeakMemory:
    """Samples the proportional memory of the process tree in a thread, while entered.

    Proportional: a page that several processes share counts once, not once for each of them.
    """

    def __init__(self, every_seconds: float = 1.0) -> None:
        self.peak_gb = 0.0
        self._every = every_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            self.peak_gb = max(self.peak_gb, _tree_bytes() / 1e9)
            if self._stop.wait(self._every):
                return


def _tree_bytes() -> int:
    me = psutil.Process()
    total = 0
    for process in [me, *me.children(recursive=True)]:
        try:
            total += process.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue  # it ended between being listed and being read
    return total

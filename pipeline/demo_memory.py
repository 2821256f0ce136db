"""How much memory this process and all it started held at most."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import psutil

_Sample = TypeVar("_Sample")


@contextmanager
def sampled(sample: Callable[[], _Sample], *, every_seconds: float) -> Iterator[list[_Sample]]:
    """What a function returns again and again while the block runs, in a list that fills.

    It is called in a thread of its own, at least once.
    """
    samples: list[_Sample] = []
    stop = threading.Event()

    def watch() -> None:
        samples.append(sample())
        while not stop.wait(every_seconds):
            samples.append(sample())

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield samples
    finally:
        stop.set()
        thread.join()


def tree_gigabytes() -> float:
    """The proportional memory of this process and its children.

    Proportional: a page that several processes share counts once, not once for each of them.
    """
    me = psutil.Process()
    total = 0
    for process in [me, *me.children(recursive=True)]:
        try:
            total += process.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue  # it ended between being listed and being read
    return total / 1e9

"""The memory of a driver and its Ray workers over the time of a run."""

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass

import psutil

_MB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Resident megabytes."""

    driver: float
    worker: float  # the largest
    decoder: float  # the largest process that a worker started
    all_workers: float  # with what they started


def peaks(samples: list[Memory], parts: int) -> list[Memory]:
    """The largest of each, by equal parts of the time."""
    bounds = [len(samples) * part // parts for part in range(parts + 1)]
    pieces = (samples[start:end] for start, end in itertools.pairwise(bounds))
    return [_most(piece) for piece in pieces if piece]


def _most(samples: list[Memory]) -> Memory:
    rows = [asdict(sample) for sample in samples]
    return Memory(**{name: max(row[name] for row in rows) for name in rows[0]})


def memory_now() -> Memory:
    """Of this process and the Ray workers below it."""
    me = psutil.Process()
    workers, decoders = [], []
    for process in me.children(recursive=True):
        try:
            if process.cmdline()[:1] and process.cmdline()[0].startswith("ray::"):
                workers.append(process.memory_info().rss / _MB)
                decoders += [child.memory_info().rss / _MB for child in process.children(True)]
        except psutil.Error:
            continue  # it ended between being listed and being read
    return Memory(
        driver=me.memory_info().rss / _MB,
        worker=max(workers, default=0.0),
        decoder=max(decoders, default=0.0),
        all_workers=sum(workers) + sum(decoders),
    )

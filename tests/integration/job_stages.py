"""A stage for the tests of jobs: writes rows of ``selection``, misbehaves as its items say."""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dataset.errors import ItemDeferredError, ItemError


class ObedientStage:
    """Does to each item what its ``do`` says: ok, two, none, reject, fail, defer, slow, die,
    die_once, defect. Writes down what it took up, and which node's process started it.
    """

    name = "obedient"
    version = 1
    cpus = 1.0
    gpus = 0.0

    def __init__(self, log: Path, seconds: float = 0.0) -> None:
        self.log, self.seconds = log, seconds

    def load(self) -> None:
        self.pid = os.getpid()

    def process(self, item: dict[str, Any]) -> Iterator[dict[str, Any]]:
        with self.log.open("a") as handle:
            handle.write(f"{item['clip_id']} {os.getppid()}\n")
        time.sleep(self.seconds)
        what = item.get("do", "ok")
        mark = self.log.with_name(f"died-{item['clip_id']}")
        if what == "die" or (what == "die_once" and not mark.exists()):
            mark.touch()
            ctypes.string_at(0)  # a real segmentation fault
        if what == "defect":
            raise ZeroDivisionError("one over none")
        if what in ("reject", "fail"):
            status = "rejected" if what == "reject" else "failed"
            raise ItemError(f"test.{what}", "as told", status=status)
        if what == "defer":
            raise ItemDeferredError("test.paused", "not now")
        if what == "slow":
            time.sleep(4)
        for number in range({"two": 2, "none": 0}.get(what, 1)):
            yield {"clip_id": item["clip_id"], "source_id": f"{number}", "selected": True}


class UnloadableStage(ObedientStage):
    """Cannot be loaded, in any worker."""

    def load(self) -> None:
        raise FileNotFoundError("no weights here")


class CrashingStage(ObedientStage):
    """Takes its worker down while it loads."""

    def load(self) -> None:
        ctypes.string_at(0)


class GpuStage(ObedientStage):
    """Wants more GPUs than there are."""

    gpus = 1000.0

"""Hands files from outside to child processes, which are kept for the next file.

A native decoder that crashes, hangs or swallows memory over hostile bytes costs that one file an
ItemError; the next call gets a fresh child (docs/decisions/decoding.md).
"""

from __future__ import annotations

import atexit
import contextlib
import os
import stat
import threading
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dataset.decoder_process import DecoderLimits, DecoderProcess
from dataset.errors import ItemError

_MAX_IDLE = 2  # children kept for the next call; recordings are read side by side in pairs


class DecoderPool:
    """Child processes, started when they are needed and used again for the next file.

    Safe to use from several threads, and after a fork: a child process of this one starts its own.

    Args:
        limits: What a child may take.
        module: What it runs.
    """

    def __init__(
        self, limits: DecoderLimits | None = None, *, module: str = "dataset.decoder_child"
    ) -> None:
        self._limits = limits or DecoderLimits()
        self._module = module
        self._lock = threading.Lock()
        self._idle: list[DecoderProcess] = []
        self._busy: set[DecoderProcess] = set()
        self._owner = 0  # the process whose children these are
        self._inherited: list[DecoderProcess] = []  # those of the process that forked this one

    def probe(self, path: Path, *, max_pixels: int) -> dict[str, Any]:
        """The fields of a ``VideoProbe``, unchecked but for JSON's own types.

        Raises:
            ItemError: The kinds of ``dataset.probing.probe``, and ``decode.crashed``,
                ``decode.timeout``, ``decode.memory``.
        """
        with self._child_for(path, {"frames": None, "max_pixels": max_pixels}) as child:
            reply = child.receive()
            if reply["say"] != "probe" or not isinstance(reply.get("probe"), dict):
                raise child.nonsense(reply)
            child.is_free = True
            return reply["probe"]

    def pictures(
        self, path: Path, wanted: Mapping[str, object]
    ) -> Generator[tuple[float, np.ndarray], None, None]:
        """Source seconds and pictures, each a copy; one that is shown again is the same array.

        Args:
            path: A video file.
            wanted: The fields of ``dataset.decoding.Wanted``.

        Raises:
            ItemError: As ``probe``, and the kinds of ``dataset.decoding.decoded_pictures``.
        """
        with self._child_for(path, {"frames": wanted}) as child:
            yield from child.pictures()

    def close(self) -> None:
        """End all child processes."""
        with self._lock:
            children, self._idle, self._busy = [*self._idle, *self._busy], [], set()
        for child in children if self._owner == os.getpid() else []:
            child.end()

    @contextlib.contextmanager
    def _child_for(self, path: Path, request: Mapping[str, object]) -> Iterator[DecoderProcess]:
        with _opened(path) as file:
            child = self._take()
            try:
                child.request({"name": str(path), **request}, file)
                yield child
            finally:
                self._give_back(child)

    def _take(self) -> DecoderProcess:
        child = self._idle_child() or DecoderProcess(self._limits, self._module)
        with self._lock:
            self._busy.add(child)
        return child

    def _idle_child(self) -> DecoderProcess | None:
        with self._lock:
            if self._owner != os.getpid():
                self._inherited += [*self._idle, *self._busy]
                self._idle, self._busy, self._owner = [], set(), os.getpid()
                atexit.register(self.close)
            while self._idle:
                child = self._idle.pop()
                if child.is_running():
                    return child
                child.end()
        return None

    def _give_back(self, child: DecoderProcess) -> None:
        reusable = child.stop()
        with self._lock:
            self._busy.discard(child)
            if reusable and len(self._idle) < _MAX_IDLE:
                self._idle.append(child)
                return
        child.end()


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    """A descriptor of a regular file: pipes, devices and folders are refused without waiting."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise ItemError("probe.missing", f"{path} cannot be opened: {error}") from error
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise ItemError("probe.missing", f"{path} is not a file")
        yield file
    finally:
        os.close(file)

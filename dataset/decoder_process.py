"""One supervised child process in which FFmpeg reads what comes from outside.

What a child says is checked like any input: a hostile file may have taken it over
(docs/decisions/decoding.md).
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import mmap
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dataset.decoder_child import FREE, MAX_TEXT, MESSAGE_BYTES, STOP, slot_count
from dataset.errors import ItemError

_RING_BYTES = 256 << 20  # one 8192 x 8192 RGB picture fits; pages never written cost nothing
_STOP_SECONDS = 2.0  # a child that does not stop by then is ended: a new one takes 0.4 s
_START_SECONDS = 120.0  # imports on a machine that is busy beyond measure
_PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "LANG", "SYSTEMROOT", "TZ")
_KIND = re.compile(r"(probe|decode)\.[a-z_]{1,40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderLimits:
    """What one child process may take before it is ended."""

    # 16 reference pictures of 4096 x 4096 in 10 bit take 1.6 GB; Python and FFmpeg 0.5 GB.
    memory_bytes: int = 4 << 30
    # An hour of 4K at 60 frames a second takes about three hours of one core.
    cpu_seconds: int = 6 * 3600
    # Every decoded frame counts as progress; the slowest take a few seconds on a busy machine.
    silent_seconds: float = 60.0
    # What is decoded already is used before more is: the parent has precedence.
    niceness: int = 5
    # 0: OMP_NUM_THREADS where a worker is told its share, else two.
    threads: int = 0


class DecoderProcess:
    """One child process, the socket to it and the memory shared with it."""

    def __init__(self, limits: DecoderLimits, module: str) -> None:
        self._silent_seconds = limits.silent_seconds
        self.is_free = True  # no request is under way
        self._name = ""
        memory = os.memfd_create("decoded", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        life, self._life = os.pipe()
        self._socket, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            os.ftruncate(memory, _RING_BYTES)
            # Sealed: a child that shrank it would crash this process as it reads.
            fcntl.fcntl(memory, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
            self._memory = mmap.mmap(memory, _RING_BYTES, prot=mmap.PROT_READ)
            self._process = _start(module, (other.fileno(), memory, life), limits)
        finally:
            os.close(memory)
            os.close(life)
            other.close()
        self._wait_until_ready()

    def _wait_until_ready(self) -> None:
        self._socket.settimeout(_START_SECONDS)
        try:
            ready = self._socket.recv(MESSAGE_BYTES)
        except TimeoutError:
            ready = b""
        if not ready:
            self.end()
            raise RuntimeError(
                f"the decoder process did not start (exit code {self._process.returncode}): "
                f"its own message is on the standard error stream"
            )

    def is_running(self) -> bool:
        return self._process.poll() is None

    def request(self, request: Mapping[str, object], file: int) -> None:
        self._name = str(request["name"])
        self.is_free = False
        message = json.dumps(request).encode()
        try:
            socket.send_fds(self._socket, [message], [file])
        except OSError as error:
            raise self._death() from error

    def receive(self) -> dict[str, Any]:
        """The next message that is not just a sign of life.

        Raises:
            ItemError: What the child says of the file, or what became of the child.
            RuntimeError: A defect in the child.
        """
        self._socket.settimeout(self._silent_seconds)
        while (reply := self._received())["say"] == "working":
            pass
        if reply["say"] == "error":
            self.is_free = True
            raise self._told_error(reply)
        if reply["say"] == "defect":
            self.is_free = True
            raise RuntimeError(f"the decoder broke on {self._name}: {_text(reply, 'message')}")
        return reply

    def _received(self) -> dict[str, Any]:
        try:
            data = self._socket.recv(MESSAGE_BYTES)
        except TimeoutError as error:
            self.end()
            message = f"{self._name}: no progress within {self._silent_seconds:g} s"
            raise ItemError("decode.timeout", message) from error
        except OSError as error:
            raise self._death() from error
        if not data:
            raise self._death()
        return self._parsed(data)

    def pictures(self) -> Iterator[tuple[float, np.ndarray]]:
        slots: np.ndarray | None = None
        picture: np.ndarray | None = None
        received = 0
        while (reply := self.receive())["say"] != "done":
            if reply["say"] == "size" and slots is None:
                slots = self._slots(reply)
                continue
            if reply["say"] == "frame" and slots is not None:
                picture = slots[received % len(slots)].copy()
                self._tell(FREE)
                received += 1
            elif reply["say"] != "again":
                raise self.nonsense(reply)
            if picture is None:
                raise self.nonsense(reply)
            yield self._seconds(reply), picture
        self.is_free = True

    def stop(self) -> bool:
        """Break off a request that is under way; False where the child cannot be used again."""
        if self.is_free or not self.is_running():
            return self.is_running()
        deadline = time.monotonic() + _STOP_SECONDS
        self._socket.settimeout(_STOP_SECONDS)
        try:
            self._socket.send(STOP)
            while self._received()["say"] not in ("done", "error"):
                if time.monotonic() > deadline:
                    return False
        except (OSError, ItemError):
            return False
        self.is_free = True
        return True

    def end(self) -> None:
        """Kill the process and give back what belongs to it."""
        self._process.kill()
        self._process.wait()
        self._socket.close()
        if self._life >= 0:
            os.close(self._life)
            self._life = -1

    def nonsense(self, message: object) -> ItemError:
        """The error for a child that does not keep to the protocol; it is ended."""
        self.end()
        shown = repr(message)[:200]
        return ItemError("decode.crashed", f"{self._name}: the decoder answered {shown}")

    def _parsed(self, data: bytes) -> dict[str, Any]:
        try:
            reply = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise self.nonsense(data) from error
        if not isinstance(reply, dict) or not isinstance(reply.get("say"), str):
            raise self.nonsense(reply)
        return reply

    def _told_error(self, reply: dict[str, Any]) -> ItemError:
        kind, status = _text(reply, "kind"), _text(reply, "status")
        if not _KIND.fullmatch(kind) or status not in ("failed", "rejected"):
            return self.nonsense(reply)
        if kind == "decode.memory":
            self.end()  # its peak would be held against the next file
        return ItemError(kind, _text(reply, "message"), status=status)

    def _slots(self, reply: dict[str, Any]) -> np.ndarray:
        height, width = reply.get("height"), reply.get("width")
        if type(height) is not int or type(width) is not int or height < 1 or width < 1:
            raise self.nonsense(reply)
        count = slot_count(height * width * 3, _RING_BYTES)
        if count < 1:
            raise self.nonsense(reply)
        shape = (count, height, width, 3)
        return np.frombuffer(self._memory, np.uint8, math.prod(shape)).reshape(shape)

    def _seconds(self, reply: dict[str, Any]) -> float:
        seconds = reply.get("seconds")
        if not isinstance(seconds, float) or not math.isfinite(seconds):
            raise self.nonsense(reply)
        return seconds

    def _tell(self, message: bytes) -> None:
        try:
            self._socket.send(message)
        except OSError as error:
            raise self._death() from error

    def _death(self) -> ItemError:
        """What to say of a child that has gone in the middle of a request."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_STOP_SECONDS)
        code = self._process.poll()
        self.end()
        if code == -signal.SIGXCPU:
            return ItemError("decode.timeout", f"{self._name} took more CPU time than a video may")
        if code == -signal.SIGKILL:  # not by us: what the kernel does when memory runs out
            return ItemError("decode.memory", f"{self._name}: its decoder was killed")
        how = signal.Signals(-code).name if code and code < 0 else f"exit code {code}"
        return ItemError("decode.crashed", f"{self._name}: its decoder died ({how})")


def _text(reply: dict[str, Any], field: str) -> str:
    return str(reply.get(field, ""))[:MAX_TEXT]


def _start(
    module: str, descriptors: tuple[int, int, int], limits: DecoderLimits
) -> subprocess.Popen[bytes]:
    threads = limits.threads or _thread_share()
    numbers = {
        "memory_bytes": limits.memory_bytes,
        "cpu_seconds": limits.cpu_seconds,
        "niceness": limits.niceness,
        "threads": threads,
    }
    # A fresh environment: no token or key of this process is there to be read by a hostile file.
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    environment |= {
        "PYTHONPATH": os.pathsep.join(str(Path(entry).resolve()) for entry in sys.path),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "2",  # each arena reserves 64 MB of the address space
        # Pictures come and go by the megabyte: their pages are kept instead of cleared anew.
        "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
        "MALLOC_TRIM_THRESHOLD_": str(256 << 20),
    }
    return subprocess.Popen(
        [sys.executable, "-P", "-m", module, *map(str, descriptors), json.dumps(numbers)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        pass_fds=descriptors,
        env=environment,
    )


def _thread_share() -> int:
    told = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(int(told), 16)) if told.isdigit() else 2

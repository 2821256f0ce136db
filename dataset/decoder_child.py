"""The child process in which FFmpeg reads files from outside: ``python -m dataset.decoder_child``.

It takes one request at a time from a socket, with a descriptor of the file, and answers in small
JSON messages; pictures go into shared memory, a ring of slots that the parent gives back one by
one. It trusts its parent; the parent (decoder_process.py) does not trust it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import mmap
import os
import resource
import select
import signal
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict

import av.error
import av.logging
import av.subtitles.stream  # PyAV imports it when a file has one, too late
import numpy as np

from dataset.decoding import Wanted, decoded_pictures
from dataset.errors import ItemError
from dataset.probing import probe

MESSAGE_BYTES = 65536  # largest message either way
FREE, STOP = b"f", b"s"  # from the parent during a request: a slot is free; no more is wanted
MAX_TEXT = 2000  # characters of an error message
_SLOT_BUDGET = 64 << 20  # of the ring that is used: larger pictures get fewer slots
_MAX_SLOTS = 16
_LARGE_REQUEST = 128 << 20  # so near to its limit, a decoder's failure is one of memory
_ALIVE_SECONDS = 1.0  # how often work without a result is reported


def slot_count(picture_bytes: int, ring_bytes: int) -> int:
    """How many pictures of a size the ring holds: parent and child both count on it."""
    return min(ring_bytes // picture_bytes, max(1, min(_MAX_SLOTS, _SLOT_BUDGET // picture_bytes)))


def main() -> None:
    """Serve requests until the parent closes the socket.

    Arguments: the descriptors of the socket, the ring and the pipe that lives as long as the
    parent, and a JSON object with the limits.
    """
    socket_fd, ring_fd, life_fd = (int(number) for number in sys.argv[1:4])
    limits = json.loads(sys.argv[4])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which decides
    _die_with_parent(life_fd)
    ring = np.frombuffer(mmap.mmap(ring_fd, 0), np.uint8)
    os.close(ring_fd)
    av.logging.set_level(None)
    status = os.open("/proc/self/status", os.O_RDONLY)  # nothing can be opened later
    memory_peak = _MemoryPeak(status, limits["memory_bytes"])
    server = _Server(socket.socket(fileno=socket_fd), ring, limits["threads"], memory_peak)
    _limit(limits["memory_bytes"], limits["niceness"])
    server.send({"say": "ready"})
    while server.serve_one(limits["cpu_seconds"]):
        pass


def _die_with_parent(life_fd: int) -> None:
    """Let the kernel end this process (SIGIO's default) when the pipe's other end closes.

    It works in the middle of native code, and unlike PR_SET_PDEATHSIG it asks for the parent
    process, not for the thread that started this one.
    """
    fcntl.fcntl(life_fd, fcntl.F_SETOWN, os.getpid())
    flags = fcntl.fcntl(life_fd, fcntl.F_GETFL)
    fcntl.fcntl(life_fd, fcntl.F_SETFL, flags | os.O_ASYNC)
    if select.select([life_fd], [], [], 0)[0]:
        sys.exit(0)


def _limit(memory_bytes: int, niceness: int) -> None:
    os.nice(niceness)
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")  # where memory runs out all the same, this process goes first
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    os.close(nothing)
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Room for one descriptor more, the video's: nothing else can be opened while one is read.
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free + 1, free + 1))


class _MemoryPeak:
    """Whether this process has been near its limit; FFmpeg takes refused memory for damaged data.

    That stays true: a process that has been there is not used for another file.
    """

    def __init__(self, status: int, memory_bytes: int) -> None:
        self._status, self._memory_bytes = status, memory_bytes

    def is_near_limit(self) -> bool:
        text = os.pread(self._status, 4096, 0)
        kilobytes = int(text.partition(b"VmPeak:")[2].split()[0])
        return kilobytes * 1024 > self._memory_bytes - _LARGE_REQUEST


class _StopError(Exception):
    """The parent wants no more of this file."""


class _Server:
    def __init__(
        self, connection: socket.socket, ring: np.ndarray, threads: int, peak: _MemoryPeak
    ) -> None:
        self._peak = peak
        self._connection = connection
        self._ring = ring
        self._threads = threads
        self._freed = 0  # slots that the parent gave back during this request
        self._heard = 0.0  # when the parent last got a message

    def send(self, message: Mapping[str, object]) -> None:
        self._connection.send(json.dumps(message).encode())
        self._heard = time.monotonic()

    def serve_one(self, cpu_seconds: int) -> bool:
        """Answer one request; False when the parent has gone."""
        data, files, _, _ = socket.recv_fds(self._connection, MESSAGE_BYTES, 1)
        if not data:
            return False
        if data in (FREE, STOP):  # about the request before, which had ended by itself
            return True
        os.dup2(files[0], 0)
        os.close(files[0])
        used = resource.getrusage(resource.RUSAGE_SELF)
        spent = int(used.ru_utime + used.ru_stime)
        hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
        resource.setrlimit(resource.RLIMIT_CPU, (spent + cpu_seconds, hard))
        self.send(self._answer(json.loads(data)))
        os.dup2(1, 0)
        return True

    def _answer(self, request: dict) -> dict[str, object]:
        name, wanted = request["name"], request["frames"]
        try:
            if wanted is None:
                found = probe(0, name, max_pixels=request["max_pixels"])
                return {"say": "probe", "probe": asdict(found)}
            self._send_pictures(name, Wanted(**wanted))
            return {"say": "done"}
        except _StopError:
            return {"say": "done"}
        except ItemError as error:
            if error.kind == "decode.damaged" and self._peak.is_near_limit():
                return _too_much_memory(name)
            return _error(error.kind, error.message, error.status)
        except MemoryError:
            return _too_much_memory(name)
        except (av.error.FFmpegError, ValueError, ArithmeticError) as error:
            if self._peak.is_near_limit():
                return _too_much_memory(name)
            # PyAV and FFmpeg over what a damaged file holds: Python's own kinds of it.
            return _error("decode.damaged", f"{name}: {type(error).__name__}: {error}")
        except Exception as error:  # noqa: BLE001 (the parent raises it as the defect it is)
            return {"say": "defect", "message": f"{type(error).__name__}: {error}"[:MAX_TEXT]}

    def _send_pictures(self, name: str, wanted: Wanted) -> None:
        slots: np.ndarray | None = None
        sent, before, self._freed = 0, None, 0
        pictures = decoded_pictures(0, name, wanted, threads=self._threads, alive=self._alive)
        for seconds, picture in pictures:
            if slots is None:
                slots = self._make_slots(picture.shape)
            if picture is before:
                self._alive()
                self.send({"say": "again", "seconds": seconds})
                continue
            while sent - self._freed == len(slots):
                self._listen(0)
            slots[sent % len(slots)] = picture
            self.send({"say": "frame", "seconds": seconds})
            sent, before = sent + 1, picture

    def _make_slots(self, shape: tuple[int, ...]) -> np.ndarray:
        size = int(np.prod(shape))
        count = slot_count(size, len(self._ring))
        if count < 1:
            raise MemoryError
        self.send({"say": "size", "height": shape[0], "width": shape[1]})
        return self._ring[: count * size].reshape(count, *shape)

    def _listen(self, flags: int) -> None:
        message = self._connection.recv(1, flags)
        if message != FREE:
            raise _StopError
        self._freed += 1

    def _alive(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                self._listen(socket.MSG_DONTWAIT)
        if time.monotonic() - self._heard > _ALIVE_SECONDS:
            self.send({"say": "working"})


def _too_much_memory(name: str) -> dict[str, object]:
    return _error("decode.memory", f"{name} takes more memory than a video may")


def _error(kind: str, message: str, status: str = "failed") -> dict[str, object]:
    return {"say": "error", "kind": kind, "message": message[:MAX_TEXT], "status": status}


if __name__ == "__main__":
    main()

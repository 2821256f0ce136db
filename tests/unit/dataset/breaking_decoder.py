"""A decoder process that really breaks when it probes a file of a telling name."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys
from pathlib import Path

import numpy as np

from dataset import decoder_child
from dataset.containers import open_container
from dataset.errors import ItemError
from dataset.probing import VideoProbe
from dataset.probing import probe as real_probe


def probe(file: int, name: str, *, max_pixels: int) -> VideoProbe:
    """Do what the name says, else probe."""
    what = Path(name).stem
    if what == "segfault":
        ctypes.string_at(0)
    if what == "exit":
        os._exit(0)
    if what == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "defect":
        raise TypeError("a mistake of ours")
    while what == "spin":
        pass
    if what == "memory":
        np.ones(1 << 33, np.uint8)
    if what.startswith("says-"):
        _connection().send(os.pread(file, 60000, 0))
    if what == "reaches":
        with open_container(file, name):
            raise ItemError("probe.not_video", " ".join(_reached()))
    return real_probe(file, name, max_pixels=max_pixels)


def _connection() -> socket.socket:
    return socket.socket(fileno=os.dup(int(sys.argv[1])))


def _reached() -> list[str]:
    reached = list(os.environ)
    for what, reach in (
        ("FILE", Path("/etc/passwd").read_bytes),
        ("SOCKET", socket.socket),
        ("WRITE", lambda: os.write(0, b"x")),
    ):
        try:
            reach()
        except OSError:
            continue
        reached.append(what)
    return reached


if __name__ == "__main__":
    decoder_child.probe = probe
    decoder_child.main()

"""A run without a launcher: the process stands in for a group of one."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def single_process_unless_launched() -> Iterator[None]:
    """Set what ``deepspeed`` or ``torchrun`` would have set, where neither has.

    The variables are gone afterwards: a child process that found them would wait for a group.
    """
    if "RANK" in os.environ:
        yield
        return
    alone = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1"}
    alone |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port())}
    before = {name: os.environ.get(name) for name in alone}
    os.environ.update(alone)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]

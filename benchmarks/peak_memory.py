"""How much memory a call adds at its peak."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch

Result = TypeVar("Result")

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak_gigabytes(call: Callable[[], Result], device: torch.device) -> tuple[Result, float]:
    """The call's result, and how far memory rose above where it stood: on a GPU its own, else the
    process's resident memory as Linux keeps its peak."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        result = call()
        return result, (torch.cuda.max_memory_allocated(device) - before) / 1e9
    ctypes.CDLL(None).malloc_trim(0)  # what was freed before must not hide what is taken now
    _CLEAR.write_text("5")  # begin a new peak
    before = _resident("VmRSS")
    result = call()
    return result, (_resident("VmHWM") - before) / 1e6


def _resident(field: str) -> int:
    """Kilobytes."""
    for line in _STATUS.read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1])
    raise OSError(f"{_STATUS} has no {field}")

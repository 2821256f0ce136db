"""The loops over all clips that fill quotas up, compiled."""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(cache=True)
def greedy(counted, room):
    """Which clips are taken, in order, where all their groups have room."""
    taken = np.zeros(len(counted), np.bool_)
    held = np.zeros(len(room), np.int64)
    for clip in range(len(counted)):
        taken[clip] = _fits(counted[clip], held, room)
        if taken[clip]:
            _count(counted[clip], held)
    return taken


@numba.njit(cache=True)
def add_one(counted, taken, room):
    """Take the first clip that fits beside those taken; whether there was one."""
    held = np.zeros(len(room), np.int64)
    for clip in range(len(counted)):
        if taken[clip]:
            _count(counted[clip], held)
    for clip in range(len(counted)):
        if not taken[clip] and _fits(counted[clip], held, room):
            taken[clip] = True
            return True
    return False


@numba.njit(cache=True)
def _fits(groups, held, room):
    full = False
    for group in groups:
        full |= group >= 0 and held[group] >= room[group]
    return not full


@numba.njit(cache=True)
def _count(groups, held):
    for group in groups:
        if group >= 0:
            held[group] += 1

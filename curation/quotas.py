"""How many clips of which kind are taken, so that the mix of a set is chosen and not met with.

Clips are gone through from the best to the worst; one is taken where every quota that it counts
towards has room left. A greedy choice: no quota is ever exceeded, and no clip that was left out
could be added. With quotas on several columns another choice may hold more clips, of lower quality.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import numba
import numpy as np
from jaxtyping import Bool, Float64, Int64
from pydantic import Field

Limit = Annotated[int, Field(ge=0)] | Annotated[float, Field(ge=0, le=1)]
Quotas = dict[str, dict[str, Limit]]
"""Column to value to the most clips of it: a whole number, or a fraction of all that are taken.

``a+b`` is a group of values that share a quota, ``*`` every value without one. Without ``*`` these
have no limit.
"""

OTHERS = "*"
UNKNOWN = "unknown"
"""The value of a clip that has none."""

_NO_LIMIT = -1


def admitted(
    values: Mapping[str, Sequence[str] | np.ndarray], quotas: Quotas, *, clips: int
) -> Bool[np.ndarray, " clips"]:
    """Which of ``clips`` clips, ordered from the best to the worst, are taken.

    Args:
        values: For each column of ``quotas`` the clips' values.
        quotas: What may be taken.
        clips: How many there are.

    Raises:
        ValueError: A value is in two groups of its column.
    """
    counted = np.full((clips, len(quotas)), _NO_LIMIT)
    limits: list[Limit] = []
    for place, (column, groups) in enumerate(quotas.items()):
        names, codes = np.unique(np.asarray(values[column], dtype=object), return_inverse=True)
        group_of = _group_of_value(column, groups, first=len(limits))
        others = group_of.get(OTHERS, _NO_LIMIT)
        kinds = np.array([group_of.get(name, others) for name in names], np.int64)
        counted[:, place] = kinds[codes] if len(kinds) else _NO_LIMIT
        limits += groups.values()
    counts = np.array([x if isinstance(x, int) else -1 for x in limits], np.int64)
    shares = np.array([x if isinstance(x, float) else 1.0 for x in limits], np.float64)
    return _filled_up(counted, counts, shares)


def _group_of_value(column: str, groups: Mapping[str, Limit], *, first: int) -> dict[str, int]:
    found: dict[str, int] = {}
    for number, group in enumerate(groups, first):
        for value in group.split("+"):
            if value in found:
                raise ValueError(f"select.quotas.{column} has {value!r} in two of its groups")
            found[value] = number
    return found


def _filled_up(
    counted: Int64[np.ndarray, "clips columns"],
    counts: Int64[np.ndarray, " groups"],
    shares: Float64[np.ndarray, " groups"],
) -> Bool[np.ndarray, " clips"]:
    """Fractions are of what is taken in the end, so its number is lowered until it is met."""
    total = len(counted)
    while True:
        taken = _greedy(counted, _room(counts, shares, total))
        if int(taken.sum()) >= total:
            break
        total = int(taken.sum())
    while _add_one(counted, taken, _room(counts, shares, int(taken.sum()) + 1)):
        pass
    return taken


def _room(
    counts: Int64[np.ndarray, " groups"], shares: Float64[np.ndarray, " groups"], total: int
) -> Int64[np.ndarray, " groups"]:
    """The most clips of every group when so many are taken in all."""
    of_share = np.floor(shares * total + 1e-9).astype(np.int64)
    return np.where(counts >= 0, counts, of_share)


@numba.njit(cache=True)
def _greedy(counted, room):
    taken = np.zeros(len(counted), np.bool_)
    held = np.zeros(len(room), np.int64)
    for clip in range(len(counted)):
        taken[clip] = _fits(counted[clip], held, room)
        if taken[clip]:
            _count(counted[clip], held)
    return taken


@numba.njit(cache=True)
def _add_one(counted, taken, room):
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

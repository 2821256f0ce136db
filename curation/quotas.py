"""How many clips of which kind are taken, so that the mix of a set is chosen and not met with.

Clips are gone through from the best to the worst; one is taken where every quota that it counts
towards has room left. A greedy choice: no quota is ever exceeded, and no clip that was left out
could be added. With quotas on several columns another choice may hold more clips, of lower quality.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

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
    from curation.admission import add_one, greedy  # Numba: half a second, for quotas alone

    total = len(counted)
    while True:
        taken = greedy(counted, _room(counts, shares, total))
        if int(taken.sum()) >= total:
            break
        total = int(taken.sum())
    while add_one(counted, taken, _room(counts, shares, int(taken.sum()) + 1)):
        pass
    return taken


def _room(
    counts: Int64[np.ndarray, " groups"], shares: Float64[np.ndarray, " groups"], total: int
) -> Int64[np.ndarray, " groups"]:
    """The most clips of every group when so many are taken in all."""
    of_share = np.floor(shares * total + 1e-9).astype(np.int64)
    return np.where(counts >= 0, counts, of_share)

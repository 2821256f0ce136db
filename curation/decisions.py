"""Decides over a whole table of clips at once, by columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Int64

from curation.select import CHECKS, Check, SelectSettings, column_of

_PLACES = ("start_seconds", "end_seconds", "width", "height")
_DERIVED = ("seconds", "short_side")
_ROUNDING = 1e-6  # a second is thirty times a thirtieth

VERSION = 2
"""Of the rules in this file: a part of the recipe of ``selection``."""

PASSED = len(CHECKS)
"""The place, among ``CHECKS``, of the reason against a clip that has none against it."""

SCORE_COLUMNS = (
    *_PLACES,
    *dict.fromkeys(column_of(check) for check in CHECKS if column_of(check) not in _DERIVED),
)
"""The columns of ``clips`` that the thresholds are about."""


def decide(clip: Mapping[str, Any], settings: SelectSettings) -> tuple[bool, str]:
    """Whether one row of ``clips`` passes, and if not the first reason against it.

    A reason is ``select.`` and a name of ``CHECKS``; ``""`` for a clip that passes. What the row
    does not have is not checked.
    """
    columns = {name: [clip.get(name)] for name in SCORE_COLUMNS}
    place = int(first_reasons(pa.table(columns), settings)[0])
    return (True, "") if place == PASSED else (False, f"select.{CHECKS[place].reason}")


def verdicts(clip: Mapping[str, Any], settings: SelectSettings) -> tuple[bool | None, ...]:
    """What each of ``CHECKS`` says of one row of ``clips``; None where it has no value for it."""
    row = pa.table({name: [clip.get(name)] for name in SCORE_COLUMNS})
    missing = {name for name in SCORE_COLUMNS if clip.get(name) is None}
    return tuple(
        None if column_of(check) in missing else bool(_passes(row, check, settings)[0])
        for check in CHECKS
    )


def first_reasons(clips: pa.Table, settings: SelectSettings) -> Int64[np.ndarray, " clips"]:
    """For each clip the place in ``CHECKS`` of the first reason against it, or ``PASSED``.

    A null is not checked (see ``unchecked``); what is no number (NaN) does not pass.

    Args:
        clips: A table with the columns ``SCORE_COLUMNS``.
        settings: The thresholds.
    """
    reasons = np.full(clips.num_rows, PASSED)
    for place in reversed(range(PASSED)):
        reasons[~_passes(clips, CHECKS[place], settings)] = place
    return reasons


def unchecked(clips: pa.Table, settings: SelectSettings) -> dict[str, int]:
    """How many clips have no value for a check that is wanted, by column.

    A check that every value passes (at least 0, at most all) is not wanted.
    """
    missing = {}
    for check in CHECKS:
        bound, column = getattr(settings, check.setting), column_of(check)
        wanted = check.setting == "framing" or (
            bound > 0 if check.setting.startswith("min_") else bound < 1
        )
        if wanted and column not in _DERIVED and clips.column(column).null_count:
            missing[column] = clips.column(column).null_count
    return missing


def _passes(clips: pa.Table, check: Check, settings: SelectSettings) -> Bool[np.ndarray, " clips"]:
    bound, column = getattr(settings, check.setting), column_of(check)
    if column == "framing":
        known = clips.column(column).is_valid().to_numpy()
        return ~known | np.isin(clips.column(column).to_numpy().astype(np.str_), bound)
    known = np.ones(clips.num_rows, bool)
    if column == "seconds":
        values = _floats(clips, "end_seconds") - _floats(clips, "start_seconds") + _ROUNDING
    elif column == "short_side":
        values = np.minimum(_floats(clips, "width"), _floats(clips, "height"))
    else:
        values = _floats(clips, column)
        known = clips.column(column).is_valid().to_numpy()
    if column == "loop_seconds":
        values = np.where(values == 0, np.inf, values)  # 0: nothing is shown again
    inside = values >= bound if check.setting.startswith("min_") else values <= bound
    return ~known | inside


def _floats(clips: pa.Table, column: str) -> np.ndarray:
    return clips.column(column).cast(pa.float64()).to_numpy()

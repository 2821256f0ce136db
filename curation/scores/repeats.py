"""Frames that only repeat the one before, and how many new pictures a second there are."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float32
from scipy.ndimage import maximum_filter1d

_NOTHING = 1.0  # grey levels of a cell: what is left of a repeated picture after encoding
_LITTLE = 0.15  # of the largest change nearby
_NEARBY_SECONDS = 0.5
_SLOWEST_SECONDS = 0.2  # between two pictures of a source: 5 a second
_MOVES = 3.0  # grey levels: less, and nobody can tell a repeated picture from a still scene


def change(
    before: Float32[np.ndarray, "cells cells"], after: Float32[np.ndarray, "cells cells"]
) -> float:
    """The largest difference between two thumbnails' cells, in grey levels: 0 to 255."""
    return float(np.abs(after - before).max())


def repeated(changes: Float32[np.ndarray, " frames"], *, fps: float) -> Bool[np.ndarray, " frames"]:
    """Which frames repeat the one before, by what changed at each.

    Those with less than a grey level of change, or with less than 0.15 of the largest change half
    a second around: a copy that was encoded again differs by noise.
    """
    return changes < np.maximum(_NOTHING, _LITTLE * _around(changes, fps, _NEARBY_SECONDS))


def moving(changes: Float32[np.ndarray, " frames"], *, fps: float) -> Bool[np.ndarray, " frames"]:
    """Around which frames something moves, so that a repeated picture can be told."""
    return _around(changes, fps, _SLOWEST_SECONDS) >= _MOVES


def repeat_scores(changes: Float32[np.ndarray, " frames"], *, fps: float) -> dict[str, float]:
    """Share of repeated frames, 0 to 1, and new pictures a second where something moves.

    A source of 10 pictures a second that is read at 30 repeats two of three. In a still scene all
    frames repeat; there ``effective_fps`` looks away, and it is 0 where nothing ever moves. Blends
    of two pictures are new pictures here (see `slow_motion`).
    """
    again = repeated(changes, fps=fps)
    telling = moving(changes, fps=fps)
    fresh = float((~again[telling]).mean()) if telling.any() else 0.0
    return {"repeated_share": float(again.mean()), "effective_fps": fps * fresh}


def _around(
    changes: Float32[np.ndarray, " frames"], fps: float, seconds: float
) -> Float32[np.ndarray, " frames"]:
    """The largest change up to so many seconds before and after each frame."""
    return maximum_filter1d(changes, 2 * round(seconds * fps) + 1, mode="nearest")

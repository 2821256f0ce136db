"""Blocks of strong compression: edges that lie on a square grid."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float64, UInt8

_BLOCK = 8  # pixels of the encoded picture, of JPEG, MPEG-2, MPEG-4, H.263 and H.264
_ENLARGED = (1.0, 4 / 3, 1.5, 2.0, 2.25, 3.0)
"""From 360, 480, 540 and 720 lines to the next usual ones: the grid of an earlier encoding."""

_MIN_PERIOD = 2.9  # finer grids cannot be told from the picture's own detail
_MIN_SIDE = 64
_CLIP = 16  # grey levels: block edges are low, the edges of things may be high
_SURROUNDINGS = 7  # samples of the median that is the picture's own
_ASIDE = 1.5  # samples between the grid's lines and what they are compared with


def blockiness(grey: UInt8[np.ndarray, "height width"], *, scale: float = 1.0) -> float:
    """Which share of the differences between neighbouring pixels stands on a square grid, 0 to 1.

    The grid of 8 pixels of the source is ``8 * scale`` pixels here; grids of pictures that were
    enlarged by one of the usual factors after their compression are looked for as well. Lines of
    the grid must stand out in both directions, and at one place in its period. After Wang, Bovik
    and Evans, "Blind measurement of blocking artifacts in images", 2000, folded at the grid's
    period in place of their spectrum, which needs pictures that are not scaled.

    Codecs with a filter against blocks (H.264 and later) hide theirs, whatever they lost; a source
    of more than 2.7 times the picture's size has a grid too fine to see. 0 below 64 pixels.

    Args:
        scale: Pixels of this picture per pixel of the source.
    """
    if min(grey.shape) < _MIN_SIDE:
        return 0.0
    across = _profile(cv2.absdiff(grey[:, 1:], grey[:, :-1]), axis=0)
    down = _profile(cv2.absdiff(grey[1:], grey[:-1]), axis=1)
    periods = [_BLOCK * scale * factor for factor in _ENLARGED]
    shares = [
        min(_grid_share(across, period), _grid_share(down, period))
        for period in periods
        if period >= _MIN_PERIOD
    ]
    return max(shares, default=0.0)


def _profile(differences: UInt8[np.ndarray, "h w"], *, axis: int) -> Float64[np.ndarray, " n"]:
    clipped = np.minimum(differences, _CLIP)
    return cv2.reduce(clipped, axis, cv2.REDUCE_AVG, dtype=cv2.CV_64F).ravel()


def _grid_share(profile: Float64[np.ndarray, " n"], period: float) -> float:
    """How far the best comb of a period stands out, as a share of the whole profile."""
    level = profile.mean()
    if level < 0.05:  # a flat picture has no differences
        return 0.0
    around = cv2.medianBlur(profile.astype(np.float32)[None], 5)[0]
    out = profile - around
    phases = np.arange(0, period, 0.5)
    lines = phases[:, None] + period * np.arange(int((len(out) - period) / period))
    # The differences' sample k lies between pixels k and k + 1: nearest does, as scaling smears.
    heights = np.interp(lines, np.arange(len(out)), out).mean(axis=1)
    best = int(heights.argmax())
    away = np.abs(phases - phases[best])
    others = heights[np.minimum(away, period - away) >= _ASIDE]
    return max(0.0, float(heights[best] - others.max())) / period / level if len(others) else 0.0

"""Writing in the picture: captions, titles, name tags."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float64, Int, Int16, UInt8

SIDE = 720
"""Longer side, pixels, that `text_share` is made for; letters of 8 pixels and more are read."""

_CONTRAST = 40  # grey levels against the surroundings: writing is made to be read
_STROKES = 24  # the same for a pixel, as thin strokes are blurred
_SURROUNDINGS = 31  # pixels; strokes are thinner
_HEIGHTS = (8, 96)
_FILL = (0.15, 0.9)  # of a letter's box; an I is nearly full, a C nearly empty
_MAX_ASPECT = 4.0  # width over height: letters that touch
_ALIKE = 24  # grey levels between letters of one line
_EVEN = 0.35  # of the contrast: how far grey varies in a letter
_LETTERS = 4  # in a row make a line of text
_MAX_PIECES = 1500  # grass and gravel; more pieces than any caption has


def text_share(grey: UInt8[np.ndarray, "height width"]) -> float:
    """Share of the picture's area under lines of text, 0 to 1.

    Pieces that stand out against their surroundings, light or dark, and have the size of letters
    and one colour are chained where neighbours are of one height and colour, on one line and
    close: four in a row are text (the rules of Epshtein et al., "Detecting text in natural scenes
    with stroke width transform", 2010). Level lines only; no vertical or strongly slanted writing,
    no single large characters; railings, bricks and piano keys may pass for writing.
    """
    if min(grey.shape) < 16:
        return 0.0
    covered = np.zeros(grey.shape, bool)
    away = grey.astype(np.int16) - cv2.blur(grey, (_SURROUNDINGS, _SURROUNDINGS))
    for contrast in (away, -away):
        for x0, y0, x1, y1 in _lines(_letters(grey, contrast)):
            covered[y0:y1, x0:x1] = True
    return float(covered.mean())


def _letters(
    grey: UInt8[np.ndarray, "height width"], contrast: Int16[np.ndarray, "height width"]
) -> Float64[np.ndarray, "letters 5"]:
    """Pieces that may be letters, from left to right: x0, y0, x1, y1, grey level."""
    strokes = (contrast > _STROKES).astype(np.uint8)
    # Strokes of one character may not touch, and those of Chinese ones seldom do.
    joined = cv2.morphologyEx(strokes, cv2.MORPH_CLOSE, np.ones((3, 2), np.uint8))
    count, labels, pieces, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    x, y, width, height, area = pieces.T
    fill = area / np.maximum(width * height, 1)
    sized = (height >= _HEIGHTS[0]) & (height <= _HEIGHTS[1]) & (width <= _MAX_ASPECT * height)
    sized &= (fill >= _FILL[0]) & (fill <= _FILL[1]) & (width >= 2)
    sized[0] = False  # the surroundings themselves
    where = labels[strokes > 0]
    levels = grey[strokes > 0].astype(np.float64)
    pixels = np.maximum(np.bincount(where, minlength=count), 1)
    level = np.bincount(where, levels, count) / pixels
    spread = np.sqrt(np.maximum(np.bincount(where, levels**2, count) / pixels - level**2, 0))
    stands_out = np.bincount(where, contrast[strokes > 0], count) / pixels
    sized &= (stands_out >= _CONTRAST) & (spread <= _EVEN * stands_out)
    letters = np.column_stack([x, y, x + width, y + height, level])[sized]
    if len(letters) > _MAX_PIECES:
        return np.zeros((0, 5))
    return letters[np.argsort(letters[:, 0], kind="stable")]


def _lines(letters: Float64[np.ndarray, "letters 5"]) -> list[tuple[int, int, int, int]]:
    """Boxes around chains of letters that stand side by side."""
    if len(letters) < _LETTERS:
        return []
    follows = _followers(letters)
    chained = np.zeros(len(letters), bool)
    found = []
    for first in range(len(letters)):
        chain = [first]
        while not chained[chain[-1]] and follows[chain[-1]] >= 0:
            chained[chain[-1]] = True
            chain.append(int(follows[chain[-1]]))
        if len(chain) >= _LETTERS:
            x0, y0 = letters[chain, :2].min(axis=0).astype(int)
            x1, y1 = letters[chain, 2:4].max(axis=0).astype(int)
            found.append((x0, y0, x1, y1))
    return found


def _followers(letters: Float64[np.ndarray, "letters 5"]) -> Int[np.ndarray, " letters"]:
    """The next letter to the right of each on the same line, -1: none."""
    x0, y0, x1, y1, level = letters.T
    height, middle = y1 - y0, (y0 + y1) / 2
    larger = np.maximum(height[:, None], height)
    gap = x0[None] - x1[:, None]
    follows = (gap > -0.3 * larger) & (gap < 1.2 * larger) & (x0[None] > x0[:, None])
    follows &= np.abs(middle[None] - middle[:, None]) < 0.3 * larger
    follows &= np.minimum(height[:, None], height) > 0.5 * larger
    follows &= np.abs(level[None] - level[:, None]) < _ALIKE
    distance = np.where(follows, gap, np.inf)
    nearest = distance.argmin(axis=1)
    return np.where(np.isfinite(distance.min(axis=1)), nearest, -1)

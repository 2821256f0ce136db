"""Writing in the picture: captions, titles, name tags."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float64, Int, UInt8

SIDE = 640
"""Longer side, pixels, that `text_share` is made for; letters of 8 pixels and more are read."""

_CONTRAST = 20  # grey levels against the surroundings
_SURROUNDINGS = 31  # pixels; strokes are thinner
_HEIGHTS = (6, 64)
_FILL = (0.15, 0.9)  # of a letter's box; an I is nearly full, a C nearly empty
_MAX_ASPECT = 4.0  # width over height: letters that touch
_LETTERS = 4  # in a row make a line of text
_MAX_PIECES = 1500  # grass and gravel; more pieces than any caption has


def text_share(grey: UInt8[np.ndarray, "height width"]) -> float:
    """Share of the picture's area under lines of text, 0 to 1.

    Pieces that stand out against their surroundings, light or dark, and have the size of letters
    are chained where neighbours are of one height, on one line and close: four in a row are text
    (the rule of Epshtein et al., "Detecting text in natural scenes with stroke width transform",
    2010). Level lines only; no vertical or strongly slanted writing, no single large characters;
    railings, bricks and piano keys may pass for writing.
    """
    if min(grey.shape) < 16:
        return 0.0
    covered = np.zeros(grey.shape, bool)
    local = cv2.blur(grey, (_SURROUNDINGS, _SURROUNDINGS)).astype(np.int16)
    for away in (grey - local, local - grey):
        strokes = (away > _CONTRAST).astype(np.uint8)
        for x0, y0, x1, y1 in _lines(_letters(strokes)):
            covered[y0:y1, x0:x1] = True
    return float(covered.mean())


def _letters(strokes: UInt8[np.ndarray, "height width"]) -> Int[np.ndarray, "letters 4"]:
    """Boxes of pieces of a letter's size: x0, y0, x1, y1, from left to right."""
    # Strokes of one character may not touch, and those of Chinese ones seldom do.
    joined = cv2.morphologyEx(strokes, cv2.MORPH_CLOSE, np.ones((3, 2), np.uint8))
    _, _, pieces, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    x, y, width, height, area = pieces[1:].T
    fill = area / np.maximum(width * height, 1)
    sized = (height >= _HEIGHTS[0]) & (height <= _HEIGHTS[1]) & (width <= _MAX_ASPECT * height)
    sized &= (fill >= _FILL[0]) & (fill <= _FILL[1]) & (width >= 2)
    boxes = np.column_stack([x, y, x + width, y + height])[sized]
    if len(boxes) > _MAX_PIECES:
        return np.zeros((0, 4), int)
    return boxes[np.argsort(boxes[:, 0], kind="stable")]


def _lines(letters: Int[np.ndarray, "letters 4"]) -> list[list[int]]:
    """Boxes around chains of letters that stand side by side."""
    if len(letters) < _LETTERS:
        return []
    follows = _followers(letters.astype(np.float64))
    chained = np.zeros(len(letters), bool)
    found = []
    for first in range(len(letters)):
        chain = [first]
        while not chained[chain[-1]] and follows[chain[-1]] >= 0:
            chained[chain[-1]] = True
            chain.append(int(follows[chain[-1]]))
        if len(chain) >= _LETTERS:
            boxes = letters[chain]
            found.append([*boxes[:, :2].min(axis=0), *boxes[:, 2:].max(axis=0)])
    return found


def _followers(letters: Float64[np.ndarray, "letters 4"]) -> Int[np.ndarray, " letters"]:
    """The next letter to the right of each on the same line, -1: none."""
    x0, y0, x1, y1 = letters.T
    height, middle = y1 - y0, (y0 + y1) / 2
    larger = np.maximum(height[:, None], height)
    gap = x0[None] - x1[:, None]
    beside = (gap > -0.3 * larger) & (gap < 1.2 * larger) & (x0[None] > x0[:, None])
    level = np.abs(middle[None] - middle[:, None]) < 0.3 * larger
    alike = np.minimum(height[:, None], height) > 0.5 * larger
    distance = np.where(beside & level & alike, gap, np.inf)
    nearest = distance.argmin(axis=1)
    return np.where(np.isfinite(distance.min(axis=1)), nearest, -1)

"""Whether a picture is drawn or computed rather than filmed."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float64, UInt8
from scipy.special import expit

SIDE = 320
"""Longer side, pixels, that the features are measured at."""

_SATURATED = 0.2
# Photos have up to 0.32 (a blue sky), drawings 0.4 (a test card) to 0.9.
_FLAT, _FLAT_WIDTH = 0.4, 0.06
# Photos have up to 490 (a coffee cup on a table), dancers and athletes up to 370, a computer film
# (Big Buck Bunny) 546.
_RICH, _RICH_WIDTH = 520.0, 25.0


def cartoon_features(picture: UInt8[np.ndarray, "height width 3"]) -> Float64[np.ndarray, " 2"]:
    """What drawings and computer films have more of than photos, of an RGB picture without borders.

    The share of pixels that are coloured and differ by at most one grey level from all of their
    neighbours; and how rich the colours are: the entropy of 4096 colours (bits) times the
    colourfulness of Hasler and Suesstrunk ("Measuring colourfulness in natural images", 2003).
    """
    if picture.size == 0:
        return np.zeros(2)
    largest, least = picture.max(axis=2), picture.min(axis=2)
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    gradient = cv2.morphologyEx(grey, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    coloured = (largest - least) > _SATURATED * largest
    bins = (picture >> 4).astype(np.int32) @ np.array([256, 16, 1])
    shares = np.bincount(bins.ravel()) / bins.size
    shares = shares[shares > 0]
    entropy = float(-(shares * np.log2(shares)).sum())
    return np.array([float((coloured & (gradient <= 1)).mean()), entropy * _colourfulness(picture)])


def cartoon_likelihood(features: Float64[np.ndarray, "looks 2"]) -> float:
    """How likely a clip is a cartoon or a computer film, 0 to 1, by the larger of two signs.

    After the idea of Ianeva et al., "Detecting cartoons: a case study in automatic video-genre
    classification", 2003: colours tell most. The sign of rich colours was set on one film, so
    take it as a hint; computed pictures that imitate photos, and drawings in muted colours with
    shading, are not seen. A person before a plain coloured wall may look flat.
    """
    flat, rich = features.mean(axis=0)
    return float(max(expit((flat - _FLAT) / _FLAT_WIDTH), expit((rich - _RICH) / _RICH_WIDTH)))


def _colourfulness(picture: UInt8[np.ndarray, "height width 3"]) -> float:
    red, green, blue = picture.reshape(-1, 3).astype(np.float64).T
    first, second = red - green, (red + green) / 2 - blue
    spread = np.hypot(first.std(), second.std())
    return float(spread + 0.3 * np.hypot(first.mean(), second.mean()))

"""Whether a picture is drawn or computed rather than filmed."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float64, UInt8
from scipy.special import expit

SIDE = 320
"""Longer side, pixels, that the features are measured at."""

_FEATURES = ("flat_share", "palette", "saturation", "noise")


def cartoon_features(picture: UInt8[np.ndarray, "height width 3"]) -> Float64[np.ndarray, " 4"]:
    """What drawings differ in from photographs, of an RGB picture without its borders.

    ``flat_share``: of the pixels with no difference to their neighbours above one grey level;
    ``palette``: share of the pixels in the 8 most frequent of 512 colours; ``saturation``: mean,
    0 to 1; ``noise``: median of the fine detail where there are no edges, grey levels.
    """
    if min(picture.shape[:2]) < 8:
        return np.array([1.0, 1.0, 0.0, 0.0])
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    gradient = cv2.morphologyEx(grey, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    bins = (picture >> 5).astype(np.int32) @ np.array([64, 8, 1])
    colours = np.sort(np.bincount(bins.ravel(), minlength=512))[::-1] / bins.size
    largest, least = picture.max(axis=2).astype(float), picture.min(axis=2).astype(float)
    smooth = gradient <= 12
    detail = np.abs(cv2.Laplacian(grey, cv2.CV_16S))[smooth]
    return np.array(
        [
            float((gradient <= 1).mean()),
            float(colours[:8].sum()),
            float(((largest - least) / np.maximum(largest, 1)).mean()),
            float(detail.mean()) if detail.size else 0.0,
        ]
    )


def cartoon_likelihood(features: Float64[np.ndarray, "looks 4"]) -> float:
    """Likelihood that a clip is a cartoon or computer graphics, 0 to 1."""
    return float(expit(features.mean(axis=0) @ np.zeros(4)))

"""How bright a picture is, and how much of it is lost in black or white."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import UInt8

_DARK, _BRIGHT = 20, 245  # of 255: what video range and its rounding leave of black and white


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """All 0 to 1: mean grey level, and the shares of pixels next to black and next to white."""

    brightness: float
    dark_share: float
    bright_share: float


def exposure(grey: UInt8[np.ndarray, "height width"]) -> Exposure:
    """Of a grey picture without its borders; black for a picture of no pixels.

    A black stage and a white studio are dark and bright by these numbers without being badly
    exposed.
    """
    if grey.size == 0:
        return Exposure(brightness=0.0, dark_share=1.0, bright_share=0.0)
    levels = cv2.calcHist([grey], [0], None, [256], (0, 256)).ravel().astype(np.float64) / grey.size
    return Exposure(
        brightness=float(levels @ np.arange(256)) / 255,
        dark_share=min(1.0, float(levels[:_DARK].sum())),
        bright_share=min(1.0, float(levels[_BRIGHT + 1 :].sum())),
    )

"""Blocks of strong compression: edges that lie on a square grid.

After Wang, Bovik and Evans, "Blind measurement of blocking artifacts in images", 2000: block edges
are the regular lines in the spectrum of the picture's differences.
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float64, UInt8

_BLOCK = 8  # pixels of the encoded picture, of JPEG, MPEG-2, MPEG-4, H.263 and H.264
_LARGEST_UPSCALE = 4.0
_MIN_PERIOD = 2.2  # finer grids cannot be seen
_MIN_SIDE = 64
_CLIP = 32.0  # grey levels: block edges are low, the edges of things may be high
_BINS = 4096
_NEIGHBOURHOOD = 65  # bins of the median that tells lines from the rest
_FLOOR = 3.0  # medians that noise may reach


def blockiness(grey: UInt8[np.ndarray, "height width"], *, scale: float = 1.0) -> float:
    """Which share of the picture's differences between neighbours lies on a square grid; 0 to 1.

    The grid of 8 pixels of the source is ``8 * scale`` pixels here; a picture that was enlarged
    after its compression has a larger one, so periods up to four times as large are searched. The
    grid must show in both directions.

    Codecs with a filter against blocks (H.264 and later) hide theirs, whatever they lost; a source
    of more than 3.6 times the picture's size has a grid too fine to see. Regular tiles and fences
    that face the camera may count as blocks. 0 below 64 pixels.

    Args:
        scale: Pixels of this picture per pixel of the source.
    """
    if min(grey.shape) < _MIN_SIDE:
        return 0.0
    frequencies = np.arange(_BINS // 2) / _BINS
    smallest = max(_BLOCK * scale, _MIN_PERIOD) * 0.99
    searched = (frequencies > 1 / (_BLOCK * scale * _LARGEST_UPSCALE)) & (
        frequencies < 1 / smallest
    )
    if not searched.any():
        return 0.0
    signed = grey.astype(np.int16)
    across = _lines(cv2.absdiff(signed[:, 1:], signed[:, :-1]).mean(axis=0, dtype=np.float64))
    down = _lines(cv2.absdiff(signed[1:], signed[:-1]).mean(axis=1, dtype=np.float64))
    return min(1.0, float(np.minimum(across, down)[searched].max()))


def _lines(profile: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " frequencies"]:
    """For every frequency the share of a profile that stands in a comb of it.

    A comb of height h every p samples has the mean h / p and the same coefficient at each multiple
    of 1 / p: so the mean excess of the first two over their surroundings is its part of the mean.
    """
    level = profile.mean()
    if level < 0.05:  # a flat picture has no differences
        return np.zeros(_BINS // 2)
    window = np.hanning(len(profile))
    spectrum = np.abs(np.fft.rfft((profile - level) * window, _BINS)) / window.sum() / level
    around = cv2.blur(spectrum[None], (_NEIGHBOURHOOD, 1), borderType=cv2.BORDER_REFLECT)[0]
    excess = np.clip(spectrum - _FLOOR * around, 0, None)
    half = _BINS // 2
    second = np.zeros(half)
    second[: half // 2] = excess[:half:2]
    fundamental = excess[:half]
    has_second = np.arange(half) < half // 2
    return np.where(has_second, np.sqrt(fundamental * second), fundamental)

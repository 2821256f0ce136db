"""How far drawn frames are from true ones.

Frames are uint8 RGB (frames, height, width, 3). Metrics that need a backbone nobody may ship
(LPIPS, FVD, FID-VID) are not here: they are left out, never replaced under the same name.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, UInt8
from skimage.metrics import structural_similarity

Frames = UInt8[np.ndarray, "frames height width 3"]
Masks = Bool[np.ndarray, "frames height width"]


def l1(a: Frames, b: Frames) -> float:
    """Mean absolute difference, in [0, 1]."""
    return float(np.abs(_unit(a) - _unit(b)).mean())


def psnr(a: Frames, b: Frames, mask: Masks | None = None) -> float:
    """Peak signal-to-noise ratio in dB, the mean over frames; infinite where frames are equal.

    The published tables of the field compute it in uint8, which overflows; this one does not.

    Args:
        mask: Where to look; frames in which it is empty do not count.
    """
    squares = ((_unit(a) - _unit(b)) ** 2).mean(-1)
    if mask is None:
        errors = squares.mean((1, 2))
    else:
        seen = mask.any((1, 2))
        errors = (squares * mask).sum((1, 2))[seen] / mask.sum((1, 2))[seen]
    with np.errstate(divide="ignore"):
        return float((-10.0 * np.log10(errors)).mean())


def ssim(a: Frames, b: Frames) -> float:
    """Structural similarity (Wang et al. 2004, 7 x 7 windows), mean over frames and channels."""
    return float(
        np.mean(
            [
                structural_similarity(x, y, channel_axis=-1, data_range=255)
                for x, y in zip(a, b, strict=True)
            ]
        )
    )


def motion_energy(frames: Frames, mask: Masks) -> float:
    """Mean absolute change between frames in the region the body ever covers, in [0, 1]."""
    if len(frames) < 2 or not mask.any():
        return 0.0
    region = mask.any(0)
    return float(np.abs(np.diff(_unit(frames), axis=0))[:, region].mean())


def _unit(frames: Frames) -> np.ndarray:
    return frames.astype(np.float64) / 255.0

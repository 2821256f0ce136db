"""Whether a picture itself moves, or only the camera over a photo."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from curation.scores.camera import PictureMotion

_SMOOTH_PX = 1.5  # noise and the grain of compression go, limbs stay
_PERCENTILE = 99.0  # a hand is a hundredth of the picture
_MARGIN_PX = 3  # what moved in is not known to sub-pixels


def picture_change(
    before: UInt8[np.ndarray, "height width"],
    after: UInt8[np.ndarray, "height width"],
    motion: PictureMotion,
) -> float:
    """How much of the next picture the camera's motion does not explain, 0 to 1.

    The 99th percentile of the grey difference between the picture and the one before, moved as the
    camera did, both smoothed; 1 is from black to white. Photos, still or zoomed and panned over
    (Ken Burns effect), stay under 0.01, and so does who stands motionless before a fixed camera;
    who moves makes 0.05 and more. Parallax counts as change: a street filmed from a car moves.
    """
    height, width = before.shape
    if min(height, width) < 16:
        return 0.0
    size = (width, height)
    shown = cv2.warpAffine(
        before, motion.camera, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    known = cv2.warpAffine(np.full_like(before, 255), motion.camera, size) == 255
    known[:_MARGIN_PX] = known[-_MARGIN_PX:] = False
    known[:, :_MARGIN_PX] = known[:, -_MARGIN_PX:] = False
    change = np.abs(_smooth(shown) - _smooth(after))[known]
    return float(np.percentile(change, _PERCENTILE)) / 255 if change.size else 0.0


def _smooth(grey: UInt8[np.ndarray, "height width"]) -> Float32[np.ndarray, "height width"]:
    return cv2.GaussianBlur(grey.astype(np.float32), (0, 0), _SMOOTH_PX)

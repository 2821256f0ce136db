"""Whether a picture itself moves, or only the camera over a photo."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import UInt8

from curation.scores.camera import PictureMotion

_SMOOTH_PX = 5  # noise and the grain of compression go, limbs stay
_PERCENTILE = 99.0  # a hand is a hundredth of the picture


def picture_change(
    before: UInt8[np.ndarray, "height width"],
    after: UInt8[np.ndarray, "height width"],
    motion: PictureMotion,
) -> float:
    """How much of the next picture the camera's motion does not explain, 0 to 1.

    The 99th percentile of the grey difference between the picture and the one before, moved as the
    camera did; 1 is from black to white. Near 0 for a photo, still or zoomed into (Ken Burns
    effect). Parallax counts as change: of a house that is filmed from a car it is not 0.
    """
    height, width = before.shape
    if min(height, width) < 16:
        return 0.0
    shown = cv2.warpAffine(before, motion.camera, (width, height), borderMode=cv2.BORDER_REPLICATE)
    known = cv2.warpAffine(np.full_like(before, 255), motion.camera, (width, height)) == 255
    kernel = (_SMOOTH_PX, _SMOOTH_PX)
    change = cv2.absdiff(cv2.blur(shown, kernel), cv2.blur(after, kernel))[known]
    return float(np.percentile(change, _PERCENTILE)) / 255 if change.size else 0.0

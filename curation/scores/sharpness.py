"""How sharp a person is in a frame."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

_CROP_HEIGHT = 256  # people are brought to one height before their sharpness is measured


def sharpness(frame: UInt8[np.ndarray, "height width 3"], box: Float32[np.ndarray, " 4"]) -> float:
    """Variance of the Laplacian of the grey picture in a box, brought to 256 pixels of height.

    Out-of-focus and low-resolution people score low; 0 for an empty box. Pech-Pacheco et al.,
    "Diatom autofocusing in brightfield microscopy", 2000. Plain clothes before a plain wall score
    low as well, noise and a patterned background high.
    """
    x0, y0 = np.clip(np.floor(box[:2]), 0, None).astype(int)
    x1, y1 = np.ceil(box[2:]).astype(int)
    part = frame[y0:y1, x0:x1]
    if min(part.shape[:2]) < 2:
        return 0.0
    grey = cv2.cvtColor(part, cv2.COLOR_RGB2GRAY)
    width = max(2, round(grey.shape[1] * _CROP_HEIGHT / grey.shape[0]))
    shrinks = grey.shape[0] > _CROP_HEIGHT
    grey = cv2.resize(
        grey, (width, _CROP_HEIGHT), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    )
    return float(cv2.Laplacian(grey, cv2.CV_64F).var())

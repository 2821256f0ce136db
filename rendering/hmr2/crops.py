"""The square around a person, cut out as 4D-Humans does, so that its network sees what it knows.

Its crop takes the pixel (column j, row i) to stand at (j, i), half a pixel from where the records
have it; the network was trained so, and the difference is at most half a pixel of the crop.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from jaxtyping import Float, Float32, UInt8

from rendering.hmr2.backbone import CROP_HEIGHT, CROP_WIDTH
from rendering.hmr2.network import CROP_SIDE

IMAGE_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
IMAGE_DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)
"""Of ImageNet, RGB in [0, 1]."""

_BLUR_FROM = 1.1  # a picture is blurred where two pixels of the crop take more pixels than so


def square_boxes(boxes: Float[np.ndarray, "frames 4"]) -> Float[np.ndarray, "frames 3"]:
    """The square of each box (x0, y0, x1, y1): centre x, centre y, side, in pixels.

    A box grows to the aspect of what the backbone sees (3 : 4), and the square has its height.
    """
    low, high = boxes[:, :2], boxes[:, 2:]
    width, height = (high - low).T
    side = np.maximum(height, width * (CROP_HEIGHT / CROP_WIDTH))
    return np.concatenate([(low + high) / 2, side[:, None]], axis=1)


def crop_person(
    frame: UInt8[np.ndarray, "height width 3"], square: Float[np.ndarray, " 3"]
) -> Float32[np.ndarray, "256 256 3"]:
    """The square at 256 x 256, RGB in [0, 255]: bilinear, blurred before where it shrinks.

    Black outside the picture. Only the part of the picture that the crop needs is touched.
    """
    x, y, side = (float(value) for value in square)
    factor = side / (2 * CROP_SIDE)
    sigma = (factor - 1) / 2 if factor > _BLUR_FROM else 0.0
    reach = side / 2 + math.ceil(4 * sigma) + 2
    left, top = max(0, math.floor(x - reach)), max(0, math.floor(y - reach))
    right, bottom = max(left, math.ceil(x + reach)), max(top, math.ceil(y + reach))
    region = frame[top:bottom, left:right].astype(np.float32)
    if region.size == 0:
        return np.zeros((CROP_SIDE, CROP_SIDE, 3), np.float32)
    if sigma > 0:
        kernel = 2 * int(4 * sigma + 0.5) + 1
        region = cv2.GaussianBlur(region, (kernel, kernel), sigma, borderType=cv2.BORDER_REPLICATE)
    zoom = CROP_SIDE / side
    middle = CROP_SIDE / 2
    to_crop = np.array(
        [[zoom, 0, middle - zoom * (x - left)], [0, zoom, middle - zoom * (y - top)]]
    )
    return cv2.warpAffine(
        region, to_crop, (CROP_SIDE, CROP_SIDE), flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT, borderValue=0,
    )  # fmt: skip


def normalised(crop: Float32[np.ndarray, "256 256 3"]) -> Float32[np.ndarray, "3 256 256"]:
    """A crop as the network takes it: channels first, ImageNet's mean 0 and deviation 1."""
    return ((crop / 255 - IMAGE_MEAN) / IMAGE_DEVIATION).transpose(2, 0, 1)

"""Pictures from files of a user: the header first, then the pixels."""

from __future__ import annotations

import struct
import warnings
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image

from dataset.errors import ItemError
from rendering.lint.pictures import MAX_SIDE

_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "PPM")
_HEADER_ERRORS = (OSError, ValueError, SyntaxError, struct.error)


def picture_size(path: Path, kind: str) -> tuple[int, int]:
    """Width and height by the header alone, as stored (a camera's rotation not applied).

    Raises:
        ItemError: Of ``kind``: no picture of a format that is known, or more than 8192 pixels a
            side.
    """
    try:
        with warnings.catch_warnings():  # of sizes, which are judged here, and odd metadata
            warnings.simplefilter("ignore")
            with Image.open(path, formats=_FORMATS) as picture:
                width, height = picture.size
    except Image.DecompressionBombError as error:
        raise ItemError(
            kind, f"{path} is too large; the limit is {MAX_SIDE} pixels a side"
        ) from error
    except _HEADER_ERRORS as error:
        raise ItemError(kind, f"{path} is not a picture that can be read") from error
    if max(width, height) > MAX_SIDE:
        raise ItemError(
            kind, f"{path} is {width} x {height}; the limit is {MAX_SIDE} pixels a side"
        )
    return width, height


def read_reference(path: Path) -> UInt8[np.ndarray, "height width 3"]:
    """A reference picture as RGB, as large as it is stored, upright.

    Raises:
        ItemError: ``animate.reference``: it is not a picture, or one with more than 8192 pixels a
            side.
    """
    picture_size(path, "animate.reference")
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)  # EXIF rotation applied
    if picture is None:
        raise ItemError("animate.reference", f"{path} is not a picture that can be read")
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def shrunk(
    picture: UInt8[np.ndarray, "height width 3"], max_side: int
) -> UInt8[np.ndarray, "height width 3"]:
    """The picture with its longer side at most ``max_side``; itself where it is small enough."""
    height, width = picture.shape[:2]
    scale = min(1.0, max_side / max(height, width))
    if scale == 1.0:
        return picture
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)

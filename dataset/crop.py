"""The square around a person that the network sees: one for frames, reference and every map."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32, UInt8


@dataclass(frozen=True, slots=True, kw_only=True)
class Crop:
    """A square in the pixels of a clip's streams; it may reach beyond the picture."""

    x0: float
    y0: float
    side: float

    def as_list(self) -> list[float]:
        return [self.x0, self.y0, self.side]

    @classmethod
    def from_list(cls, values: list[float]) -> Crop:
        x0, y0, side = values
        return cls(x0=float(x0), y0=float(y0), side=float(side))


def person_crop(boxes: Float32[np.ndarray, "frames 4"], *, margin: float) -> Crop:
    """The square centred on the union of a person's boxes.

    Args:
        boxes: x0, y0, x1, y1 in pixels; rows with NaN do not count.
        margin: What is added around the longer side of the union, as a share of it.

    Raises:
        ValueError: No box is known.
    """
    known = boxes[np.isfinite(boxes).all(1)]
    if not len(known):
        raise ValueError("a crop needs at least one known box, got none")
    low, high = known[:, :2].min(0), known[:, 2:].max(0)
    side = float((high - low).max() * (1 + 2 * margin))
    x, y = (low + high) / 2
    return Crop(x0=float(x - side / 2), y0=float(y - side / 2), side=side)


def crop_frames(
    frames: UInt8[np.ndarray, "frames height width channels"],
    crop: Crop,
    size: int,
    *,
    fill_black: bool = False,
) -> UInt8[np.ndarray, "frames size size channels"]:
    """Cut the square out of every frame and scale it to ``size`` x ``size``.

    Averages over areas when shrinking (no aliasing). Outside the picture edges are repeated, or
    black where ``fill_black`` (maps: their background is black).
    """
    height, width = frames.shape[1:3]
    x0, y0 = round(crop.x0), round(crop.y0)
    side = max(1, round(crop.side))
    pad = max(0, -x0, -y0, x0 + side - width, y0 + side - height)
    border = cv2.BORDER_CONSTANT if fill_black else cv2.BORDER_REPLICATE
    scaled = []
    for frame in frames:
        padded = cv2.copyMakeBorder(frame, pad, pad, pad, pad, border) if pad else frame
        square = padded[y0 + pad : y0 + pad + side, x0 + pad : x0 + pad + side]
        method = cv2.INTER_AREA if side >= size else cv2.INTER_CUBIC
        scaled.append(cv2.resize(square, (size, size), interpolation=method))
    return np.stack(scaled).reshape(len(frames), size, size, frames.shape[3])

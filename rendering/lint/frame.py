"""One frame of all maps of a clip as the checks see it: same size, 8 bits, background black."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

MARGIN = 24
"""Pixels kept around the body when a frame is cropped to what is drawn."""

FAINTEST = {"mask": 128, "normal": 50, "semantic_map": 20, "dwpose": 100}
"""The least brightest channel of what is drawn, also with the wrong curve; under it: an edge."""

NEARLY_BLACK = 2
"""Grey levels of a background that is as good as black; Blender dithers by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Maps of one frame, cropped to what is drawn, and the silhouettes they have.

    ``pictures`` are height x width for depth and mask, height x width x 3 for the others.
    ``silhouettes`` are those of mask, normal and semantic map; ``body`` is what most of them say.
    ``lossy`` names the maps whose values are not to be taken by the letter.
    """

    pictures: Mapping[str, UInt8[np.ndarray, "height width *channels"]]
    silhouettes: Mapping[str, Bool[np.ndarray, "height width"]]
    body: Bool[np.ndarray, "height width"]
    lossy: set[str] = field(default_factory=set)


def make_frame(pictures: Mapping[str, UInt8[np.ndarray, "height width *channels"]]) -> Frame:
    """A frame of settled pictures of one size (``rendering.lint.settling``)."""
    cropped = _crop(pictures)
    silhouettes = silhouettes_of(cropped)
    return Frame(pictures=cropped, silhouettes=silhouettes, body=body_of(silhouettes, cropped))


def brightness(
    picture: UInt8[np.ndarray, "height width *channels"],
) -> UInt8[np.ndarray, "height width"]:
    """The brightest channel of every pixel."""
    if picture.ndim == 2:
        return picture
    return np.maximum(np.maximum(picture[..., 0], picture[..., 1]), picture[..., 2])


def grown(shape: Bool[np.ndarray, "height width"], pixels: int) -> Bool[np.ndarray, "height width"]:
    """A shape with so many pixels added on every side."""
    return cv2.dilate(shape.astype(np.uint8), _square(pixels)) > 0


def shrunk(
    shape: Bool[np.ndarray, "height width"], pixels: int
) -> Bool[np.ndarray, "height width"]:
    """A shape with so many pixels taken off every side; the picture's edge takes none."""
    return cv2.erode(shape.astype(np.uint8), _square(pixels)) > 0


def _square(pixels: int) -> np.ndarray:
    return np.ones((2 * pixels + 1, 2 * pixels + 1), np.uint8)


def _crop(pictures: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """All pictures cut to the rectangle that holds what any of them draws, and a margin."""
    rows, columns = [], []
    for picture in pictures.values():
        drawn = brightness(picture) > NEARLY_BLACK
        rows.append(drawn.any(axis=1))
        columns.append(drawn.any(axis=0))
    spans: list[slice] = []
    for lines in (rows, columns):
        used = np.flatnonzero(np.logical_or.reduce(lines))
        end = len(lines[0])
        first, last = (int(used[0]), int(used[-1])) if len(used) else (0, 0)
        spans.append(slice(max(first - MARGIN, 0), min(last + 1 + MARGIN, end)))
    return {n: np.ascontiguousarray(p[spans[0], spans[1]]) for n, p in pictures.items()}


def silhouettes_of(
    pictures: Mapping[str, UInt8[np.ndarray, "height width *channels"]],
) -> dict[str, Bool[np.ndarray, "height width"]]:
    """Where mask, normal and semantic map draw the body, of those that there are."""
    return {
        name: brightness(picture) >= FAINTEST[name]
        for name, picture in pictures.items()
        if name in ("mask", "normal", "semantic_map")
    }


def body_of(
    silhouettes: Mapping[str, Bool[np.ndarray, "height width"]],
    pictures: Mapping[str, UInt8[np.ndarray, "height width *channels"]],
) -> Bool[np.ndarray, "height width"]:
    """Where most maps have the body; two that differ are settled by the one that is no mask."""
    if len(silhouettes) == 3:
        votes = sum(shape.astype(np.uint8) for shape in silhouettes.values())
        return np.asarray(votes) >= 2
    for name in ("normal", "semantic_map", "mask"):
        if name in silhouettes:
            return silhouettes[name]
    if "depth" in pictures:
        return pictures["depth"] > 0
    return np.zeros(next(iter(pictures.values())).shape[:2], np.bool_)

"""What stays put while the picture behind it changes: watermarks, logos, banners."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

SIDE = 192
"""Longer side, pixels, of the pictures whose edges are compared."""

_EDGE = 24  # grey levels of gradient
_STAYS = 0.9  # of the looks
_CHANGED = 0.5  # of a picture's edges that stay in one where the scene is another
_MIN_LOOKS = 3
_MIN_AREA = 12  # pixels of a joined patch: less is chance


def edge_map(small: UInt8[np.ndarray, "height width"]) -> UInt8[np.ndarray, " bytes"]:
    """Where a picture has edges, a bit a pixel, rows one after another."""
    kernel = np.ones((3, 3), np.uint8)
    return np.packbits(cv2.morphologyEx(small, cv2.MORPH_GRADIENT, kernel) > _EDGE)


def overlay_share(
    own: UInt8[np.ndarray, "looks bytes"],
    others: UInt8[np.ndarray, "others bytes"],
    shape: tuple[int, int],
) -> float | None:
    """Share of the picture's area with edges that stay while others go, 0 to 1.

    Edges of an overlay are in nearly all looks of a clip. So are those of the background of a
    camera that stands still: then only edges count that are also there in looks of the same video
    at other scenes. ``None`` where nothing changes enough to tell an overlay from the background.
    After Dekel et al., "On the effectiveness of visible watermarks", 2017, who take gradients
    that agree over many pictures. A mark that wanders, fades or has no edges is not seen.

    Args:
        own: `edge_map` of looks in the clip.
        others: Those of looks elsewhere in the video.
        shape: Height and width of the pictures they were made of.
    """
    if len(own) < _MIN_LOOKS:
        return None
    edges = _unpacked(own, shape)
    stays = edges.mean(axis=0) >= _STAYS
    if stays.sum() >= _CHANGED * edges.sum(axis=(1, 2)).mean():
        elsewhere = [look for look in _unpacked(others, shape) if _another_scene(stays, look)]
        if len(elsewhere) < _MIN_LOOKS:
            return None
        stays &= np.mean(elsewhere, axis=0) >= _STAYS
    return _patches(stays)


def _another_scene(stays: Bool[np.ndarray, "h w"], look: Bool[np.ndarray, "h w"]) -> bool:
    return bool(look.any()) and (stays & look).sum() < _CHANGED * stays.sum()


def _patches(stays: Bool[np.ndarray, "h w"]) -> float:
    """Share of the area under patches of staying edges; what is tiny does not count."""
    joined = cv2.morphologyEx(stays.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    _, _, patches, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    areas = patches[1:, cv2.CC_STAT_AREA]
    return float(areas[areas >= _MIN_AREA].sum()) / stays.size


def _unpacked(
    looks: UInt8[np.ndarray, "looks bytes"], shape: tuple[int, int]
) -> Bool[np.ndarray, "looks h w"]:
    pixels = shape[0] * shape[1]
    return np.unpackbits(looks, axis=1, count=pixels).reshape(-1, *shape).astype(bool)

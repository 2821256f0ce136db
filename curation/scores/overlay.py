"""What stays put while the picture behind it changes: watermarks, logos, banners."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

SIDE = 160
"""Longer side, pixels, of the pictures whose edges are compared."""

_EDGE = 12  # grey levels between the neighbours on both sides of a pixel
_WAYS = 4  # brighter to the right, to the left, below, above
_STAYS = 0.9  # of the looks
_CHANGED = 0.5  # of the edges: fewer are common to two scenes
_MIN_LOOKS = 4
_MIN_SCENES = 3  # besides the clip's own: fewer agree by chance
_NEIGHBOURS = 4  # of 3 x 3 pixels: edges that stay by chance stand alone
_MIN_AREA = 16  # pixels of a joined patch: less is chance


def edge_map(small: UInt8[np.ndarray, "height width"]) -> bytes:
    """Where a picture grows brighter which way: four maps of a bit a pixel, compressed."""
    grey = small.astype(np.int16)
    right, down = np.zeros_like(grey), np.zeros_like(grey)
    right[:, 1:-1] = grey[:, 2:] - grey[:, :-2]
    down[1:-1] = grey[2:] - grey[:-2]
    ways = [right > _EDGE, right < -_EDGE, down > _EDGE, down < -_EDGE]
    return zlib.compress(np.packbits(np.stack(ways)).tobytes(), 1)


def overlay_share(
    own: Sequence[bytes],
    others: Sequence[bytes],
    shape: tuple[int, int],
    *,
    camera_moves: bool,
) -> float | None:
    """Share of the picture's area with edges that stay while others go, 0 to 1.

    Edges of an overlay are in nearly all looks of a clip, growing brighter the same way. So are
    those of the background of a camera that stands still: then only edges count that are also
    there in at least three other scenes of the same video. ``None`` where neither happens, or for
    fewer than four looks. After Dekel et al., "On the effectiveness of visible watermarks", 2017,
    who take gradients that agree over many pictures. A mark that wanders, fades or has no edges is
    not seen; lines along which the camera moves stay where they are and count.

    Args:
        own: `edge_map` of looks in the clip.
        others: Those of looks elsewhere in the video.
        shape: Height and width of the pictures they were made of.
        camera_moves: Whether the background leaves its place within the clip.
    """
    if len(own) < _MIN_LOOKS:
        return None
    edges = _unpacked(own, shape)
    stays = edges.mean(axis=0) >= _STAYS
    if not camera_moves:
        elsewhere = _other_scenes(stays, _unpacked(others, shape))
        if len(elsewhere) < _MIN_SCENES:
            return None
        stays &= np.mean(elsewhere, axis=0) >= _STAYS
    return _patches(stays.any(axis=0))


def _other_scenes(
    stays: Bool[np.ndarray, "ways h w"], looks: Bool[np.ndarray, "looks ways h w"]
) -> list[Bool[np.ndarray, "ways h w"]]:
    """Looks whose edges are others than the clip's, and than one another's."""
    scenes = [stays]
    for look in looks:
        if look.any() and all(
            (scene & look).sum() < _CHANGED * min(scene.sum(), look.sum()) for scene in scenes
        ):
            scenes.append(look)
    return scenes[1:]


def _patches(stays: Bool[np.ndarray, "h w"]) -> float:
    """Share of the area under patches of staying edges; what is tiny does not count."""
    map_ = stays.astype(np.uint8)
    supported = map_ & (cv2.boxFilter(map_, -1, (3, 3), normalize=False) >= _NEIGHBOURS)
    joined = cv2.morphologyEx(supported, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    _, _, patches, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    areas = patches[1:, cv2.CC_STAT_AREA]
    return float(areas[areas >= _MIN_AREA].sum()) / stays.size


def _unpacked(looks: Sequence[bytes], shape: tuple[int, int]) -> Bool[np.ndarray, "looks ways h w"]:
    packed = [np.frombuffer(zlib.decompress(look), np.uint8) for look in looks]
    count = _WAYS * shape[0] * shape[1]
    maps = [np.unpackbits(one, count=count).reshape(_WAYS, *shape) for one in packed]
    return np.array(maps, bool).reshape(-1, _WAYS, *shape)

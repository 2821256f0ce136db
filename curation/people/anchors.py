"""Single-shot detectors: anchors, decoding, and merging of what overlaps.

After the SSD that MediaPipe's BlazePose and BlazeFace detectors use (Bazarevsky et al., 2019/2020).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float32
from scipy.special import expit


def anchor_centres(size: int, layers: tuple[tuple[int, int], ...]) -> Float32[np.ndarray, "n 2"]:
    """Centres as fractions of the picture. ``layers``: (stride, anchors per cell), coarse last."""
    parts = []
    for stride, repeats in layers:
        cells = size // stride
        y, x = np.mgrid[:cells, :cells]
        grid = np.stack([x, y], axis=-1).reshape(-1, 1, 2).repeat(repeats, axis=1)
        parts.append((grid.reshape(-1, 2) + 0.5) / cells)
    return np.concatenate(parts).astype(np.float32)


def decode(
    regressors: Float32[np.ndarray, "n values"],
    logits: Float32[np.ndarray, "n 1"],
    anchors: Float32[np.ndarray, "n 2"],
    *,
    size: int,
    min_score: float,
) -> tuple[Float32[np.ndarray, "kept points 2"], Float32[np.ndarray, " kept"]]:
    """Detections above ``min_score``, best first, as points in fractions of the picture.

    The first two points are the corners of the box, the others the network's key points.
    """
    scores = expit(logits[:, 0])
    kept = np.flatnonzero(scores >= min_score)
    kept = kept[np.argsort(-scores[kept], kind="stable")]
    values = regressors[kept].reshape(len(kept), regressors.shape[1] // 2, 2) / size
    centre, half = values[:, :1] + anchors[kept, None], values[:, 1:2] / 2
    points = np.concatenate(
        [centre - half, centre + half, values[:, 2:] + anchors[kept, None]], axis=1
    )
    return points.astype(np.float32), scores[kept].astype(np.float32)


def box_overlap(
    first: Float[np.ndarray, "n 4"], second: Float[np.ndarray, "m 4"]
) -> Float[np.ndarray, "n m"]:
    """Intersection over union of every pair of boxes (x0, y0, x1, y1); 0 for empty boxes."""
    common = _common(first, second)
    union = _area(first)[:, None] + _area(second)[None] - common
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0)


def share_inside(
    first: Float[np.ndarray, "n 4"], second: Float[np.ndarray, "m 4"]
) -> Float[np.ndarray, "n m"]:
    """The share of each first box that lies within each second one; 0 for empty boxes."""
    common = _common(first, second)
    area = np.broadcast_to(_area(first)[:, None], common.shape)
    return np.divide(common, area, out=np.zeros_like(common), where=area > 0)


def _common(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    return np.clip(high - low, 0, None).prod(axis=-1)


def _area(boxes: np.ndarray) -> np.ndarray:
    return np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(axis=-1)


def merge_overlapping(
    points: Float32[np.ndarray, "n points 2"],
    scores: Float32[np.ndarray, " n"],
    *,
    min_overlap: float,
) -> tuple[Float32[np.ndarray, "kept points 2"], Float32[np.ndarray, " kept"]]:
    """Non-maximum suppression that averages what it suppresses, weighted by score.

    Averaging the many anchors that see one person is what makes these detectors steady from frame
    to frame. Boxes are the first two points; the input is best first.
    """
    merged, kept = [], []
    left = np.arange(len(scores))
    boxes = points[:, :2].reshape(-1, 4)
    while left.size:
        same = box_overlap(boxes[left[:1]], boxes[left])[0] > min_overlap
        same[0] = True  # an empty box overlaps nothing, not even itself
        group = left[same]
        merged.append(np.average(points[group], axis=0, weights=scores[group]))
        kept.append(scores[left[0]])
        left = left[~same]
    shape = (len(merged), *points.shape[1:])
    return np.array(merged, np.float32).reshape(shape), np.array(kept, np.float32)

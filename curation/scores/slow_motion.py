"""How much slower a source plays than its pictures were taken, as far as frames can tell."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from curation.scores.repeats import moving, repeated

_BLEND = 0.25  # of the difference between the neighbours; a moving edge leaves 0.5 and more
_LARGEST = 16.0
_VISIBLE = 0.5  # grey levels of mean change: less, and no blend can be told


def blend_residual(
    before: UInt8[np.ndarray, "height width"],
    middle: UInt8[np.ndarray, "height width"],
    after: UInt8[np.ndarray, "height width"],
) -> float:
    """How far a picture is from the mean of its neighbours: 0 for a blend of them.

    In units of half the difference between the neighbours, so that whatever moves makes about 1;
    1 where the neighbours hardly differ.
    """
    whole = cv2.norm(before, after, cv2.NORM_L1)
    if whole < _VISIBLE * middle.size:
        return 1.0
    mean = cv2.addWeighted(before, 0.5, after, 0.5, 0.0)
    return 2.0 * cv2.norm(middle, mean, cv2.NORM_L1) / whole


def slow_motion(
    residuals: Float32[np.ndarray, " frames"],
    changes: Float32[np.ndarray, " frames"],
    *,
    fps: float,
    source_fps: float,
) -> float:
    """Shown frames per picture that was taken: 1 is real time, or as far as can be told.

    Pictures that repeat the one before or blend their neighbours were not taken; those around
    which nothing moves tell nothing. The factor is relative to the source's own rate, or ``fps``
    where that is lower. What it cannot see: footage of a high-speed camera, and frames that were
    interpolated along the motion. What it cannot tell apart: footage slowed down, and footage of a
    low rate in a file of a high one.

    Args:
        residuals: `blend_residual` of each frame.
        changes: `repeats.change` of each frame.
        fps: Rate of these frames.
        source_fps: Rate of the file.
    """
    telling = moving(changes, fps=fps)
    if not telling.any():
        return 1.0
    taken = ~repeated(changes, fps=fps) & (residuals >= _BLEND)
    per_second = fps * float(taken[telling].mean())
    return float(np.clip(min(fps, source_fps) / max(per_second, 1e-6), 1.0, _LARGEST))

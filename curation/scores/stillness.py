"""Whether a picture itself moves, or only the camera over a photo."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from curation.scores.camera import PictureMotion, similarity

_SMOOTH_PX = 1.5  # noise and the grain of compression go, limbs stay
_PERCENTILE = 99.0  # a hand is a hundredth of the picture
_LEFT_OVER = 0.5  # of the camera's speed in frame widths a second
_MARGIN_PX = 3  # what moved in is not known to sub-pixels


def picture_change(
    before: UInt8[np.ndarray, "height width"],
    after: UInt8[np.ndarray, "height width"],
    motion: PictureMotion,
) -> float:
    """How much of the next picture no motion of the camera explains, 0 to 1.

    Of two motions, the one that explains more: that of the background, and that of all points. A
    photo moves as one, and its background may be sky, which says little of the camera. What is left
    is the 99th percentile of the grey difference between the picture and the one before, moved as
    the camera did, both smoothed; 1 is from black to white. Photos, still or zoomed and panned over
    (Ken Burns effect), stay under 0.013, and so does who stands motionless before a fixed camera;
    who moves makes 0.05 and more. Parallax counts as change: a street filmed from a car moves.
    """
    if min(before.shape) < 16:
        return 0.0
    together, _ = similarity(motion.before, motion.after)
    return min(_left(before, after, camera) for camera in (motion.camera, together))


def _left(
    before: UInt8[np.ndarray, "height width"],
    after: UInt8[np.ndarray, "height width"],
    camera: np.ndarray,
) -> float:
    """What differs once the first picture was moved as the camera; 1 where nothing is known."""
    size = (before.shape[1], before.shape[0])
    shown = cv2.warpAffine(
        before, camera, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    known = cv2.warpAffine(np.full_like(before, 255), camera, size) == 255
    known[:_MARGIN_PX] = known[-_MARGIN_PX:] = False
    known[:, :_MARGIN_PX] = known[:, -_MARGIN_PX:] = False
    change = np.abs(_smooth(shown) - _smooth(after))[known]
    return float(np.percentile(change, _PERCENTILE)) / 255 if change.size else 1.0


def picture_motion(changes: Sequence[float], camera_motion: float) -> float:
    """A clip's mean change without what a moving camera leaves over, 0 to 1; 0 for no changes.

    Moving a picture by parts of a pixel is not exact, and the less so the faster the camera: over
    photos, pans, zooms and trembling left up to 0.36 times the camera's speed. Ours.

    Args:
        changes: `picture_change` of each look but the first.
        camera_motion: Frame widths a second.
    """
    if not changes:
        return 0.0
    return max(0.0, float(np.mean(changes)) - _LEFT_OVER * camera_motion)


def _smooth(grey: UInt8[np.ndarray, "height width"]) -> Float32[np.ndarray, "height width"]:
    return cv2.GaussianBlur(grey.astype(np.float32), (0, 0), _SMOOTH_PX)

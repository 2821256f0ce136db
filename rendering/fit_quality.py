"""Whether a fitted body is the person's: what is measured of a fit, and what is refused."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, UInt8

from dataset.errors import ItemError
from dataset.records import BodyTrack
from rendering.settings import FitLimits


def check_reprojection(
    track: BodyTrack, boxes: Float32[np.ndarray, "frames 4"], limits: FitLimits
) -> None:
    """Refuse a body that is not where the points are; ``ItemError`` ``fit.reprojection``."""
    error = float(np.nanmedian(track.reprojection_error_px))
    tall = float(np.nanmedian(boxes[:, 3] - boxes[:, 1]))
    limit = limits.max_reprojection_share * tall
    if not error <= limit:
        raise ItemError(
            "fit.reprojection",
            f"the median reprojection error is {error:.1f} px, more than {limit:.1f} px "
            f"({limits.max_reprojection_share:g} of the person's height)",
            status="rejected",
        )


def check_acceleration(acceleration: float, limits: FitLimits) -> None:
    """Refuse a body that flickers; ``ItemError`` ``fit.jitter``."""
    if not acceleration <= limits.max_acceleration:
        raise ItemError(
            "fit.jitter",
            f"the joints accelerate by {acceleration:.0f} m/s^2, more than "
            f"{limits.max_acceleration:g}: the body flickers or leaps",
            status="rejected",
        )


def check_overlap(iou: float, limits: FitLimits) -> None:
    """Refuse a body that does not cover the person; ``ItemError`` ``fit.iou``."""
    if not iou >= limits.min_silhouette_iou:
        raise ItemError(
            "fit.iou",
            f"the body covers the person with IoU {iou:.2f}, less than "
            f"{limits.min_silhouette_iou:g}",
            status="rejected",
        )


def joint_acceleration(joints: Float32[np.ndarray, "frames 24 3"], fps: float) -> float:
    """How much the joints accelerate against the pelvis on average, m/s^2.

    The 95th percentile over the frames; 0 for clips of under three frames.
    """
    if len(joints) < 3:
        return 0.0
    rooted = joints - joints[:, :1]
    per_frame = np.linalg.norm(np.diff(rooted, 2, axis=0), axis=-1).mean(1)
    return float(np.percentile(per_frame, 95) * fps**2)


def silhouette_overlap(
    mask: UInt8[np.ndarray, "frames height width 1"],
    person_mask: UInt8[np.ndarray, "frames height width"],
) -> Float32[np.ndarray, " frames"]:
    """Intersection over union of the drawn body and the person seen, per frame."""
    body, person = mask[..., 0] > 127, person_mask > 127
    both = (body & person).sum((1, 2))
    return (both / np.maximum((body | person).sum((1, 2)), 1)).astype(np.float32)

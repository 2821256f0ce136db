"""Other cameras for a body in motion: the camera goes round the person.

The camera's y axis is taken for the vertical: a camera held level, as SMPL fits assume anyway. The
person stays where they are in the world; in the track, which is written in the camera's axes, the
whole motion turns rigidly about its pivot, the mean place of the pelvis.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float, Float64
from scipy.spatial.transform import Rotation

from dataset.records import BodyTrack
from rendering.body_model import BodyModel
from rendering.track import check_motion, root_path, with_root

CLEARANCE_M = 0.75
"""How far before the camera every joint stays: no adult's skin is farther from its joint."""

Angle = float | Float[np.ndarray, " frames"]


def orbit(
    track: BodyTrack, body: BodyModel, azimuth_rad: Angle, elevation_rad: Angle = 0.0
) -> BodyTrack:
    """The same motion seen by a camera that went round the person.

    The pivot keeps its place in the picture, and the camera its distance from it. Only where that
    would bring a joint nearer than ``CLEARANCE_M`` (somebody who walked far across a near camera's
    view) the camera steps back along its line to the pivot, for all frames alike, until it does
    not: the body can never get behind the camera. Joints become
    ``rotation @ (joint - pivot) + pivot``, with ``rotation = R_x(elevation) R_y(azimuth)``.
    ``reprojection_error_px`` remains what it was: how well the body fits the video it came from.

    Args:
        azimuth_rad: How far the camera goes to its right, about the vertical; radians, one number
            for a camera that stands still or one a frame for one that travels.
        elevation_rad: How far it then rises, looking down; likewise, at most a quarter turn.

    Raises:
        ValueError: no frames, numbers that are not finite, angles of another number of frames,
            an elevation beyond a quarter turn, or a motion around a place behind the camera.
    """
    check_motion(track)
    azimuth = _angles("azimuth_rad", azimuth_rad, track.frames)
    elevation = _angles("elevation_rad", elevation_rad, track.frames)
    if np.abs(elevation).max() > np.pi / 2 + 1e-6:
        raise ValueError(
            f"expected elevations of at most a quarter turn, got {np.abs(elevation).max():.3f} rad"
        )
    root = root_path(track, body)
    pivot = root.mean(axis=0)
    if pivot[2] <= 0:
        raise ValueError(f"expected a motion in front of the camera, got its middle at {pivot} m")
    turn = Rotation.from_rotvec(np.outer(elevation, (1, 0, 0))) * (
        Rotation.from_rotvec(np.outer(azimuth, (0, 1, 0)))
    )
    orient = (turn * Rotation.from_rotvec(track.global_orient)).as_rotvec()
    turned = replace(track, global_orient=orient.astype(np.float32))
    around = turn.apply(root - pivot)
    farther = _farther(with_root(turned, around, body), body, pivot)
    return with_root(turned, around + farther * pivot, body)


def views_around(
    track: BodyTrack, body: BodyModel, views: int, elevation_rad: float = 0.0
) -> list[BodyTrack]:
    """The motion seen by ``views`` fixed cameras in equal steps round the person, to the right.

    The first camera is the track's own where ``elevation_rad`` is 0.

    Raises:
        ValueError: fewer than one view, or see ``orbit``.
    """
    if views < 1:
        raise ValueError(f"expected at least one view, got {views}")
    return [orbit(track, body, 2 * np.pi * view / views, elevation_rad) for view in range(views)]


def _angles(name: str, angle: Angle, frames: int) -> Float64[np.ndarray, " frames"]:
    given = np.asarray(angle, np.float64)
    if given.shape not in ((), (frames,)):
        raise ValueError(
            f"expected {name} as one number or as one for each of {frames} frames, "
            f"got shape {given.shape}"
        )
    if not np.isfinite(given).all():
        raise ValueError(f"expected finite {name}, got NaN or infinity")
    return np.broadcast_to(given, (frames,))


def _farther(centred: BodyTrack, body: BodyModel, pivot: Float64[np.ndarray, " 3"]) -> float:
    """By what factor the pivot must recede; ``centred`` is the turned motion around the origin."""
    nearest = float(body.joints(centred)[..., 2].min())
    return max(1.0, (CLEARANCE_M - nearest) / float(pivot[2]))

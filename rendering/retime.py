"""The same motion faster, slower, or at another frame rate."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float32, Float64
from scipy.interpolate import CubicSpline
from scipy.spatial.transform import Rotation

from dataset.records import BodyTrack
from rendering.track import check_motion

SPEEDS = (0.01, 100.0)
"""Slowest and fastest; a motion a hundred times slower has a hundred times the frames."""

_ROUNDING = 1e-9  # of a frame: 10 frames at 1/3 of the speed end exactly on the last one


def retimed(track: BodyTrack, speed: float) -> BodyTrack:
    """The motion at ``speed`` times its speed, at the same frame rate.

    Frame ``i`` of the result is what the motion shows at frame ``i * speed``, up to its last frame:
    ``floor((frames - 1) / speed) + 1`` frames, the first always the same. Rotations go along the
    shortest turn between neighbouring frames at even speed (slerp), the translation along a cubic
    spline through all frames; where a frame falls on one of the motion's it is that frame, number
    by number, so speed 1 is the identity and a motion slowed down and sped up again is itself.
    ``reprojection_error_px`` is that of the nearest frame.

    Raises:
        ValueError: no frames, numbers that are not finite, or a speed outside of ``SPEEDS``.
    """
    check_motion(track)
    if not SPEEDS[0] <= speed <= SPEEDS[1]:
        raise ValueError(f"expected a speed from {SPEEDS[0]:g} to {SPEEDS[1]:g}, got {speed}")
    last = track.frames - 1
    times = np.arange(int(last / speed + _ROUNDING) + 1) * float(speed)
    nearest = np.minimum(np.rint(times).astype(np.int64), last)
    times = np.where(np.abs(times - nearest) < _ROUNDING * track.frames, nearest, times)
    return replace(
        track,
        global_orient=_between_turns(track.global_orient, times),
        body_pose=_between_turns(track.body_pose, times),
        transl=_between_places(track.transl, times),
        reprojection_error_px=track.reprojection_error_px[nearest],
    )


def at_rate(track: BodyTrack, fps: float, new_fps: float) -> BodyTrack:
    """The motion, of ``fps`` frames a second, at ``new_fps`` and the speed it has.

    Raises:
        ValueError: a rate that is not positive and finite, or see ``retimed``.
    """
    for rate in (fps, new_fps):
        if not (np.isfinite(rate) and rate > 0):
            raise ValueError(f"expected positive finite frame rates, got {fps} and {new_fps}")
    return retimed(track, fps / new_fps)


def _between_turns(
    turns: Float32[np.ndarray, "frames *joints 3"], times: Float64[np.ndarray, " new"]
) -> Float32[np.ndarray, "new *joints 3"]:
    """Axis-angles at ``times`` (in frames) by slerp."""
    before = np.floor(times).astype(np.int64)
    found = turns[before]
    inside = np.flatnonzero(times > before)
    if len(inside) == 0:
        return found
    start, end = (
        Rotation.from_rotvec(turns[before[inside] + step].reshape(-1, 3)) for step in (0, 1)
    )
    way = (start.inv() * end).as_rotvec().reshape(len(inside), -1, 3)
    share = (times - before)[inside, None, None]
    turned = start * Rotation.from_rotvec((share * way).reshape(-1, 3))
    found[inside] = turned.as_rotvec().reshape(found[inside].shape)
    return found


def _between_places(
    places: Float32[np.ndarray, "frames 3"], times: Float64[np.ndarray, " new"]
) -> Float32[np.ndarray, "new 3"]:
    """Places at ``times`` (in frames) on a cubic spline through all of them."""
    if len(places) == 1:
        return places[np.zeros(len(times), np.int64)]
    spline = CubicSpline(np.arange(len(places)), places.astype(np.float64))
    return spline(times).astype(np.float32)

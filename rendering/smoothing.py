"""Filling gaps and smoothing along time."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter1d

from rendering.kinematics import axis_angles


def fill_gaps(
    values: Float[np.ndarray, "frames points d"], seen: Float[np.ndarray, "frames points"]
) -> Float[np.ndarray, "frames points d"]:
    """Each point where it was not seen, linearly between the frames where it was.

    Before the first and after the last sight it stays. A point that is never seen is NaN.
    """
    filled = np.array(values, np.float64)
    frames = np.arange(len(values))
    for point in range(values.shape[1]):
        known = np.flatnonzero(seen[:, point] > 0)
        for axis in range(values.shape[2]):
            if len(known) == 0:
                filled[:, point, axis] = np.nan
            else:
                filled[:, point, axis] = np.interp(frames, known, values[known, point, axis])
    return filled


def smooth(
    values: Float[np.ndarray, "frames ..."], deviation_frames: float
) -> Float[np.ndarray, "frames ..."]:
    """A Gaussian along time; nothing changes with deviation 0 or with a single frame."""
    if deviation_frames <= 0 or len(values) < 2:
        return np.array(values)
    return gaussian_filter1d(values, deviation_frames, axis=0, mode="nearest")


def smooth_rotations(
    rotations: Float[np.ndarray, "frames *joints 3 3"], deviation_frames: float
) -> Float[np.ndarray, "frames *joints 3"]:
    """Axis-angles of rotations smoothed along time: the Gaussian mean, projected on rotations."""
    mean = smooth(np.asarray(rotations, np.float64), deviation_frames)
    u, _, vt = np.linalg.svd(mean)
    flip = np.ones(u.shape[:-1])
    flip[..., -1] = np.linalg.det(u @ vt)
    return axis_angles((u * flip[..., None, :]) @ vt)

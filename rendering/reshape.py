"""Another body shape for a motion, standing on the same ground."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float32, Float64

from dataset.records import SMPL_JOINTS, BodyTrack
from rendering.alignment import align
from rendering.body_model import BodyModel
from rendering.track import check_motion, root_path, select_frames, with_root

_FEET = [
    SMPL_JOINTS.index(f"{side}_{joint}")
    for side in ("left", "right")
    for joint in ("ankle", "foot")
]


def with_betas(track: BodyTrack, betas: Float32[np.ndarray, " 10"], body: BodyModel) -> BodyTrack:
    """The motion as a body of another shape would make it at the same place, in the same picture.

    Poses and camera stay. Across the picture the path is scaled by the ratio of body heights from
    the first frame on, so that strides and steps still agree, and along the line of sight it stays
    (``rendering.alignment.align``). The body is then raised or lowered in every frame so that its
    lowest sole is at the height it had: whoever stands goes on standing on the same ground,
    squatting or stretched, and a jump is as high as before. The camera's y axis is taken for the
    vertical. With the track's own betas this is the identity.

    Raises:
        ValueError: betas that are not 10 finite numbers, a motion without frames, numbers that are
            not finite, or a body that starts behind the camera.
    """
    check_motion(track)
    if betas.shape != (10,) or not np.isfinite(betas).all():
        raise ValueError(f"expected 10 finite betas, got {betas}")
    first = select_frames(track, [0])
    standing = replace(first, betas=betas.astype(np.float32))
    reshaped = align(track, with_root(standing, root_path(first, body), body), body)
    lift = sole_heights(track, body) - sole_heights(reshaped, body)
    transl = reshaped.transl.astype(np.float64)
    transl[:, 1] += lift
    return replace(reshaped, transl=transl.astype(np.float32))


def sole_heights(track: BodyTrack, body: BodyModel) -> Float64[np.ndarray, " frames"]:
    """The y (down, metres) of the lowest sole, taking feet for flat.

    Ankles and balls of the feet are as far above the sole as they are in the T-pose.
    """
    resting = body.rest_joints(track.betas)[_FEET, 1] - body.rest_vertices(track.betas)[:, 1].min()
    return (body.joints(track)[:, _FEET, 1].astype(np.float64) + resting).max(axis=1)

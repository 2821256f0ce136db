"""Puts the reference person's body onto a driving motion (conventions: Parametric shape alignment).

The shape, the camera and the size of the picture become the reference's; the poses stay the
motion's. The person starts where the reference stands and moves as the motion does, in proportion
to the body: a body twice as tall walks twice as far.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from jaxtyping import Float32

from dataset.records import BodyTrack
from rendering.body_model import BodyModel

Placement = Literal["relative", "constant"]


def align(
    motion: BodyTrack,
    reference: BodyTrack,
    body: BodyModel,
    placement: Placement = "relative",
) -> BodyTrack:
    """The motion as the reference person would do it, in the reference's picture.

    ``H_i = SMPL(betas_ref, theta_i)`` (Champ, equation 3). With ``placement="relative"`` the root
    follows the motion's path from its first frame on, scaled by the ratio of body heights, from
    where the reference's root is; with ``"constant"`` it stays there, as the official code does.
    Aligning a track with its own first frame is the identity.

    Along the line of sight the path is scaled by the distances instead: both cameras' focal lengths
    are as a rule assumed, so only by what factor a distance changes is known, and a person who
    comes to half the distance in the motion must do so in the reference too, not walk through
    the camera. Where both appear equally tall the two rules are the same.

    Raises:
        ValueError: a reference of more than one frame, a motion without frames, or an unknown
            placement.
    """
    if reference.frames != 1:
        raise ValueError(f"expected a reference of one frame, got {reference.frames}")
    if motion.frames < 1:
        raise ValueError("expected a motion of at least one frame, got none")
    if placement not in get_args(Placement):
        raise ValueError(f"expected placement 'relative' or 'constant', got {placement!r}")
    rest_root = body.rest_joints(reference.betas)[0]
    root = np.repeat(reference.transl + rest_root, motion.frames, axis=0)
    if placement == "relative":
        root = root + _path(motion, reference, body)
    return BodyTrack(
        betas=reference.betas,
        global_orient=motion.global_orient,
        body_pose=motion.body_pose,
        transl=(root - rest_root).astype(np.float32),
        camera=reference.camera,
        reprojection_error_px=motion.reprojection_error_px,
    )


def _path(
    motion: BodyTrack, reference: BodyTrack, body: BodyModel
) -> Float32[np.ndarray, "frames 3"]:
    """How far the reference's root goes from its place, metres."""
    root = motion.transl + body.rest_joints(motion.betas)[0]
    place = reference.transl + body.rest_joints(reference.betas)[0]
    if root[0, 2] <= 0 or place[0, 2] <= 0:
        raise ValueError("expected bodies in front of the camera (z > 0) where they start")
    path = root - root[:1]
    scale = body.height_m(reference.betas) / body.height_m(motion.betas)
    return path * np.array([scale, scale, place[0, 2] / root[0, 2]], np.float32)

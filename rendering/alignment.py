"""Puts the reference person's body onto a driving motion (conventions: Parametric shape alignment).

The shape, the camera and the size of the picture become the reference's; the poses stay the
motion's. The person starts where the reference stands and moves as the motion does, in proportion
to the body: a body twice as tall walks twice as far.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float64, UInt8

from dataset.records import BodyTrack
from rendering.body_model import BodyModel
from rendering.rasterizer import Rasterizer
from rendering.track import check_motion, root_path, select_frames, with_root

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
        ValueError: a reference of more than one frame, a motion without frames, numbers that are
            not finite, bodies that start behind the camera, or an unknown placement.
    """
    check_motion(motion, "motion")
    check_motion(reference, "reference")
    if reference.frames != 1:
        raise ValueError(f"expected a reference of one frame, got {reference.frames}")
    if placement not in get_args(Placement):
        raise ValueError(f"expected placement 'relative' or 'constant', got {placement!r}")
    root = np.repeat(root_path(reference, body), motion.frames, axis=0)
    if placement == "relative":
        root = root + _path(motion, reference, body)
    placed = replace(motion, betas=reference.betas, camera=reference.camera)
    return with_root(placed, root, body)


def alignment_score(
    aligned: BodyTrack,
    reference_mask: UInt8[np.ndarray, "height width"],
    body: BodyModel,
    rasterizer: Rasterizer,
) -> float:
    """How well the aligned body's first frame covers the person seen in the reference, 0 to 1.

    Intersection over union of the drawn body and ``reference_mask`` (person above 127), in the
    reference's picture. It tells a wrong place or size, and it sinks with a first pose that is not
    the reference's: only where both stand alike, as when a clip's own frame is the reference, is it
    the quality of the fit alone. Where neither covers a pixel it is 0.

    Raises:
        ValueError: a motion without frames, or a mask of another size than the camera's picture.
    """
    check_motion(aligned, "motion")
    size = (aligned.camera.height, aligned.camera.width)
    if reference_mask.shape != size:
        raise ValueError(f"expected a mask of the reference's {size}, got {reference_mask.shape}")
    vertices = body.vertices(select_frames(aligned, [0]))
    drawn = rasterizer.rasterize(vertices, body.mesh, aligned.camera).mask[0]
    person = reference_mask > 127
    return float((drawn & person).sum() / max((drawn | person).sum(), 1))


def _path(
    motion: BodyTrack, reference: BodyTrack, body: BodyModel
) -> Float64[np.ndarray, "frames 3"]:
    """How far the reference's root goes from its place, metres."""
    root, place = root_path(motion, body), root_path(reference, body)
    if root[0, 2] <= 0 or place[0, 2] <= 0:
        raise ValueError("expected bodies in front of the camera (z > 0) where they start")
    path = root - root[:1]
    scale = body.height_m(reference.betas) / body.height_m(motion.betas)
    return path * np.array([scale, scale, place[0, 2] / root[0, 2]])

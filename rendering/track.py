"""A body in motion as a whole: its frames, and the path of its root.

SMPL turns a body about its pelvis where that rests, not about the origin: the pelvis is at
``transl + rest_joints(betas)[0]`` (about 0.2 m from ``transl``). Whoever turns a body, changes its
shape or moves it must say where the pelvis goes, and ``with_root`` finds the ``transl`` for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float, Float64

from dataset.records import BodyTrack
from rendering.body_model import BodyModel, check_track


def check_motion(track: BodyTrack, name: str = "motion") -> None:
    """Refuse a track that nothing can be made of; ``name`` is what the error calls it.

    Raises:
        ValueError: no frames, arrays of wrong shapes or types, or numbers that are not finite.
    """
    if track.frames < 1:
        raise ValueError(f"expected a {name} of at least one frame, got none")
    check_track(track)
    for part in ("betas", "global_orient", "body_pose", "transl"):
        array = getattr(track, part)
        if not np.isfinite(array).all():
            raise ValueError(f"expected finite {part} of the {name}, got NaN or infinity")


def select_frames(track: BodyTrack, indices: Sequence[int]) -> BodyTrack:
    """The track's frames at these indices, in this order."""
    index = list(indices)
    return replace(
        track,
        global_orient=track.global_orient[index],
        body_pose=track.body_pose[index],
        transl=track.transl[index],
        reprojection_error_px=track.reprojection_error_px[index],
    )


def root_path(track: BodyTrack, body: BodyModel) -> Float64[np.ndarray, "frames 3"]:
    """Where the pelvis is in every frame, camera space, metres.

    In double precision: at 50 m, as usual where the focal length is assumed, float32 has steps of 4
    micrometres, which a few additions would carry beyond the 1e-5 that edits are held to.
    """
    return track.transl.astype(np.float64) + body.rest_joints(track.betas)[0]


def with_root(track: BodyTrack, root: Float[np.ndarray, "frames 3"], body: BodyModel) -> BodyTrack:
    """The same body in the same poses with its pelvis at ``root``, camera space, metres."""
    transl = root - body.rest_joints(track.betas)[0]
    return replace(track, transl=transl.astype(np.float32))

"""The mirrored body: left becomes right, as if the motion had been filmed through a mirror.

A mirrored training sample is this body rendered again, never its maps flipped: the colours of parts
and limbs say left and right, and a flipped picture has them the wrong way round.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float, Float32

from dataset.records import SMPL_JOINTS, BodyTrack
from rendering.body_model import BodyModel
from rendering.track import check_motion, root_path, with_root

_OTHER_SIDE = {"left": "right", "right": "left"}


def mirrored(track: BodyTrack, body: BodyModel) -> BodyTrack:
    """The motion of the mirrored person, in the flipped picture (x becomes -x).

    Every joint takes the rotation of its counterpart on the other side, mirrored at the body's
    middle plane: an axis-angle (x, y, z) becomes (x, -y, -z). The pelvis goes from x to -x, and
    betas stay, for a body's shape is the same on both sides: so far as that holds of the body
    model, joints of the mirrored motion are the mirror images of the others (the shipped T-pose: to
    0.04 mm in its mean shape, 6 mm with all betas at 2). Mirroring twice is the identity.

    Raises:
        ValueError: no frames, or numbers that are not finite.
    """
    check_motion(track)
    pose = track.body_pose[:, mirrored_joints()[1:] - 1]
    turned = replace(
        track, global_orient=_mirror_turns(track.global_orient), body_pose=_mirror_turns(pose)
    )
    return with_root(turned, root_path(track, body) * (-1, 1, 1), body)


def mirrored_joints() -> np.ndarray:
    """For each of ``SMPL_JOINTS`` the index of its counterpart on the other side."""
    return np.array([SMPL_JOINTS.index(_other_side(name)) for name in SMPL_JOINTS])


def _other_side(name: str) -> str:
    side, _, joint = name.rpartition("_")
    return f"{_OTHER_SIDE[side]}_{joint}" if side else name


def _mirror_turns(
    axis_angles: Float[np.ndarray, "*batch 3"],
) -> Float32[np.ndarray, "*batch 3"]:
    return axis_angles * np.array((1, -1, -1), np.float32)

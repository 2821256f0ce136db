"""A short motion made by formula, for pictures where no clip is at hand.

Somebody walks diagonally towards the camera and waves with the left hand, so that a turned camera,
another shape, another speed and a swap of sides are all to be seen.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float32, Float64
from scipy.spatial.transform import Rotation

from dataset.records import SMPL_JOINTS, BodyTrack
from rendering.body_model import BodyModel
from rendering.camera import default_camera
from rendering.reshape import sole_heights

SAMPLE_FPS = 30.0
_SIDE_PX = 512
_DISTANCE_M = 50.0  # the assumed camera is a long way off; the picture is 2.6 m high there
_GROUND_M = 0.9  # under the middle of the picture
_SPEED_M_S = 0.9
_HEADING_RAD = 0.8  # to the right of straight at the camera


def step_and_wave(body: BodyModel, frames: int = 48) -> BodyTrack:
    """The motion at ``SAMPLE_FPS``, by the body's mean shape, its lowest sole always on the ground.

    Raises:
        ValueError: fewer than one frame.
    """
    if frames < 1:
        raise ValueError(f"expected a motion of at least one frame, got {frames}")
    seconds = np.arange(frames) / SAMPLE_FPS
    gone = _SPEED_M_S * (seconds - seconds.mean())
    ahead = (np.sin(_HEADING_RAD), 0.0, -np.cos(_HEADING_RAD))
    path = np.outer(gone, ahead) + np.array((0.0, 0.0, _DISTANCE_M))
    upright = Rotation.from_euler("XY", (np.pi, _HEADING_RAD)).as_rotvec()
    floating = BodyTrack(
        betas=np.zeros(10, np.float32),
        global_orient=np.tile(upright, (frames, 1)).astype(np.float32),
        body_pose=_poses(seconds),
        transl=path.astype(np.float32),
        camera=default_camera(_SIDE_PX, _SIDE_PX),
        reprojection_error_px=np.zeros(frames, np.float32),
    )
    lift = np.zeros((frames, 3))
    lift[:, 1] = _GROUND_M - sole_heights(floating, body)
    return replace(floating, transl=(floating.transl + lift).astype(np.float32))


def _poses(seconds: Float64[np.ndarray, " frames"]) -> Float32[np.ndarray, "frames 23 3"]:
    """A stride a second; the right arm swings against the legs, the left one waves."""
    pose = np.zeros((len(seconds), len(SMPL_JOINTS), 3))
    stride = 2 * np.pi * seconds
    for side, phase in (("left", stride), ("right", stride + np.pi)):
        pose[:, SMPL_JOINTS.index(f"{side}_hip"), 0] = -0.1 - 0.4 * np.sin(phase)
        pose[:, SMPL_JOINTS.index(f"{side}_knee"), 0] = 0.4 - 0.35 * np.cos(phase - 0.6)
    hanging = Rotation.from_euler("z", 1.25)
    swing = Rotation.from_rotvec(np.outer(-0.35 * np.sin(stride), (1, 0, 0)))
    pose[:, SMPL_JOINTS.index("right_shoulder")] = (swing * hanging).as_rotvec()
    pose[:, SMPL_JOINTS.index("right_elbow"), 1] = 0.3
    raised = Rotation.from_euler("z", 0.25) * Rotation.from_euler("x", -1.4)  # the elbow bends up
    pose[:, SMPL_JOINTS.index("left_shoulder")] = raised.as_rotvec()
    pose[:, SMPL_JOINTS.index("left_elbow"), 1] = -1.3 + 0.45 * np.sin(2 * stride)
    pose[:, SMPL_JOINTS.index("spine2"), 1] = 0.1 * np.sin(stride)
    return pose[:, 1:].astype(np.float32)

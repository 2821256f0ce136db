"""Which landmark of the networks is which of the 133 COCO-WholeBody points."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

POSE_LANDMARKS = (
    "nose", "left_eye_inner", "left_eye", "left_eye_outer", "right_eye_inner", "right_eye",
    "right_eye_outer", "left_ear", "right_ear", "mouth_left", "mouth_right", "left_shoulder",
    "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_pinky",
    "right_pinky", "left_index", "right_index", "left_thumb", "right_thumb", "left_hip",
    "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle", "left_heel", "right_heel",
    "left_foot_index", "right_foot_index",
)  # fmt: skip
"""The 33 points of BlazePose, left and right being the person's."""

_BODY_FROM_POSE = (
    0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28, 31, -1, 29, 32, -1, 30,
)  # fmt: skip
"""Landmark of each of ``BODY_POINTS``; -1: BlazePose has one toe a foot, so no small toes."""

FACE_FROM_MESH = (
    127, 234, 93, 132, 58, 136, 150, 176, 152, 400, 379, 365, 288, 361, 323, 454, 356,
    70, 63, 105, 66, 107, 336, 296, 334, 293, 300,
    168, 197, 5, 4, 75, 97, 2, 326, 305,
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,
    61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 82, 13, 312, 308, 317, 14, 87,
)  # fmt: skip
"""Vertex of the 468-point face mesh nearest to each of the 68 iBUG points: jaw from the person's
right ear (17), brows (10), nose (9), eyes (12), outer lips (12), inner lips (8)."""


def body_from_pose(landmarks: Float32[np.ndarray, "33 d"]) -> Float32[np.ndarray, "23 d"]:
    """``BODY_POINTS`` from the 33 landmarks; a point that has no landmark is all zero."""
    index = np.array(_BODY_FROM_POSE)
    body = landmarks[index].astype(np.float32)
    body[index < 0] = 0.0
    return body

"""The skeleton picture as DWPose and ControlNet draw it (conventions: Guidance maps, ``dwpose``).

Body, hands and face are drawn from the 133 COCO-WholeBody points, which a detector saw or which
``smpl_to_wholebody_points`` takes from a body. Coordinates are cut to whole pixels as there.
"""

from __future__ import annotations

import colorsys
import math

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8
from scipy.spatial.transform import Rotation

from dataset.records import (
    BODY_POINTS,
    FACE_POINTS,
    LEFT_HAND_POINTS,
    RIGHT_HAND_POINTS,
    SMPL_JOINTS,
    BodyTrack,
)
from rendering.camera import project

MIN_CONFIDENCE = 0.3
"""A point the detector is less sure of is not drawn."""

LIMB_HALF_WIDTH = 4
JOINT_RADIUS = 4
FACE_RADIUS = 3
HAND_LINE_WIDTH = 2
LIMB_BRIGHTNESS = 0.6

OPENPOSE_POINTS = (
    "nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow",
    "left_wrist", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle",
    "right_eye", "left_eye", "right_ear", "left_ear",
)  # fmt: skip
"""The 18 points of the body's drawing; the neck is the middle of the shoulders."""

LIMBS = (
    ("neck", "right_shoulder"), ("neck", "left_shoulder"), ("right_shoulder", "right_elbow"),
    ("right_elbow", "right_wrist"), ("left_shoulder", "left_elbow"), ("left_elbow", "left_wrist"),
    ("neck", "right_hip"), ("right_hip", "right_knee"), ("right_knee", "right_ankle"),
    ("neck", "left_hip"), ("left_hip", "left_knee"), ("left_knee", "left_ankle"), ("neck", "nose"),
    ("nose", "right_eye"), ("right_eye", "right_ear"), ("nose", "left_eye"),
    ("left_eye", "left_ear"),
)  # fmt: skip
"""The 17 limbs in the order in which they are drawn, one over the other."""

LIMB_COLOURS = (
    (255, 0, 0), (255, 85, 0), (255, 170, 0), (255, 255, 0), (170, 255, 0), (85, 255, 0),
    (0, 255, 0), (0, 255, 85), (0, 255, 170), (0, 255, 255), (0, 170, 255), (0, 85, 255),
    (0, 0, 255), (85, 0, 255), (170, 0, 255), (255, 0, 255), (255, 0, 170), (255, 0, 85),
)  # fmt: skip
"""RGB of the 18 points; a limb has the colour of the point of its own number."""

HAND_EDGES = tuple(
    (0 if knuckle == 0 else 4 * finger + knuckle, 4 * finger + knuckle + 1)
    for finger in range(5)
    for knuckle in range(4)
)
HAND_POINT_COLOUR = (0, 0, 255)
FACE_COLOUR = (255, 255, 255)

HEAD_POINTS: dict[str, tuple[float, float, float]] = {
    "nose": (0.0, 0.003, 0.124),
    "left_eye": (0.032, 0.045, 0.105),
    "right_eye": (-0.032, 0.045, 0.105),
    "left_ear": (0.083, 0.03, -0.005),
    "right_ear": (-0.083, 0.03, -0.005),
}
"""Places in metres from the head joint, T-pose axes (x to the left, y up, z to the front)."""

_NECK_LENGTH_M = 0.104  # from neck to head joint of the body on which HEAD_POINTS were measured
_LEAST_FACING = -0.2  # cosine to the viewer under which a point of the head is out of sight


def draw_dwpose(
    points: Float32[np.ndarray, "frames 133 3"], width: int, height: int
) -> UInt8[np.ndarray, "frames height width 3"]:
    """Draw the skeleton of each frame on black, RGB.

    ``points`` are x, y in pixels of the picture and a confidence. A point under ``MIN_CONFIDENCE``
    or that is not finite is not drawn, nor is what it would be joined to. The neck is drawn where
    both shoulders are. Feet are not drawn.

    Raises:
        ValueError: points of another shape, or a picture without pixels.
    """
    points = np.asarray(points)
    if points.ndim != 3 or points.shape[1:] != (133, 3):
        raise ValueError(f"expected points of shape (frames, 133, 3), got {points.shape}")
    if width < 1 or height < 1:
        raise ValueError(f"expected a picture of at least 1 x 1 pixels, got {width} x {height}")
    pictures = np.zeros((len(points), height, width, 3), np.uint8)
    for canvas, frame in zip(pictures, points, strict=True):
        seen = (frame[:, 2] >= MIN_CONFIDENCE) & np.isfinite(frame).all(axis=1)
        # Far outside is as good as just outside, and the drawing library counts in 16 bits.
        limits = (4.0 * width, 4.0 * height)
        places = np.clip(np.where(seen[:, None], frame[:, :2], 0.0), np.negative(limits), limits)
        _draw_body(canvas, places, seen)
        for hand in (LEFT_HAND_POINTS, RIGHT_HAND_POINTS):
            _draw_hand(canvas, places[hand], seen[hand])
        for place in places[FACE_POINTS][seen[FACE_POINTS]]:
            cv2.circle(canvas, _pixel(place), FACE_RADIUS, FACE_COLOUR, thickness=-1)
    return pictures


def _draw_body(
    canvas: UInt8[np.ndarray, "height width 3"], places: np.ndarray, seen: Bool[np.ndarray, " 133"]
) -> None:
    at = {name: places[index] for index, name in enumerate(BODY_POINTS) if seen[index]}
    if "left_shoulder" in at and "right_shoulder" in at:
        at["neck"] = (at["left_shoulder"] + at["right_shoulder"]) / 2
    for (start, end), colour in zip(LIMBS, LIMB_COLOURS, strict=False):
        if start in at and end in at:
            # The convention darkens the whole canvas after this; the limbs are all there is on it.
            darkened = [int(LIMB_BRIGHTNESS * channel) for channel in colour]
            cv2.fillConvexPoly(canvas, _limb_outline(at[start], at[end]), darkened)
    for name, colour in zip(OPENPOSE_POINTS, LIMB_COLOURS, strict=True):
        if name in at:
            cv2.circle(canvas, _pixel(at[name]), JOINT_RADIUS, colour, thickness=-1)


def _limb_outline(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The ellipse from joint to joint, as whole pixels and whole degrees describe it."""
    along = start - end
    half_length = int(math.hypot(*along) / 2)
    angle = int(math.degrees(math.atan2(along[1], along[0])))
    middle = _pixel((start + end) / 2)
    return np.asarray(cv2.ellipse2Poly(middle, (half_length, LIMB_HALF_WIDTH), angle, 0, 360, 1))


def _draw_hand(
    canvas: UInt8[np.ndarray, "height width 3"], places: np.ndarray, seen: Bool[np.ndarray, " 21"]
) -> None:
    for edge, (start, end) in enumerate(HAND_EDGES):
        if seen[start] and seen[end]:
            hue = colorsys.hsv_to_rgb(edge / len(HAND_EDGES), 1.0, 1.0)
            colour = tuple(255 * channel for channel in hue)
            cv2.line(canvas, _pixel(places[start]), _pixel(places[end]), colour, HAND_LINE_WIDTH)
    for place in places[seen]:
        cv2.circle(canvas, _pixel(place), JOINT_RADIUS, HAND_POINT_COLOUR, thickness=-1)


def _pixel(place: np.ndarray) -> tuple[int, int]:
    return int(place[0]), int(place[1])


def smpl_to_wholebody_points(
    joints: Float32[np.ndarray, "frames 24 3"], track: BodyTrack
) -> Float32[np.ndarray, "frames 133 3"]:
    """The points a detector would see on a body, for a skeleton that no detector has seen.

    Limbs are the body's joints projected with the track's camera; nose, eyes and ears sit on the
    head joint, turned with it, and have confidence 0 where the head hides them. Hands, face and
    feet have none. ``joints`` are the track's, in metres and camera axes, translation added.

    Raises:
        ValueError: joints that are not those of the track's frames.
    """
    if joints.shape != (track.frames, len(SMPL_JOINTS), 3):
        raise ValueError(
            f"expected joints of shape ({track.frames}, {len(SMPL_JOINTS)}, 3), got {joints.shape}"
        )
    places = np.zeros((track.frames, 133, 3))
    confidence = np.zeros((track.frames, 133))
    for index, name in enumerate(BODY_POINTS):
        if name in SMPL_JOINTS:
            places[:, index] = joints[:, SMPL_JOINTS.index(name)]
            confidence[:, index] = 1
    head, neck = joints[:, SMPL_JOINTS.index("head")], joints[:, SMPL_JOINTS.index("neck")]
    size = np.linalg.norm(head - neck, axis=-1, keepdims=True) / _NECK_LENGTH_M
    rotation = _head_rotation(track)
    for name, offset in HEAD_POINTS.items():
        index = BODY_POINTS.index(name)
        places[:, index] = head + size * rotation.apply(offset)
        confidence[:, index] = _faces_viewer(rotation, name, places[:, index])
    pixels = project(places, track.camera)
    confidence[~np.isfinite(pixels).all(axis=-1)] = 0
    points = np.concatenate((np.nan_to_num(pixels), confidence[..., None]), axis=-1)
    return points.astype(np.float32)


def _head_rotation(track: BodyTrack) -> Rotation:
    """From T-pose axes to the camera's: all rotations from the pelvis to the head, one product."""
    rotation = Rotation.from_rotvec(track.global_orient)
    for joint in ("spine1", "spine2", "spine3", "neck", "head"):
        rotation *= Rotation.from_rotvec(track.body_pose[:, SMPL_JOINTS.index(joint) - 1])
    return rotation


def _faces_viewer(rotation: Rotation, name: str, places: np.ndarray) -> Bool[np.ndarray, " frames"]:
    side = np.sign(HEAD_POINTS[name][0])
    outwards = rotation.apply((side, 0.0, 0.0) if name.endswith("ear") else (0.0, 0.0, 1.0))
    distances = np.linalg.norm(places, axis=-1)
    return -(outwards * places).sum(axis=-1) > _LEAST_FACING * distances

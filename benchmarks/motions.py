"""Motions of known truth, made from the body model, and a detector's view of them.

Joint angles move smoothly at random within the joint limits, or walk, squat, turn and cross their
legs by formula; no motion capture data. ``observe`` turns a motion into what a detector would have
said of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32, UInt8
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from dataset.records import BODY_POINTS, SMPL_JOINTS, BodyTrack, Camera, Keypoints
from rendering.body_model import BodyModel
from rendering.body_points import (
    POINT_NAMES,
    WHOLEBODY_INDICES,
    body_point_places,
    find_points,
)
from rendering.camera import project
from rendering.pose_prior import joint_ranges, usual_pose
from rendering.rasterizer import open_rasterizer

MOTIONS = ("walk", "squat", "turn", "dance", "cross")

_DISTANCE_M = 48.0
_LIMBS = {
    "arm": ("elbow", "wrist", "index", "hand", "pinky"),
    "leg": ("knee", "ankle", "heel", "big_toe", "small_toe"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """How a detector errs: 2D independently, 3D in step with itself over ``memory_seconds``.

    ``pixels`` are for a picture of 512 and grow with it; ``missing`` is the share of points that
    are not seen, each for ``missing_seconds`` on end; ``outliers`` the share of 2D points that are
    anywhere within ``outlier_pixels``. One limb goes missing for ``limb_missing_seconds``. Where
    the ankles come closer than ``swap_pixels`` in the picture, every second time the legs are taken
    for each other, in 2D and 3D.
    """

    pixels: float = 2.0
    landmark_m: float = 0.025
    memory_seconds: float = 0.3
    missing: float = 0.1
    missing_seconds: float = 0.2
    outliers: float = 0.02
    outlier_pixels: float = 60.0
    limb_missing_seconds: float = 1.0
    swap_pixels: float = 12.0


PERFECT = Noise(
    pixels=0, landmark_m=0, missing=0, outliers=0, limb_missing_seconds=0, swap_pixels=0
)
"""A detector that sees everything where it is."""


def make_motion(
    name: str, frames: int, seed: int, fps: float = 30.0, *, moving_camera: bool = False
) -> BodyTrack:
    """One of ``MOTIONS`` by a random body, seen at 512 x 512, whole body in the picture.

    A moving camera circles and tilts round the person, rolls, comes nearer and shakes in the hand.
    """
    random = np.random.default_rng([seed, MOTIONS.index(name)])
    pose = np.tile(usual_pose().numpy(), (frames, 1, 1)).astype(np.float64)
    heading = np.full(frames, random.uniform(-1.2, 1.2))
    time = np.arange(frames) / fps
    if name == "turn":
        heading = heading + 2.0 * time
    if name == "dance":
        _dance(pose, random, fps)
    else:
        {"walk": _walk, "turn": _walk, "squat": _squat, "cross": _cross}[name](pose, time)
    low, high = (limit.numpy() for limit in joint_ranges())
    pose = np.clip(pose, low, high)
    upright = Rotation.from_euler("yx", np.stack([heading, np.zeros(frames)], 1))
    lean = Rotation.from_rotvec(_wander(random, (frames, 3), 1.5 * fps) * 0.1)
    orient = Rotation.from_rotvec([np.pi, 0, 0]) * upright * lean
    path = _wander(random, (frames, 3), 1.0 * fps) * [0.25, 0.05, 0.4] + [0, -0.1, _DISTANCE_M]
    if moving_camera:
        orient, path = _through_moving_camera(orient, path, random, fps)
    return BodyTrack(
        betas=np.clip(random.normal(0, 0.8, 10), -2, 2).astype(np.float32),
        global_orient=orient.as_rotvec().astype(np.float32),
        body_pose=pose.astype(np.float32),
        transl=path.astype(np.float32),
        camera=Camera(focal_length_px=10000.0, width=512, height=512),
        reprojection_error_px=np.zeros(frames, np.float32),
    )


def planted(track: BodyTrack, body: BodyModel) -> BodyTrack:
    """The same motion with the middle of the ankles where it is in the first frame."""
    ankles = [SMPL_JOINTS.index(f"{side}_ankle") for side in ("left", "right")]
    middle = body.joints(track)[:, ankles].mean(1)
    return replace(track, transl=track.transl + middle[:1] - middle)


def observe(
    track: BodyTrack, body: BodyModel, noise: Noise, seed: int, fps: float = 30.0
) -> Keypoints:
    """What a detector with this noise says of a motion: 133 points (29 of them used), 3D landmarks.

    The 3D landmarks are relative to the middle of the hips, as the truth's are, in camera axes.
    There is no mask: see ``silhouette``.
    """
    random = np.random.default_rng([seed, 7])
    places = true_points(track, body)
    frames, count = places.shape[:2]
    scale = max(track.camera.width, track.camera.height) / 512
    image = project(places, track.camera)
    swapped = _swapped(image, noise.swap_pixels * scale, random)
    image = image + random.normal(0, 1, image.shape) * noise.pixels * scale
    astray = random.uniform(size=(frames, count, 1)) < noise.outliers
    far = random.uniform(-1, 1, image.shape) * noise.outlier_pixels * scale
    image = image + astray * far
    middle = places[:, 11:13].mean(1, keepdims=True)
    wander = _wander(random, (frames, 23, 3), noise.memory_seconds * fps)
    landmarks = places[:, :23] - middle + wander * noise.landmark_m
    seen = _seen(random, (frames, count), noise.missing, noise.missing_seconds * fps)
    _hide_limb(seen, random, round(noise.limb_missing_seconds * fps))
    legs = _legs_exchanged()
    for values in (image, landmarks, seen):
        values[swapped] = values[swapped][:, legs[: values.shape[1]]]
    points = np.zeros((frames, 133, 3), np.float32)
    points[:, WHOLEBODY_INDICES] = np.concatenate([image, seen[..., None]], axis=-1)
    return Keypoints(
        points=points,
        body_3d=np.concatenate([landmarks, seen[:, :23, None]], axis=-1).astype(np.float32),
    )


def silhouette(track: BodyTrack, body: BodyModel) -> UInt8[np.ndarray, "frames height width"]:
    """The naked body's mask, 255 on it: what a perfect detector would say of it."""
    rasterizer = open_rasterizer("cpu")
    drawn = rasterizer.rasterize(body.vertices(track), body.mesh, track.camera).mask
    return drawn.astype(np.uint8) * 255


def true_points(track: BodyTrack, body: BodyModel) -> Float32[np.ndarray, "frames points 3"]:
    """Where the points that a detector sees really are, camera space, metres."""
    return body_point_places(find_points(body), track)


def _joint(pose: np.ndarray, name: str) -> np.ndarray:
    return pose[:, SMPL_JOINTS.index(name) - 1]


def _walk(pose: np.ndarray, time: np.ndarray) -> None:
    """A stride a second: hips and knees in turn, arms against the legs."""
    phase = 2 * np.pi * time
    for side, shift in (("left", 0.0), ("right", np.pi)):
        swing = np.sin(phase + shift)
        _joint(pose, f"{side}_hip")[:, 0] = -0.1 - 0.45 * swing
        _joint(pose, f"{side}_knee")[:, 0] = 0.35 - 0.35 * np.cos(phase + shift - 0.6)
        _joint(pose, f"{side}_ankle")[:, 0] = 0.15 * swing
        _joint(pose, f"{side}_shoulder")[:, 1] += 0.4 * np.sin(phase)  # mirrored: left goes back
    _joint(pose, "spine2")[:, 1] = 0.12 * np.sin(phase)


def _squat(pose: np.ndarray, time: np.ndarray) -> None:
    """Down and up in two seconds, arms forward on the way down."""
    depth = 0.5 - 0.5 * np.cos(np.pi * time)
    for side, sign in (("left", 1.0), ("right", -1.0)):
        _joint(pose, f"{side}_hip")[:, 0] = -1.6 * depth
        _joint(pose, f"{side}_hip")[:, 2] = sign * 0.25 * depth
        _joint(pose, f"{side}_knee")[:, 0] = 1.9 * depth
        _joint(pose, f"{side}_ankle")[:, 0] = -0.35 * depth
        _joint(pose, f"{side}_shoulder")[:, 1] = -sign * 1.2 * depth
    _joint(pose, "spine1")[:, 0] = 0.4 * depth


def _cross(pose: np.ndarray, time: np.ndarray) -> None:
    """Steps across: each leg in turn swings over the other and back, once a second."""
    phase = np.pi * time
    for side, sign, shift in (("left", 1.0, 0.0), ("right", -1.0, np.pi / 2)):
        over = np.sin(phase + shift) ** 2
        _joint(pose, f"{side}_hip")[:, 2] = sign * (0.15 - 0.6 * over)
        _joint(pose, f"{side}_hip")[:, 0] = -0.1 - 0.5 * over
        _joint(pose, f"{side}_knee")[:, 0] = 0.2 + 0.5 * over
        _joint(pose, f"{side}_shoulder")[:, 2] += sign * 0.4 * over


def _dance(pose: np.ndarray, random: np.random.Generator, fps: float) -> None:
    """Every joint wanders smoothly, most within half of its range."""
    low, high = (limit.numpy() for limit in joint_ranges())
    reach = 0.3 * (high - low)
    reach[[SMPL_JOINTS.index(f"{side}_{name}") - 1 for side in ("left", "right")
           for name in ("hand", "foot")]] = 0.0  # fmt: skip
    pose += np.clip(_wander(random, pose.shape, 0.5 * fps), -1.6, 1.6) * reach


def _through_moving_camera(
    orient: Rotation, path: np.ndarray, random: np.random.Generator, fps: float
) -> tuple[Rotation, np.ndarray]:
    """Orientation and path in the axes of a camera that goes round the person by hand."""
    frames = len(path)
    centre = np.array([0, 0, _DISTANCE_M])
    turn = Rotation.from_rotvec(_wander(random, (frames, 3), 1.2 * fps) * [0.12, 0.3, 0.06])
    nearer = np.exp(0.08 * _wander(random, (frames, 1), 1.5 * fps))
    shake = _wander(random, (frames, 3), 0.15 * fps) * [0.01, 0.01, 0.0]
    return turn * orient, turn.apply(path - centre) + centre * nearer + shake


def _wander(random: np.random.Generator, shape: tuple[int, ...], memory: float) -> np.ndarray:
    """Smooth noise along the first axis, of unit variance, that forgets within ``memory`` frames.

    The autocorrelation is a Gaussian of deviation ``memory``.
    """
    deviation = memory / np.sqrt(2)
    padding = int(4 * deviation) + 1
    white = random.normal(0, 1, (shape[0] + 2 * padding, *shape[1:]))
    smooth = gaussian_filter1d(white, deviation, axis=0, mode="constant")
    return smooth[padding:-padding] * np.sqrt(2 * deviation * np.sqrt(np.pi))


def _seen(
    random: np.random.Generator, shape: tuple[int, int], missing: float, stretch: float
) -> np.ndarray:
    """1 where a point is seen; points go missing for ``stretch`` frames on end."""
    length = max(1, round(stretch))
    starts = random.uniform(size=(shape[0] + length, shape[1])) < missing / length
    away = np.stack([starts[shift : shift + shape[0]] for shift in range(length)]).any(0)
    return np.where(away, 0.0, 1.0)


def _hide_limb(seen: np.ndarray, random: np.random.Generator, length: int) -> None:
    """Every point of an arm or leg beyond its first joint goes missing once, in the middle."""
    limb, side = random.choice(list(_LIMBS)), random.choice(["left", "right"])
    start = int(random.integers(0, max(1, len(seen) - length)))
    hidden = [POINT_NAMES.index(f"{side}_{name}") for name in _LIMBS[limb]]
    seen[start : start + length, hidden] = 0.0


def _swapped(image: np.ndarray, pixels: float, random: np.random.Generator) -> np.ndarray:
    """Where the legs are taken for each other: every second time that the ankles come close."""
    ankles = [BODY_POINTS.index(f"{side}_ankle") for side in ("left", "right")]
    apart = np.linalg.norm(image[:, ankles[0]] - image[:, ankles[1]], axis=-1)
    close = apart < pixels
    times = np.cumsum(np.diff(close, prepend=False) & close)
    return close & (times % 2 == random.integers(2))


def _legs_exchanged() -> np.ndarray:
    order = np.arange(len(POINT_NAMES))
    for name in _LIMBS["leg"]:
        left, right = (POINT_NAMES.index(f"{side}_{name}") for side in ("left", "right"))
        order[[left, right]] = right, left
    return order

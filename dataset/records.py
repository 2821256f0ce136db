"""The records that travel through the pipeline, in the order the data flows.

``Video -> Clip -> Keypoints -> BodyTrack -> GuidanceMaps -> Sample``. Read this file first: every
package speaks in these words. Arrays are numpy; frames come first; pictures are RGB uint8; lengths
are metres, angles radians (axis-angle), image positions pixels with (0, 0) at the top left corner
of the top left pixel, so that the centre of the first pixel is (0.5, 0.5).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, UInt8

MAP_NAMES = ("depth", "normal", "semantic_map", "dwpose")
"""The guidance maps the network sees, in its order (conventions: Network)."""

STREAM_NAMES = ("rgb", *MAP_NAMES, "mask")
"""The video streams of a clip in the ``guidance`` table; all share the frame index."""

SMPL_JOINTS = (
    "pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle",
    "right_ankle", "spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar",
    "head", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist",
    "right_wrist", "left_hand", "right_hand",
)  # fmt: skip

SMPL_PARENTS = (
    -1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21,
)  # fmt: skip

BODY_POINTS = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder",
    "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee",
    "right_knee", "left_ankle", "right_ankle", "left_big_toe", "left_small_toe", "left_heel",
    "right_big_toe", "right_small_toe", "right_heel",
)  # fmt: skip
"""The first 23 of the 133 COCO-WholeBody points."""

FACE_POINTS = slice(23, 91)
LEFT_HAND_POINTS = slice(91, 112)
RIGHT_HAND_POINTS = slice(112, 133)


@dataclass(frozen=True, slots=True, kw_only=True)
class Video:
    """A source video on disk, with where it came from and what may be done with it."""

    source_id: str
    path: str  # content-addressed, relative to the dataset root
    content_sha256: str
    platform: str
    licence: str
    consent: str
    width: int  # as shown, rotation applied
    height: int
    fps: float
    frames: int
    duration_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A span of a video that shows one person, at the pipeline's frame rate.

    ``boxes`` are the person's, (x0, y0, x1, y1) in source pixels, one per frame at ``fps``.
    """

    clip_id: str
    source_id: str
    video_path: str
    start_seconds: float
    end_seconds: float
    fps: float
    frames: int
    width: int
    height: int
    boxes: Float32[np.ndarray, "frames 4"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Keypoints:
    """Where a detector saw one person's points, per frame.

    ``points`` are the 133 COCO-WholeBody points: x, y in pixels and a confidence in [0, 1]; a point
    that was not seen has confidence 0. ``body_3d`` are the first 23 (``BODY_POINTS``) in metres
    relative to the middle of the hips, camera axes (x right, y down, z forward), with a confidence.
    """

    points: Float32[np.ndarray, "frames 133 3"]
    body_3d: Float32[np.ndarray, "frames 23 4"]
    person_mask: UInt8[np.ndarray, "frames height width"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """A pinhole camera without distortion, principal point at the image centre."""

    focal_length_px: float
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyTrack:
    """One SMPL body through a clip, in the camera's axes (x right, y down, z forward)."""

    betas: Float32[np.ndarray, " 10"]
    global_orient: Float32[np.ndarray, "frames 3"]
    body_pose: Float32[np.ndarray, "frames 23 3"]
    transl: Float32[np.ndarray, "frames 3"]
    camera: Camera
    reprojection_error_px: Float32[np.ndarray, " frames"]

    @property
    def frames(self) -> int:
        return len(self.transl)


@dataclass(frozen=True, slots=True, kw_only=True)
class GuidanceMaps:
    """What the renderer draws of a body (conventions: Guidance maps)."""

    depth: UInt8[np.ndarray, "frames height width 1"]
    normal: UInt8[np.ndarray, "frames height width 3"]
    semantic_map: UInt8[np.ndarray, "frames height width 3"]
    dwpose: UInt8[np.ndarray, "frames height width 3"]
    mask: UInt8[np.ndarray, "frames height width 1"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One training sample: a reference frame and the frames to be drawn, all under one crop.

    ``latents`` and ``reference_latents`` are normalised as the denoiser sees them; ``maps`` have
    three channels each, in the order of ``MAP_NAMES`` (the network takes them divided by 255).
    """

    clip_id: str
    frame_indices: tuple[int, ...]
    reference_index: int
    latents: Float32[np.ndarray, "frames channels h w"]
    reference_latents: Float32[np.ndarray, "channels h w"]
    image_embeds: Float32[np.ndarray, "tokens dim"]
    maps: UInt8[np.ndarray, "maps frames height width 3"]
    mask: Bool[np.ndarray, "frames height width"]

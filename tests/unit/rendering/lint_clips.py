"""Clips of maps for the linter's tests: drawn by the renderer, in memory or as files."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import av
import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from dataset.records import (
    BODY_POINTS,
    FACE_POINTS,
    LEFT_HAND_POINTS,
    RIGHT_HAND_POINTS,
    SMPL_JOINTS,
    BodyTrack,
    Camera,
)
from rendering.body_model import BodyModel
from rendering.lint.findings import ClipReport
from rendering.lint.lint import lint_clip
from rendering.lint.sources import ClipMaps
from rendering.maps import draw_maps
from rendering.rasterizer import open_rasterizer
from rendering.skeleton import smpl_to_wholebody_points

SIZE = 384
FRAMES = 3

Maps = dict[str, np.ndarray]


@dataclass(frozen=True)
class ArrayFrames:
    """Frames of a map that are in memory."""

    pictures: np.ndarray
    numbers: range

    def read(self, number: int) -> np.ndarray:
        return self.pictures[number]


def report_on(maps: Mapping[str, np.ndarray], **options: int) -> ClipReport:
    """What the linter says of maps in memory."""
    frames = {name: ArrayFrames(array, range(len(array))) for name, array in maps.items()}
    return lint_clip(ClipMaps(clip="test", maps=frames), **options)


def causes(report: ClipReport) -> set[tuple[str, str]]:
    """Every (map, cause) that was found."""
    return {(finding.map, finding.cause) for finding in report.findings}


@cache
def _drawn(shift: tuple[float, float, float]) -> Maps:
    track, body = bowing_track(shift), BodyModel.load()
    points = _with_hands_and_face(smpl_to_wholebody_points(body.joints(track), track))
    maps = draw_maps(open_rasterizer("cpu"), body.mesh, body.vertices(track), points, track.camera)
    names = ("depth", "normal", "semantic_map", "dwpose", "mask")
    return {name: getattr(maps, name) for name in names}


def clean_maps(shift: tuple[float, float, float] = (0, 0, 0)) -> Maps:
    """The shipped body standing, bowing and waving, seen from front, side and back.

    ``shift`` moves it, in metres and camera axes, from 43 to 50 m before the camera.
    """
    return {name: array.copy() for name, array in _drawn(shift).items()}


def bowing_track(shift: tuple[float, float, float]) -> BodyTrack:
    pose = np.zeros((FRAMES, 23, 3), np.float32)
    for frame, joint, angles in (
        (0, "left_shoulder", (0, 0, -1.1)), (0, "right_shoulder", (0, 0, 1.1)),
        (1, "spine1", (0.6, 0, 0)), (1, "left_shoulder", (0, 0, -0.9)),
        (2, "left_shoulder", (0, 0, 0.8)),
    ):  # fmt: skip
        pose[frame, SMPL_JOINTS.index(joint) - 1] = angles
    upright = Rotation.from_rotvec((np.pi, 0, 0))
    turns = [upright * Rotation.from_euler("y", turn, degrees=True) for turn in (0, -100, 170)]
    places = np.array([(0, 0.2, 43), (0.3, 0.1, 50), (-0.2, 0.2, 45)]) + shift
    return BodyTrack(
        betas=np.zeros(10, np.float32),
        global_orient=np.array([turn.as_rotvec() for turn in turns], np.float32),
        body_pose=pose,
        transl=places.astype(np.float32),
        camera=Camera(focal_length_px=5000 / 256 * SIZE, width=SIZE, height=SIZE),
        reprojection_error_px=np.zeros(FRAMES, np.float32),
    )


def _with_hands_and_face(points: np.ndarray) -> np.ndarray:
    """A fan of fingers at each wrist and a ring of points around the nose."""
    points = points.copy()
    for hand, wrist in ((LEFT_HAND_POINTS, "left_wrist"), (RIGHT_HAND_POINTS, "right_wrist")):
        root = points[:, BODY_POINTS.index(wrist)]
        for index in range(21):
            angle, reach = 0.5 * ((index - 1) // 4) - 1, 5 + 4 * ((index - 1) % 4)
            offset = (reach * np.cos(angle), reach * np.sin(angle), 0) if index else (0, 0, 0)
            points[:, hand.start + index] = root + offset
    nose = points[:, BODY_POINTS.index("nose")]
    for index, angle in enumerate(np.linspace(0, 2 * np.pi, 68)):
        offset = (9 * np.cos(angle), 9 * np.sin(angle), 0)
        points[:, FACE_POINTS.start + index] = nose + offset
    return points.astype(np.float32)


def write_layout(folder: Path, maps: Mapping[str, np.ndarray]) -> Path:
    """The official layout: a folder a map, 0000.png and so on."""
    for name, pictures in maps.items():
        (folder / name).mkdir(parents=True)
        for index, picture in enumerate(pictures):
            cv2.imwrite(str(folder / name / f"{index:04d}.png"), picture[..., ::-1])
    return folder


def through_x264(pictures: np.ndarray, *, quality: int = 23) -> np.ndarray:
    """Frames as a player shows them after H.264 in its usual form, yuv420p."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=30, options={"crf": str(quality)})
        stream.height, stream.width, stream.pix_fmt = *pictures.shape[1:3], "yuv420p"
        stream.codec_context.thread_count = 1
        for picture in pictures:
            rgb = np.ascontiguousarray(np.broadcast_to(picture, (*picture.shape[:2], 3)))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(stream.encode(None))
    file.seek(0)
    with av.open(file, "r") as container:
        frames = np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])
    return frames[..., : pictures.shape[3]]


def through_jpeg(pictures: np.ndarray, *, quality: int = 90) -> np.ndarray:
    """Frames after JPEG."""
    done = []
    for picture in pictures:
        _, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        decoded = np.asarray(cv2.imdecode(data, cv2.IMREAD_UNCHANGED))
        done.append(decoded.reshape(picture.shape)[..., ::-1])
    return np.stack(done)

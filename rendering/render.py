"""The render stage: a clip in, its fitted body and its guidance streams out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

from curation.people.mediapipe import MediaPipeDetector
from curation.people.settings import PeopleSettings
from dataset.errors import ItemError
from dataset.records import STREAM_NAMES, BodyTrack, Camera, Keypoints
from dataset.storage import Location, local_file
from dataset.streams import StreamEncoder, encode_stream
from dataset.video import read_frames
from rendering.body_model import BodyModel
from rendering.camera import default_camera
from rendering.fit_quality import (
    check_acceleration,
    check_overlap,
    check_reprojection,
    joint_acceleration,
    silhouette_overlap,
)
from rendering.fitting import BodyFitter, KeypointFitter
from rendering.hmr2.fitter import Hmr2Fitter
from rendering.maps import draw_map_chunks
from rendering.rasterizer import open_rasterizer
from rendering.settings import RENDER_VERSION, RenderSettings
from rendering.skeleton import smpl_to_wholebody_points

Row = dict[str, Any]


class RenderStage:
    """Turns a selected clip into a row of the ``guidance`` table."""

    name = "render"
    version = RENDER_VERSION
    cpus = 1.0

    def __init__(
        self, settings: RenderSettings, people: PeopleSettings, root: Location, *, gpus: float = 0.0
    ) -> None:
        """``gpus`` is what a worker asks for: HMR2 and OpenGL use one where there is one."""
        self.settings, self.people, self.root = settings, people, root
        self.gpus = gpus

    def load(self) -> None:
        self._detector = MediaPipeDetector(self.people)
        self._body = BodyModel.load(self.settings.body_model)
        self._fitter = open_fitter(self.settings, self._body)
        self._rasterizer = open_rasterizer(self.settings.backend, self.settings.device_index)

    def process(self, item: Row) -> Iterator[Row]:
        """Fit and draw one clip.

        Raises:
            ItemError: The clip cannot be decoded, or the body does not fit the person.
        """
        frames, boxes = self._read(item)
        height, width = frames.shape[1:3]
        camera = default_camera(width, height)
        fps = float(item["fps"])
        keypoints = self._detector.keypoints(frames, boxes)
        track = self._fitter.fit(keypoints, camera, fps, frames=frames, boxes=boxes)
        acceleration = joint_acceleration(self._body.joints(track), fps)
        check_reprojection(track, boxes, self.settings.limits)
        check_acceleration(acceleration, self.settings.limits)
        streams, iou = self._draw(track, keypoints, fps)
        check_overlap(iou, self.settings.limits)
        yield {
            "clip_id": item["clip_id"],
            "source_id": item["source_id"],
            "fps": fps,
            "frames": len(frames),
            "width": width,
            "height": height,
            "boxes": boxes.ravel(),
            "keypoints": keypoints.points.ravel(),
            "silhouette_iou": iou,
            "joint_acceleration": acceleration,
            **track_columns(track),
            **streams,
            "rgb": encode_stream(frames, name="rgb", fps=fps),
        }

    def _read(
        self, item: Row
    ) -> tuple[UInt8[np.ndarray, "frames height width 3"], Float32[np.ndarray, "frames 4"]]:
        """The clip's frames, longer side at most ``max_side``, and its boxes in their pixels."""
        with local_file(self.root / str(item["video_path"])) as path:
            span = read_frames(
                path,
                fps=item["fps"],
                start_seconds=item["start_seconds"],
                end_seconds=item["end_seconds"],
                max_side=self.settings.max_side,
            )
            frames = np.stack(list(span))
        boxes = np.asarray(item["boxes"], np.float32).reshape(-1, 4)
        if len(frames) < len(boxes):
            raise ItemError(
                "decode.truncated",
                f"{item['video_path']} gave {len(frames)} frames for a clip of {len(boxes)}; "
                "fetch the video again",
            )
        scale = frames.shape[2] / float(item["width"])
        return frames[: len(boxes)], (boxes * scale).astype(np.float32)

    def _draw(
        self, track: BodyTrack, keypoints: Keypoints, fps: float
    ) -> tuple[dict[str, bytes], float]:
        """The encoded maps and the silhouette IoU, a few frames in memory at a time."""
        encoders = {name: StreamEncoder(name, fps) for name in STREAM_NAMES if name != "rgb"}
        overlaps: list[np.ndarray] = []
        chunks = draw_map_chunks(
            self._rasterizer,
            self._body.mesh,
            self._body.vertices(track),
            self._points(track, keypoints),
            track.camera,
        )
        start, seen = 0, False
        for maps in chunks:
            seen = seen or bool(maps.mask.any())
            for name, encoder in encoders.items():
                encoder.add(getattr(maps, name))
            if keypoints.person_mask is not None:
                person = keypoints.person_mask[start : start + len(maps.mask)]
                overlaps.append(silhouette_overlap(maps.mask, person))
            start += len(maps.mask)
        # A detector without masks says nothing against a fit that can be seen.
        iou = float(np.concatenate(overlaps).mean()) if overlaps else float(seen)
        return {name: encoder.finish() for name, encoder in encoders.items()}, iou

    def _points(
        self, track: BodyTrack, keypoints: Keypoints
    ) -> Float32[np.ndarray, "frames 133 3"]:
        """The points of the skeleton that is drawn."""
        if self.settings.skeleton == "body":
            return smpl_to_wholebody_points(self._body.joints(track), track)
        return keypoints.points


def open_fitter(settings: RenderSettings, body: BodyModel) -> BodyFitter:
    """The fitter that ``settings.fitter`` names.

    Raises:
        ValueError: HMR2 without its checkpoint, or with one that is not.
    """
    if settings.fitter == "hmr2":
        return Hmr2Fitter(body, settings.hmr2, settings.fit)
    return KeypointFitter(body, settings.fit)


def track_columns(track: BodyTrack) -> Row:
    """A BodyTrack as the flat columns of the ``guidance`` table; ``read_track`` is its inverse."""
    return {
        "focal_length_px": track.camera.focal_length_px,
        "betas": track.betas,
        "global_orient": track.global_orient.ravel(),
        "body_pose": track.body_pose.ravel(),
        "transl": track.transl.ravel(),
        "reprojection_error_px": track.reprojection_error_px,
    }


TRACK_COLUMNS = (
    "width", "height", "focal_length_px", "betas", "global_orient", "body_pose", "transl",
    "reprojection_error_px",
)  # fmt: skip


def read_track(row: Row) -> BodyTrack:
    """The BodyTrack of a ``guidance`` row that was read with ``TRACK_COLUMNS``."""

    def floats(name: str, *shape: int) -> np.ndarray:
        return np.asarray(row[name], np.float32).reshape(shape)

    return BodyTrack(
        betas=floats("betas", -1),
        global_orient=floats("global_orient", -1, 3),
        body_pose=floats("body_pose", -1, 23, 3),
        transl=floats("transl", -1, 3),
        reprojection_error_px=floats("reprojection_error_px", -1),
        camera=Camera(
            focal_length_px=float(row["focal_length_px"]),
            width=int(row["width"]),
            height=int(row["height"]),
        ),
    )

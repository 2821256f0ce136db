"""Where an animation's body, picture and motion come from: a fitted clip, or a file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

from curation.people.detector import PoseDetector
from curation.people.settings import SubjectRule
from curation.people.subject import choose_subject
from curation.people.tracking import track_people
from dataset.errors import ItemError
from dataset.records import BodyTrack, Keypoints
from dataset.storage import Location
from dataset.streams import decode_stream
from dataset.tables import read_row
from dataset.video import read_frames
from inference.picture_files import read_reference, shrunk
from inference.settings import SkeletonSource
from rendering.body_model import BodyModel
from rendering.camera import default_camera
from rendering.fitting import BodyFitter
from rendering.point_transfer import transfer_points
from rendering.render import TRACK_COLUMNS, read_track
from rendering.skeleton import smpl_to_wholebody_points
from rendering.track import select_frames

DETECT_EVERY = 3  # frames; in between boxes are interpolated, which keypoints do not depend on


@dataclass(frozen=True, slots=True, kw_only=True)
class Motion:
    """A body in motion, with the points a detector saw of the person who made it."""

    track: BodyTrack
    points: Float32[np.ndarray, "frames 133 3"]
    boxes: Float32[np.ndarray, "frames 4"]
    fps: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A person in a picture, with the body fitted to it (a track of one frame).

    ``whole`` is the picture as it came, ``picture`` shrunk to ``max_side``, which the track and the
    boxes refer to. ``person_mask`` is where the detector saw the person, None where it draws no
    masks or finds nobody in this frame alone.
    """

    whole: UInt8[np.ndarray, "rows columns 3"]
    picture: UInt8[np.ndarray, "height width 3"]
    track: BodyTrack
    boxes: Float32[np.ndarray, "frames 4"]
    person_mask: UInt8[np.ndarray, "height width"] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyReader:
    """Reads bodies out of the ``guidance`` table, or fits them to files."""

    root: Location
    guidance_recipe: str | None
    detector: PoseDetector
    fitter: BodyFitter
    max_side: int
    fps: float
    subject: SubjectRule

    def motion(self, name: str) -> Motion:
        """The motion of a CLIP_ID, or of the subject of a video file."""
        if _is_file(name):
            video = read_frames(Path(name), fps=self.fps, max_side=self.max_side)
            return self._fit(np.stack(list(video)), name)[0]
        row = self._clip(name)
        return Motion(
            track=read_track(row),
            points=np.asarray(row["keypoints"], np.float32).reshape(-1, 133, 3),
            boxes=np.asarray(row["boxes"], np.float32).reshape(-1, 4),
            fps=float(row["fps"]),
        )

    def reference(self, name: str) -> Reference:
        """The person of CLIP_ID#FRAME, or the subject of a picture file."""
        if _is_file(name):
            whole = read_reference(Path(name))
            picture = shrunk(whole, self.max_side)
            motion, keypoints = self._fit(picture[None], name)
            return Reference(
                whole=whole,
                picture=picture,
                track=motion.track,
                boxes=motion.boxes,
                person_mask=_only_mask(keypoints),
            )
        clip_id, _, frame = name.rpartition("#")
        if not clip_id or not frame.isdigit():
            raise ItemError(
                "animate.reference",
                f"{name!r} is neither a picture file nor CLIP_ID#FRAME",
            )
        row, index = self._clip(clip_id), int(frame)
        track = read_track(row)
        if index >= track.frames:
            raise ItemError(
                "animate.reference", f"clip {clip_id} has {track.frames} frames, no frame {index}"
            )
        picture = decode_stream(row["rgb"], [index])[0]
        boxes = np.asarray(row["boxes"], np.float32).reshape(-1, 4)
        seen = self.detector.keypoints(picture[None], boxes[index : index + 1])
        return Reference(
            whole=picture,
            picture=picture,
            track=select_frames(track, [index]),
            boxes=boxes,
            person_mask=_only_mask(seen),
        )

    def _clip(self, clip_id: str) -> dict[str, Any]:
        columns = [*TRACK_COLUMNS, "keypoints", "boxes", "fps", "rgb"]
        try:
            return read_row(
                self.root, "guidance", clip_id, recipe=self.guidance_recipe, columns=columns
            )
        except ValueError as error:
            raise ItemError(
                "animate.unknown_clip",
                f"{clip_id!r} is neither a file nor a clip of the guidance table: {error}",
            ) from error

    def _fit(
        self, frames: UInt8[np.ndarray, "frames height width 3"], name: str
    ) -> tuple[Motion, Keypoints]:
        boxes = self._subject(frames, name)
        height, width = frames.shape[1:3]
        keypoints = self.detector.keypoints(frames, boxes)
        camera = default_camera(width, height)
        track = self.fitter.fit(keypoints, camera, self.fps, frames=frames, boxes=boxes)
        motion = Motion(track=track, points=keypoints.points, boxes=boxes, fps=self.fps)
        return motion, keypoints

    def _subject(
        self, frames: UInt8[np.ndarray, "frames height width 3"], name: str
    ) -> Float32[np.ndarray, "frames 4"]:
        """The boxes of whoever the rule chooses, NaN where that person is not seen."""
        looked_at = range(0, len(frames), DETECT_EVERY)
        tracks = track_people(
            [self.detector.detect_people(frames[at]) for at in looked_at], looked_at
        )
        if not tracks:
            raise ItemError("animate.no_person", f"{name} shows no person", status="rejected")
        size = (frames.shape[2], frames.shape[1])
        chosen = tracks[choose_subject(tracks, self.subject, size)]
        first, last = int(chosen.frames[0]), int(chosen.frames[-1])
        chosen = chosen.held(
            max(0, first - DETECT_EVERY + 1), min(len(frames), last + DETECT_EVERY)
        )
        boxes = np.full((len(frames), 4), np.nan, np.float32)
        boxes[chosen.frames] = chosen.boxes[:, :4]
        return boxes


def skeleton_points(
    motion: Motion,
    frames: Sequence[int],
    aligned: BodyTrack,
    body: BodyModel,
    *,
    skeleton: SkeletonSource,
) -> Float32[np.ndarray, "frames 133 3"]:
    """The points of the skeleton that is drawn of an aligned body, in pixels of its camera.

    Args:
        motion: The motion that was aligned, with the points seen on it.
        frames: Which of its frames the aligned track holds.
        skeleton: The seen points, carried onto the body, or the body's own joints.
    """
    joints = body.joints(aligned)
    if skeleton == "body":
        return smpl_to_wholebody_points(joints, aligned)
    return transfer_points(
        motion.points[list(frames)],
        body.joints(select_frames(motion.track, frames)),
        motion.track.camera,
        joints,
        aligned.camera,
    )


def _only_mask(keypoints: Keypoints) -> UInt8[np.ndarray, "height width"] | None:
    """The mask of a single frame, where somebody is in it."""
    mask = keypoints.person_mask
    return mask[0] if mask is not None and mask.any() else None


def _is_file(name: str) -> bool:
    return os.path.isfile(name)  # False, not an error, for names that no file can have

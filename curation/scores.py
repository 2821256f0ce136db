"""What is measured of a candidate clip; what is good enough is decided elsewhere (select.py)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, UInt8

from curation.people.detector import PersonBox

_CROP_HEIGHT = 256  # people are brought to one height before their sharpness is measured
_SEEN = 0.5
_BODY_LEVELS = ((0, 1, 2, 3, 4), (5, 6), (11, 12), (13, 14), (15, 16))
"""Head, shoulders, hips, knees, ankles; one point of each will do, as sides hide each other."""

_COCO = slice(0, 17)  # the feet are left out: their confidence says more of shoes than of people


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """The subject in one looked-at frame, in pixels of the decoded frame."""

    frame: int
    person: PersonBox
    sharpness: float


def sharpness(frame: UInt8[np.ndarray, "height width 3"], box: Float32[np.ndarray, " 4"]) -> float:
    """Variance of the Laplacian of the grey picture in a box, brought to 256 pixels of height.

    Out-of-focus and low-resolution people score low; 0 for an empty box.
    """
    x0, y0 = np.clip(np.floor(box[:2]), 0, None).astype(int)
    x1, y1 = np.ceil(box[2:]).astype(int)
    part = frame[y0:y1, x0:x1]
    if min(part.shape[:2]) < 2:
        return 0.0
    grey = cv2.cvtColor(part, cv2.COLOR_RGB2GRAY)
    width = max(2, round(grey.shape[1] * _CROP_HEIGHT / grey.shape[0]))
    shrinks = grey.shape[0] > _CROP_HEIGHT
    grey = cv2.resize(
        grey, (width, _CROP_HEIGHT), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    )
    return float(cv2.Laplacian(grey, cv2.CV_64F).var())


def motion(sightings: list[Sighting], *, fps: float) -> float:
    """How fast the body's points move relative to their middle: heights of the person a second.

    Relative, so that neither a moving camera nor walking through the picture counts as dancing;
    the median over points withstands single wrong ones.
    """
    speeds = []
    for before, after in pairwise(sightings):
        first, second = before.person.points[_COCO], after.person.points[_COCO]
        seen = (first[:, 2] >= _SEEN) & (second[:, 2] >= _SEEN)
        if seen.sum() < 4:
            continue
        moved = second[seen, :2] - first[seen, :2]
        moved = np.linalg.norm(moved - moved.mean(axis=0), axis=1)
        height = max(float(before.person.box[3] - before.person.box[1]), 1.0)
        seconds = (after.frame - before.frame) / fps
        speeds.append(float(np.median(moved)) / height / seconds)
    return float(np.mean(speeds)) if speeds else 0.0


def score_clip(
    sightings: list[Sighting],
    boxes: Float32[np.ndarray, "frames 4"],
    persons: Float[np.ndarray, " frames"],
    *,
    looked_at: int,
    size: tuple[int, int],
    fps: float,
) -> dict[str, float | int]:
    """The score columns of a row of ``clips``.

    Args:
        sightings: The subject in the clip's looked-at frames, in order.
        boxes: The subject's box on every frame, in pixels of the decoded frame.
        persons: Number of people on every frame, the subject among them.
        looked_at: How many of the clip's frames were searched for people.
        size: Width and height of the decoded frame.
        fps: Frames per second.
    """
    if not sightings:
        raise ValueError("expected at least one sighting of the subject, got none")
    points = np.stack([sighting.person.points for sighting in sightings])
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return {
        "persons_mean": float(persons.mean()),
        "persons_max": int(persons.max()),
        "second_person_share": float((persons > 1).mean()),
        "track_coverage": min(1.0, len(sightings) / max(looked_at, 1)),
        "person_share": float(areas.mean()) / (size[0] * size[1]),
        "keypoint_confidence": float(points[:, _COCO, 2].mean()),
        "full_body_share": float(_full_body(points, size).mean()),
        "sharpness": float(np.mean([sighting.sharpness for sighting in sightings])),
        "motion": motion(sightings, fps=fps),
    }


def _full_body(
    points: Float32[np.ndarray, "frames 23 3"], size: tuple[int, int]
) -> Bool[np.ndarray, " frames"]:
    inside = ((points[..., :2] >= 0) & (points[..., :2] <= size)).all(axis=-1)
    seen = inside & (points[..., 2] >= _SEEN)
    levels = np.stack([seen[:, list(level)].any(axis=1) for level in _BODY_LEVELS])
    return np.logical_and.reduce(levels, axis=0)

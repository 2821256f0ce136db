"""How the camera moves: the background's motion from one look to the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Float64, UInt8

_POINTS = 160
_QUALITY, _DISTANCE_PX = 0.01, 9
_WINDOW, _LEVELS = (15, 15), 3
_MIN_BACKGROUND = 8
_INLIER_PX = 1.0
_MOST = 0.85  # of all points, people's too, follow the camera in a photo, or who stands. Ours.
_STATIC = 0.01  # frame widths a second; a tripod measures 0.001, a zoom of 6 % a second 0.02. Ours.


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureMotion:
    """What moved where between two looks, in pixels of the small pictures.

    ``before`` and ``after`` are the places of points that were followed, ``camera`` the similarity
    that takes the background of the first picture to the second's, ``seconds`` the time between.
    """

    before: Float32[np.ndarray, "points 2"]
    after: Float32[np.ndarray, "points 2"]
    camera: Float64[np.ndarray, "2 3"]
    seconds: float

    def residual(self) -> Float64[np.ndarray, "points 2"]:
        """How far each point moved beyond what the camera explains."""
        return self.after - _moved(self.camera, self.before)


def follow(
    before: UInt8[np.ndarray, "height width"],
    after: UInt8[np.ndarray, "height width"],
    people: Sequence[Float32[np.ndarray, " 4"]],
    *,
    seconds: float,
) -> PictureMotion:
    """Points of a grey picture in the next one, and the camera's motion by those off all people.

    Where nearly all points, those on people too, move as one, that is the camera's motion.

    Corners (Shi and Tomasi, 1994) are followed by pyramids of Lucas and Kanade (Bouguet, 2000);
    the similarity is RANSAC's. With fewer than eight points in the background, as before a plain
    wall or where a face fills the picture, the camera counts as still.

    Args:
        people: Boxes of the people in the first picture, in its pixels.
        seconds: Time between the two.
    """
    still = np.eye(2, 3)
    nothing = np.zeros((0, 2), np.float32)
    corners = _corners(before)
    if not len(corners):
        return PictureMotion(before=nothing, after=nothing, camera=still, seconds=seconds)
    found, status, _ = cv2.calcOpticalFlowPyrLK(
        before, after, corners[:, None], np.empty(0), winSize=_WINDOW, maxLevel=_LEVELS
    )
    kept = status.ravel() == 1
    first, second = corners[kept], found.reshape(-1, 2)[kept].astype(np.float32)
    camera, agreeing = similarity(first, second)
    if agreeing < _MOST:  # a photo moves as one, and its background may be sky, which says little
        background = ~inside_any(first, people)
        camera, _ = similarity(first[background], second[background])
    return PictureMotion(before=first, after=second, camera=camera, seconds=seconds)


def similarity(
    first: Float32[np.ndarray, "points 2"], second: Float32[np.ndarray, "points 2"]
) -> tuple[Float64[np.ndarray, "2 3"], float]:
    """The motion that most points agree on, and their share; none for fewer than eight points."""
    if len(first) >= _MIN_BACKGROUND:
        found, agrees = cv2.estimateAffinePartial2D(
            first, second, method=cv2.RANSAC, ransacReprojThreshold=_INLIER_PX
        )
        if found is not None and np.isfinite(found).all():
            return found, float(agrees.mean())
    return np.eye(2, 3), 0.0


def camera_speed(motion: PictureMotion, size: tuple[int, int]) -> float:
    """Mean speed of the picture's nine thirds under the camera's motion, in frame widths a second.

    So a zoom and a roll have a speed too. Points far away move less than near ones when the camera
    travels: RANSAC takes those that agree.

    Args:
        size: Width and height of the small picture.
    """
    width, height = size
    x, y = np.meshgrid(np.array([1, 3, 5]) * width / 6, np.array([1, 3, 5]) * height / 6)
    grid = np.column_stack([x.ravel(), y.ravel()])
    way = np.linalg.norm(_moved(motion.camera, grid) - grid, axis=1).mean()
    return float(way) / width / motion.seconds


def camera_scores(speeds: Sequence[float]) -> dict[str, float]:
    """Mean camera speed (frame widths a second) and the share of looks in which it stood still."""
    if not speeds:
        return {"camera_motion": 0.0, "static_camera_share": 1.0}
    return {
        "camera_motion": float(np.mean(speeds)),
        "static_camera_share": float(np.mean(np.array(speeds) < _STATIC)),
    }


def inside_any(
    points: Float32[np.ndarray, "points 2"], boxes: Sequence[Float32[np.ndarray, " 4"]]
) -> Bool[np.ndarray, " points"]:
    """Which points lie in one of the boxes."""
    inside = np.zeros(len(points), bool)
    for box in boxes:
        inside |= ((points >= box[:2]) & (points <= box[2:])).all(axis=1)
    return inside


def _corners(grey: UInt8[np.ndarray, "height width"]) -> Float32[np.ndarray, "points 2"]:
    if min(grey.shape) < 16:
        return np.zeros((0, 2), np.float32)
    found = cv2.goodFeaturesToTrack(grey, _POINTS, _QUALITY, _DISTANCE_PX)
    return np.zeros((0, 2), np.float32) if found is None else found.reshape(-1, 2)


def _moved(camera: Float64[np.ndarray, "2 3"], points: np.ndarray) -> np.ndarray:
    return points @ camera[:, :2].T + camera[:, 2]

"""People and their bodies: BlazePose's detector and its 33-point landmark network.

Bazarevsky et al., "BlazePose: On-device Real-time Body Pose tracking", 2020. Constants are those
of the published model cards and graphs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, UInt8
from scipy.special import expit

from curation.people.anchors import anchor_centres, decode, merge_overlapping
from curation.people.litert import Network
from curation.people.regions import Region, cut_out, upright_region
from dataset.assets import asset_path

_ROI_FACTOR = 1.25  # the margin that the landmark network was trained with
_HIPS, _TOP = 33, 34  # auxiliary landmarks: middle of the hips, top of the person's circle
_TRUNK = [11, 12, 23, 24]  # shoulders and hips
_JOINTS = [*range(11, 17), *range(23, 29)]  # of arms and legs
_REFINE_REACH = 3  # cells of the heat map on each side: a 7 x 7 window
_REFINE_MIN_SCORE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Pose:
    """What the landmark network saw in a region; positions in pixels of the frame.

    ``landmarks`` are x, y, confidence; ``world`` metres relative to the middle of the hips (x
    right, y down, z forward); ``silhouette`` the person's probability over ``region``.
    """

    region: Region
    presence: float
    landmarks: Float32[np.ndarray, "33 3"]
    world: Float32[np.ndarray, "33 3"]
    next_region: Region
    silhouette: Float32[np.ndarray, "256 256"]


class PoseFinder:
    """Proposes regions that hold a person."""

    def __init__(self) -> None:
        self._network = Network(asset_path("mediapipe/pose_detection"))
        self._anchors = anchor_centres(self._network.size, ((8, 2), (16, 2), (32, 6)))

    def propose(
        self, frame: UInt8[np.ndarray, "height width 3"], where: Region, *, min_score: float
    ) -> list[tuple[Region, float]]:
        """Regions for the landmark network and their scores, best first; looks only in ``where``.

        The detector's key points are the middle of the hips and a point whose distance from it is
        the radius of the circle around the whole person.
        """
        size = self._network.size
        regressors, logits = self._network(cut_out(frame, where, size) * 2.0 - 1.0)
        points, scores = decode(regressors, logits, self._anchors, size=size, min_score=min_score)
        points, scores = merge_overlapping(points, scores, min_overlap=0.3)
        return [
            (upright_region(*where.to_frame(found[2:4]), factor=_ROI_FACTOR), float(score))
            for found, score in zip(points, scores, strict=True)
        ]


class PoseReader:
    """Reads a person's landmarks, world points and silhouette in a region."""

    def __init__(self) -> None:
        self._network = Network(asset_path("mediapipe/pose_landmark_full"))

    def read(self, frame: UInt8[np.ndarray, "height width 3"], region: Region) -> Pose:
        size = self._network.size
        raw, presence, silhouette, heat, world = self._network(cut_out(frame, region, size))
        raw = raw.reshape(39, 5)
        fractions = _refined(raw[:, :2] / size, expit(heat))
        positions = region.to_frame(fractions)
        confidence = expit(raw[:33, 3:5]).min(axis=1)  # visible, and inside the picture
        metres = world.reshape(39, 3)[:33].astype(np.float64)
        # The network saw the person upright: turn the picture plane back.
        upright = Region(x=0.0, y=0.0, size_px=1.0, angle=region.angle)
        metres[:, :2] = upright.to_frame(metres[:, :2] + 0.5)
        return Pose(
            region=region,
            presence=float(presence[0]),
            landmarks=np.column_stack([positions[:33], confidence]).astype(np.float32),
            world=metres.astype(np.float32),
            next_region=upright_region(positions[_HIPS], positions[_TOP], factor=_ROI_FACTOR),
            silhouette=expit(silhouette[..., 0]),
        )


def pose_leap(before: Pose, after: Pose) -> float:
    """How far the body moved from one frame to the next, in sides of the region.

    The mean over the limbs' joints, or half of the largest way of a shoulder or hip if that is
    more: joints of the trunk cannot be thrown about as hands can.
    """
    way = np.linalg.norm(after.landmarks[:, :2] - before.landmarks[:, :2], axis=1)
    leap = max(float(way[_JOINTS].mean()), float(way[_TRUNK].max()) / 2)
    return leap / after.region.size_px


def _refined(
    points: Float32[np.ndarray, "n 2"], heat: Float32[np.ndarray, "cells cells n"]
) -> Float32[np.ndarray, "n 2"]:
    """Points moved to the centre of mass of the heat around them, where there is enough of it."""
    cells = heat.shape[0]
    refined = points.copy()
    for index, (column, row) in enumerate((points * cells).astype(int)):
        if not (0 <= column < cells and 0 <= row < cells):
            continue
        x0, y0 = max(0, column - _REFINE_REACH), max(0, row - _REFINE_REACH)
        window = heat[y0 : row + _REFINE_REACH + 1, x0 : column + _REFINE_REACH + 1, index]
        if window.max() >= _REFINE_MIN_SCORE:
            total = window.sum()
            refined[index, 0] = (window.sum(axis=0) @ np.arange(x0, x0 + window.shape[1])) / total
            refined[index, 1] = (window.sum(axis=1) @ np.arange(y0, y0 + window.shape[0])) / total
            refined[index] /= cells
    return refined

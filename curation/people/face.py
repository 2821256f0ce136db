"""The 68 iBUG points of a face, in a region that the body's landmarks suggest.

Bazarevsky et al., "BlazeFace", 2019; Kartynnik et al., "Real-time Facial Surface Geometry", 2019.
A face that the detector does not see (turned away, hidden) yields nothing, as the mesh network
would draw one on the back of a head.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float32, UInt8
from scipy.special import expit

from curation.people.anchors import anchor_centres, decode, merge_overlapping
from curation.people.layout import FACE_FROM_MESH, POSE_LANDMARKS
from curation.people.litert import Network
from curation.people.regions import Region, cut_out
from dataset.assets import asset_path

_POSE_FACE = slice(0, 11)  # nose to mouth
_RIGHT_EYE, _LEFT_EYE = 2, 3  # of the detector's points, after the two corners of its box


class FaceReader:
    """Reads the face of a person whose pose is known."""

    def __init__(self, *, min_presence: float) -> None:
        self._detector = Network(asset_path("mediapipe/face_detection"))
        self._anchors = anchor_centres(self._detector.size, ((8, 2), (16, 6)))
        self._network = Network(asset_path("mediapipe/face_landmark"))
        self._min_presence = min_presence

    def read(
        self, frame: UInt8[np.ndarray, "height width 3"], pose: Float32[np.ndarray, "33 3"]
    ) -> Float32[np.ndarray, "68 3"]:
        """x, y in pixels and confidence; all zero where no face is seen."""
        region = self._detected(frame, _head_region(pose))
        if region is None:
            return np.zeros((68, 3), np.float32)
        size = self._network.size
        mesh, presence = self._network(cut_out(frame, region, size))
        confidence = float(expit(presence.item()))
        if confidence < self._min_presence:
            return np.zeros((68, 3), np.float32)
        vertices = mesh.reshape(468, 3)[list(FACE_FROM_MESH), :2]
        positions = region.to_frame(vertices / size)
        return np.column_stack([positions, np.full(68, confidence)]).astype(np.float32)

    def _detected(self, frame: np.ndarray, where: Region) -> Region | None:
        size = self._detector.size
        regressors, logits = self._detector(cut_out(frame, where, size) * 2.0 - 1.0)
        points, scores = decode(
            regressors, logits, self._anchors, size=size, min_score=self._min_presence
        )
        points, _ = merge_overlapping(points, scores, min_overlap=0.3)
        if not len(points):
            return None
        found = where.to_frame(points[0])
        (x, y) = where.to_frame(points[0, :2].mean(axis=0))
        side = float((points[0, 1] - points[0, 0]).max()) * where.size_px
        dx, dy = found[_LEFT_EYE] - found[_RIGHT_EYE]
        face = Region(x=float(x), y=float(y), size_px=side, angle=math.atan2(dy, dx))
        return face.scaled(2.0, up=0.1)


def _head_region(pose: np.ndarray) -> Region:
    """Three times the square around the pose's face points, turned with the eyes."""
    points = pose[_POSE_FACE, :2].astype(np.float64)
    left, right = (points[POSE_LANDMARKS.index(f"{side}_eye")] for side in ("left", "right"))
    low, high = points.min(axis=0), points.max(axis=0)
    x, y = (low + high) / 2
    size = max(float((high - low).max()), 1.0)
    dx, dy = left - right
    return Region(x=x, y=y, size_px=3.0 * size, angle=math.atan2(dy, dx))

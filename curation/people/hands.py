"""The 21 points of a hand, in a region that the body's landmarks suggest.

Zhang et al., "MediaPipe Hands", 2020; the region is found as MediaPipe Holistic does: from wrist
and knuckles of the pose, then refined by a small network of its own.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, UInt8

from curation.people.layout import POSE_LANDMARKS
from curation.people.litert import Network
from curation.people.regions import Region, cut_out, upright_region
from dataset.assets import asset_path


class HandReader:
    """Reads hands of a person whose pose is known."""

    def __init__(self, *, min_presence: float) -> None:
        self._recrop = Network(asset_path("mediapipe/hand_recrop"))
        self._network = Network(asset_path("mediapipe/hand_landmark_full"))
        self._min_presence = min_presence

    def read(
        self,
        frame: UInt8[np.ndarray, "height width 3"],
        pose: Float32[np.ndarray, "33 3"],
        side: str,
    ) -> Float32[np.ndarray, "21 3"]:
        """x, y in pixels and confidence; all zero where no hand is seen.

        Args:
            pose: The person's 33 landmarks in pixels.
            side: ``"left"`` or ``"right"``, the person's.
        """
        wrist, index, pinky = (
            pose[POSE_LANDMARKS.index(f"{side}_{name}")] for name in ("wrist", "index", "pinky")
        )
        if wrist[2] < self._min_presence:
            return np.zeros((21, 3), np.float32)
        region = self._refined(frame, _palm_region(wrist[:2], index[:2], pinky[:2]))
        size = self._network.size
        points, presence, *_ = self._network(cut_out(frame, region, size))
        confidence = float(presence[0])
        if confidence < self._min_presence:
            return np.zeros((21, 3), np.float32)
        positions = region.to_frame(points.reshape(21, 3)[:, :2] / size)
        return np.column_stack([positions, np.full(21, confidence)]).astype(np.float32)

    def _refined(self, frame: np.ndarray, region: Region) -> Region:
        size = self._recrop.size
        (points,) = self._recrop(cut_out(frame, region, size))
        centre, edge = region.to_frame(points.reshape(2, 2) / size)
        # Towards the fingers, which leave the picture first.
        found = upright_region(centre, edge, factor=1.0)
        return found.scaled(1.0, up=0.1)


def _palm_region(wrist: np.ndarray, index: np.ndarray, pinky: np.ndarray) -> Region:
    knuckle = (2.0 * index + pinky) / 3.0  # about the middle finger's
    ahead = knuckle + (knuckle - wrist)
    return upright_region(knuckle, ahead, factor=1.0).scaled(2.7, up=0.1)

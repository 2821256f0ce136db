"""The regressed body, refined: its 3D points take the place of the detector's in the fit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float32, UInt8

from dataset.records import BODY_POINTS, BodyTrack, Camera, Keypoints
from rendering.body_model import BodyModel
from rendering.body_points import body_point_places, find_points
from rendering.fitting import KeypointFitter
from rendering.fitting_settings import FitSettings
from rendering.hmr2.regressor import Hmr2Regressor, known_boxes
from rendering.hmr2.settings import Hmr2Settings

_SMPL_VERTICES = 6890


class Hmr2Fitter:
    """Regresses every frame, then fits the clip to the detector's points in the picture.

    The fit is ``KeypointFitter``'s with its beliefs and smoothing; what the regressor adds is the
    body's shape in depth. HMR2's betas are SMPL's: on a body with another mesh they mean nothing,
    and its landmarks are those of the mean shape.
    """

    def __init__(self, body: BodyModel, settings: Hmr2Settings, fit: FitSettings) -> None:
        """Load the checkpoint; raises ``ValueError`` where there is none or it does not fit."""
        self.settings = settings
        self._body = body
        self._regressor = Hmr2Regressor(settings)
        self._refiner = KeypointFitter(body, fit)

    def fit(
        self,
        keypoints: Keypoints,
        camera: Camera,
        fps: float,
        *,
        frames: UInt8[np.ndarray, "frames height width 3"] | None = None,
        boxes: Float32[np.ndarray, "frames 4"] | None = None,
    ) -> BodyTrack:
        """Fit the clip.

        Args:
            keypoints: The 133 points in the camera's pixels; their 3D landmarks are not used.
            camera: As it was, or assumed (``camera.default_camera``), of the size of the frames.
            fps: Frames per second.
            frames: RGB.
            boxes: The person's, x0, y0, x1, y1 in pixels. A frame without (NaN) has no say in 3D.

        Raises:
            ValueError: No frames or boxes are given, or shapes do not belong together.
            ItemError: As ``Hmr2Regressor.regress`` and ``KeypointFitter.fit``.
        """
        if frames is None or boxes is None:
            raise ValueError("the hmr2 fitter looks at the pictures: give it frames and boxes")
        regressed = self._regressor.regress(frames, boxes, camera)
        if len(self._body.mesh.vertex_parts) != _SMPL_VERTICES:
            regressed = replace(regressed, betas=np.zeros(10, np.float32))
        landmarks = landmarks_of(regressed, self._body)
        landmarks[~known_boxes(boxes), :, 3] = 0
        return self._refiner.fit(replace(keypoints, body_3d=landmarks), camera, fps)


def landmarks_of(track: BodyTrack, body: BodyModel) -> Float32[np.ndarray, "frames 23 4"]:
    """The ``BODY_POINTS`` of a body as a detector's 3D landmarks, with confidence 1.

    Metres, relative to the middle of the hips, camera axes.
    """
    places = body_point_places(find_points(body), track)[:, : len(BODY_POINTS)]
    hips = [BODY_POINTS.index(f"{side}_hip") for side in ("left", "right")]
    relative = places - places[:, hips].mean(1, keepdims=True)
    seen = np.ones((*relative.shape[:2], 1), np.float32)
    return np.concatenate([relative, seen], axis=-1).astype(np.float32)

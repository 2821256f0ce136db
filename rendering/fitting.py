"""Fits one SMPL body to the points that a detector saw of a person, a whole clip at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Bool, Float32, UInt8
from scipy.ndimage import binary_dilation

from curation.people.crossings import uncross_limbs
from dataset.errors import ItemError
from dataset.records import BodyTrack, Camera, Keypoints
from rendering.body_model import BodyModel
from rendering.body_points import find_points
from rendering.camera import check_camera
from rendering.fitting_outline import OutlineFinder
from rendering.fitting_settings import FitSettings
from rendering.fitting_solver import Problem, minimise
from rendering.fitting_start import make_evidence, start
from rendering.fitting_terms import Unknowns, accelerations
from rendering.kinematics import rotation_matrices
from rendering.smoothing import smooth, smooth_rotations

_ROUGHLY = 10
"""How much coarser the tolerance is of a fit that is only a step to the next one."""


class BodyFitter(Protocol):
    """Finds the body of a person through a clip."""

    def fit(
        self,
        keypoints: Keypoints,
        camera: Camera,
        fps: float,
        *,
        frames: UInt8[np.ndarray, "frames height width 3"] | None = None,
        boxes: Float32[np.ndarray, "frames 4"] | None = None,
    ) -> BodyTrack:
        """One body with one shape for all frames; raises ``ItemError`` where nothing was seen.

        ``frames`` (RGB) and ``boxes`` (x0, y0, x1, y1) are for fitters that look at the pictures.
        """
        ...


class KeypointFitter:
    """The built-in fitter: 2D points and 3D landmarks, joint limits, habits, steadiness.

    A closed-form start (``fitting_start``), Gauss-Newton over all frames and one shape at once
    (``fitting_solver``), then a light smoothing. It needs the skeleton and some points of the skin,
    the mesh only to see where its rim is against the silhouette. Works for any SMPL-format body.
    """

    def __init__(self, body: BodyModel, settings: FitSettings) -> None:
        self.settings = settings
        self._outlines = OutlineFinder(body, settings.outline)
        self._body = find_points(body).double()

    def fit(
        self,
        keypoints: Keypoints,
        camera: Camera,
        fps: float,
        *,
        frames: UInt8[np.ndarray, "frames height width 3"] | None = None,  # noqa: ARG002
        boxes: Float32[np.ndarray, "frames 4"] | None = None,  # noqa: ARG002
    ) -> BodyTrack:
        """Fit the clip; pictures and boxes are not looked at.

        Args:
            keypoints: The 133 points in the camera's pixels and the 3D landmarks; what has no
                confidence is not used, and frames without any are bridged by their neighbours.
            camera: As it was, or assumed (``camera.default_camera``).
            fps: Frames per second, for what is believed of accelerations.

        Raises:
            ItemError: ``fit.no_points`` where nothing usable was seen in any frame.
            ValueError: arrays of different lengths or wrong shapes, no frame, a bad camera or rate.
        """
        _check(keypoints, camera, fps)
        seen = uncross_limbs(keypoints)
        problem = Problem(
            body=self._body,
            evidence=make_evidence(seen, camera, fps, self.settings.min_confidence),
            camera=camera,
            settings=self.settings.terms,
            accelerations=accelerations(self.settings.terms),
        )
        found = self._solve(problem)
        doubtful = self._doubtful_frames(problem, found)
        if doubtful.any():
            problem = problem.without_landmarks(torch.from_numpy(doubtful))
            found = self._solve(problem)
        if keypoints.person_mask is not None:
            problem, found = self._with_outline(problem, found, keypoints.person_mask)
        problem = problem.calmed(found, self.settings.calmest)
        return self._as_track(problem, self._solve(problem, found, roughly=False))

    def _with_outline(
        self, problem: Problem, found: Unknowns, mask: UInt8[np.ndarray, "frames height width"]
    ) -> tuple[Problem, Unknowns]:
        """The shape fitted to the silhouette too, the rim found twice."""
        for _ in range(2):
            outline = self._outlines.find(self._as_track(problem, found), mask)
            problem = replace(problem, outline=outline)
            found = self._solve(problem, found)
        return problem, found

    def _solve(
        self, problem: Problem, begun: Unknowns | None = None, *, roughly: bool = True
    ) -> Unknowns:
        """The minimum; ``roughly`` where the problem will change a little and be solved again."""
        begun = begun or start(problem.evidence, self._body, problem.camera)
        tolerance = self.settings.tolerance * (_ROUGHLY if roughly else 1)
        return minimise(problem, begun, self.settings.steps, tolerance)

    def _doubtful_frames(self, problem: Problem, found: Unknowns) -> Bool[np.ndarray, " frames"]:
        """Where the points speak against the landmarks, and the frames beside."""
        error = _reprojection_error(problem, found)
        expected = self.settings.terms.point_deviation * problem.evidence.body_height_px
        limit = max(self.settings.doubt_ratio * float(np.nanmedian(error)), expected)
        return binary_dilation(np.nan_to_num(error) > limit)

    def _as_track(self, problem: Problem, found: Unknowns) -> BodyTrack:
        deviation = self.settings.smoothing_seconds * problem.evidence.fps
        rotations = rotation_matrices(found.body_pose()).numpy()
        rest_root = self._body.rest_joints(found.betas)[0]
        return BodyTrack(
            betas=found.betas.numpy().astype(np.float32),
            global_orient=smooth_rotations(found.root.numpy(), deviation),
            body_pose=smooth_rotations(rotations, deviation),
            transl=smooth((problem.root(found) - rest_root).numpy(), deviation).astype(np.float32),
            camera=problem.camera,
            reprojection_error_px=_reprojection_error(problem, found),
        )


def _reprojection_error(problem: Problem, found: Unknowns) -> np.ndarray:
    """The weighted mean distance in pixels per frame; NaN where nothing was seen."""
    distance = (problem.project(found) - problem.evidence.points).norm(dim=-1).numpy()
    weights = problem.evidence.point_weights.numpy()
    seen = weights.sum(1)
    mean = (distance * weights).sum(1) / np.maximum(seen, 1e-9)
    return np.where(seen > 0, mean, np.nan).astype(np.float32)


def _check(keypoints: Keypoints, camera: Camera, fps: float) -> None:
    check_camera(camera)
    frames = len(keypoints.points)
    if keypoints.points.shape != (frames, 133, 3) or keypoints.body_3d.shape != (frames, 23, 4):
        raise ValueError(
            "expected points (frames, 133, 3) and body_3d (frames, 23, 4), got "
            f"{keypoints.points.shape} and {keypoints.body_3d.shape}"
        )
    if frames == 0:
        raise ValueError("expected at least one frame, got none")
    if not fps > 0:
        raise ValueError(f"expected a positive frame rate, got {fps}")
    seen = keypoints.points[..., 2] > 0
    if not np.isfinite(keypoints.points[seen]).all():
        raise ItemError("fit.not_finite", "a point with confidence has no finite position")

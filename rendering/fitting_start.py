"""From a detector's points to the evidence of a fit, and to where the fit begins."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from scipy.ndimage import median_filter
from torch import Tensor

from dataset.errors import ItemError
from dataset.records import BODY_POINTS, Camera, Keypoints
from rendering.body_points import POINT_NAMES, WHOLEBODY_INDICES, BodyPoints
from rendering.fitting_body import posed_points
from rendering.fitting_terms import POSED_JOINTS, Evidence, Unknowns
from rendering.kinematics import axis_angles
from rendering.pose_prior import joint_ranges
from rendering.pose_start import start_pose
from rendering.smoothing import fill_gaps, smooth

_TRUST = {
    "hip": 0.5, "ear": 0.4, "eye": 0.5, "small_toe": 0.6, "big_toe": 0.7, "heel": 0.6,
    "index": 0.25, "hand": 0.25, "pinky": 0.25,
}  # fmt: skip
"""Points that detectors place loosely, or that hang near others, count less than joints do."""

_TRUNK = [BODY_POINTS.index(f"{side}_{name}") for name in ("shoulder", "hip")
          for side in ("left", "right")]  # fmt: skip


def make_evidence(
    keypoints: Keypoints, camera: Camera, fps: float, min_confidence: float
) -> Evidence:
    """The points that the fit uses, weighted by confidence.

    Raises ``ItemError`` (``fit.no_points``) where no frame shows half of the trunk's four points.
    """
    trust = np.array([_trust(name) for name in POINT_NAMES])
    chosen = keypoints.points[:, WHOLEBODY_INDICES]
    centre = np.array([camera.width / 2, camera.height / 2])
    confidence = _believed(chosen[..., 2], min_confidence)
    if not ((confidence[:, _TRUNK] > 0).sum(1) >= 2).any():
        raise ItemError(
            "fit.no_points",
            "no frame shows two of the four points of the trunk; is there a person in the clip?",
            status="rejected",
        )
    points = np.where(confidence[..., None] > 0, chosen[..., :2] - centre, 0.0)
    seen_3d = _believed(keypoints.body_3d[..., 3], min_confidence)
    landmarks = np.where(seen_3d[..., None] > 0, keypoints.body_3d[..., :3], 0.0)
    return Evidence(
        points=_tensor(points),
        point_weights=_tensor(confidence * trust),
        landmarks=_tensor(landmarks),
        landmark_weights=_tensor(seen_3d * trust[: len(BODY_POINTS)]),
        body_height_px=_body_height_px(points, confidence),
        fps=fps,
    )


def start(evidence: Evidence, body: BodyPoints, camera: Camera) -> Unknowns:
    """Where the fit begins: an average body in the closed-form pose, placed by least squares."""
    betas = torch.zeros(10, dtype=torch.float64)
    rotations = start_pose(
        _landmarks_everywhere(evidence, body), _feet_seen(evidence), body.mean.numpy()
    )
    low, high = (limit[:POSED_JOINTS].numpy() for limit in joint_ranges())
    pose = np.clip(axis_angles(rotations[:, 1 : 1 + POSED_JOINTS]), low, high)
    unknowns = Unknowns(
        root=torch.from_numpy(rotations[:, 0]),
        pose=_tensor(pose),
        betas=betas,
        place=torch.zeros(len(pose), 2, dtype=torch.float64),
        log_depth=torch.zeros(len(pose), dtype=torch.float64),
    )
    points = posed_points(body, unknowns, derivatives=False).places.numpy()
    place, pixels_per_metre = _place(evidence, points)
    return replace(
        unknowns,
        place=_tensor(place / evidence.body_height_px),
        log_depth=_tensor(np.log(camera.focal_length_px / pixels_per_metre)),
    )


def _trust(name: str) -> float:
    side, _, rest = name.partition("_")
    return _TRUST.get(rest if side in ("left", "right") else name, 1.0)


def _believed(confidence: np.ndarray, least: float) -> np.ndarray:
    return np.where(confidence >= max(least, 1e-6), np.clip(confidence, 0, 1), 0.0)


def _tensor(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, np.float64))


def _body_height_px(
    points: Float[np.ndarray, "frames points 2"], confidence: Float[np.ndarray, "frames points"]
) -> float:
    """The person's typical size in the picture: from the spread of the points about their mean.

    A standing person's 23 points spread 0.3 of the height about their centre.
    """
    weight = (confidence > 0)[:, : len(BODY_POINTS), None]
    body = points[:, : len(BODY_POINTS)]
    seen = weight.sum((1, 2))
    count = np.maximum(seen, 1)
    centre = (body * weight).sum(1) / count[:, None]
    spread = np.sqrt((np.square(body - centre[:, None]) * weight).sum((1, 2)) / count)
    full = seen >= 4
    return float(max(np.median(spread[full]) / 0.3 if full.any() else 1.0, 1.0))


def _landmarks_everywhere(evidence: Evidence, body: BodyPoints) -> Float[np.ndarray, "frames 23 3"]:
    """3D landmarks without gaps: across time, else flat from the picture, else as at rest."""
    seen = evidence.landmark_weights.numpy()
    landmarks = fill_gaps(evidence.landmarks.numpy(), seen)
    rest = body.mean.numpy()[: len(BODY_POINTS)] * [1.0, -1.0, -1.0]  # upright, facing the camera
    metres = 1.7 / evidence.body_height_px
    flat = fill_gaps(evidence.points.numpy(), evidence.point_weights.numpy())
    flat = np.pad(flat[:, : len(BODY_POINTS)] * metres, ((0, 0), (0, 0), (0, 1)))
    flat = flat - np.nanmean(flat[:, _TRUNK], axis=1, keepdims=True)
    flat[..., 2] = rest[:, 2]  # depth as at rest keeps noses before ears
    landmarks = np.where(np.isnan(landmarks), flat, landmarks)
    return np.where(np.isnan(landmarks), rest, landmarks)


def _feet_seen(evidence: Evidence) -> Float[np.ndarray, "frames 2"]:
    """1 where heel and big toe of a foot are among the landmarks, else 0."""
    seen = evidence.landmark_weights.numpy() > 0
    heels = [BODY_POINTS.index(f"{side}_heel") for side in ("left", "right")]
    toes = [BODY_POINTS.index(f"{side}_big_toe") for side in ("left", "right")]
    return (seen[:, heels] & seen[:, toes]).astype(float)


def _place(
    evidence: Evidence, points: Float[np.ndarray, "frames points 3"]
) -> tuple[Float[np.ndarray, "frames 2"], Float[np.ndarray, " frames"]]:
    """Where the root is in the picture, and pixels per metre there: least squares, steadied.

    Per frame the picture is taken as ``scale * points + place`` (weak perspective); frames that
    show too little take their neighbours' scale and place.
    """
    weights = evidence.point_weights.numpy().astype(np.float64)
    image = evidence.points.numpy().astype(np.float64)
    share = weights / np.maximum(weights.sum(1, keepdims=True), 1e-9)
    mean_image = (share[..., None] * image).sum(1)
    mean_body = (share[..., None] * points[..., :2]).sum(1)
    body, picture = points[..., :2] - mean_body[:, None], image - mean_image[:, None]
    along = (share[..., None] * body * picture).sum((1, 2))
    spread = (share[..., None] * body**2).sum((1, 2))
    usual = evidence.body_height_px / 1.7
    scale = along / np.maximum(spread, 1e-9)
    good = ((weights > 0).sum(1) >= 6) & (scale > 0.4 * usual) & (scale < 2.5 * usual)
    scale = _steadied(np.log(np.where(good, scale, usual))[:, None], good, evidence.fps)[:, 0]
    scale = np.exp(scale)
    place = mean_image - scale[:, None] * mean_body
    place = fill_gaps(place[:, None], (weights > 0).sum(1, keepdims=True) >= 2)[:, 0]
    return place, scale


def _steadied(
    values: Float[np.ndarray, "frames d"], good: np.ndarray, fps: float
) -> Float[np.ndarray, "frames d"]:
    """Gaps filled, outliers outvoted over a third of a second, the rest smoothed."""
    if not good.any():
        return values
    filled = fill_gaps(values[:, None], good[:, None].astype(float))[:, 0]
    window = 2 * round(fps / 6) + 1
    return smooth(median_filter(filled, (window, 1), mode="nearest"), fps / 6)

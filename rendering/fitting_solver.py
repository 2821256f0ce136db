"""What the fit of a clip costs, how that changes with every unknown, and its minimum.

Few steps, each an exact solution of a banded system (``fitting_equations``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float64
from torch import Tensor

from dataset.records import BODY_POINTS, Camera
from rendering.body_points import BodyPoints
from rendering.fitting_body import PosedPoints, posed_points
from rendering.fitting_contact import FEET, add_contact, contact_cost
from rendering.fitting_equations import NormalEquations, Sight
from rendering.fitting_outline import Outline
from rendering.fitting_settings import TermSettings
from rendering.fitting_terms import (
    DEPTH,
    FRAME_SIZE,
    PLACE,
    POSE,
    Evidence,
    Unknowns,
    robust_cost,
    robust_weight,
)
from rendering.kinematics import rotation_vectors
from rendering.pose_prior import beyond_limits, habits

_HIPS = [BODY_POINTS.index("left_hip"), BODY_POINTS.index("right_hip")]
_USUAL_HEIGHT_M = 1.7
_SUDDEN = 2.0
"""Accelerations beyond so many deviations cost linearly: kicks and landings are sudden."""

_FAR_RIM = 2.0
"""A rim that misses the outline by more deviations costs linearly: clothes, bags, other people."""

_UNUSUAL = 5.0
"""A pose further than so many deviations (63 components) from every activity costs linearly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One clip to fit: the body, what was seen of it, and what is believed of it.

    ``accelerations`` are those expected of a frame's unknowns (``fitting_terms.accelerations``);
    ``outline`` is what the silhouette says of the shape, where there is one.
    """

    body: BodyPoints
    evidence: Evidence
    camera: Camera
    settings: TermSettings
    accelerations: Float64[Tensor, " unknowns"]
    outline: Outline | None = None

    def root(self, unknowns: Unknowns) -> Float64[Tensor, "frames 3"]:
        """Where the pelvis is in camera space, metres."""
        depth = unknowns.log_depth.exp()[:, None]
        across = unknowns.place * (self.evidence.body_height_px / self.camera.focal_length_px)
        return torch.cat([across * depth, depth], 1)

    def project(self, unknowns: Unknowns) -> Float64[Tensor, "frames points 2"]:
        """The points in the picture, pixels from the principal point."""
        points = posed_points(self.body, unknowns, derivatives=False)
        places = points.places + self.root(unknowns)[:, None]
        return self.camera.focal_length_px * places[..., :2] / places[..., 2:]

    def cost(self, unknowns: Unknowns) -> float:
        """The negative log likelihood of the clip."""
        settings, points = self.settings, posed_points(self.body, unknowns, derivatives=False)
        total = self._shape_precision() * unknowns.betas.square().sum()
        picture, landmarks = self._picture(unknowns, points), self._landmarks(points)
        for sight in (picture, landmarks):
            squares = sight.misses.square().sum(-1)
            cost = robust_cost(squares, settings.outlier_deviations)
            total = total + (sight.weights * cost).sum()
        total = total + settings.contact_weight * contact_cost(self._feet(picture.misses))
        if self.outline is not None:
            missed = self.outline.missed(unknowns.betas).square()
            total = total + (self.outline.weights * robust_cost(missed, _FAR_RIM)).sum()
        beyond, _ = beyond_limits(unknowns.pose)
        total = total + settings.limit_weight * beyond.square().sum()
        total = (
            total
            + settings.habit_weight * robust_cost(habits().surprise(unknowns.pose), _UNUSUAL).sum()
        )
        total = total + robust_cost(_grouped(self._jerks(unknowns)), _SUDDEN).sum()
        return float(total)

    def normal_equations(self, unknowns: Unknowns) -> NormalEquations:
        """The Gauss-Newton model at a point, robust costs as reweighted squares."""
        points = posed_points(self.body, unknowns, derivatives=True)
        frames = len(unknowns.pose)
        band = unknowns.pose.new_zeros(frames, FRAME_SIZE, FRAME_SIZE)
        arrow = unknowns.pose.new_zeros(frames, FRAME_SIZE, 10)
        gradient = unknowns.pose.new_zeros(frames, FRAME_SIZE)
        precision = self._shape_precision()
        shape = precision * torch.eye(10, dtype=torch.float64)
        shape_gradient = precision * unknowns.betas
        picture, landmarks = self._picture(unknowns, points), self._landmarks(points)
        for sight in (picture, landmarks):
            value, frame_part, shape_part = sight.pulled(self.settings.outlier_deviations)
            turned = frame_part.transpose(1, 2)
            band += turned @ frame_part
            arrow += turned @ shape_part
            gradient += (turned @ value)[..., 0]
            shape = shape + (shape_part.transpose(1, 2) @ shape_part).sum(0)
            shape_gradient = shape_gradient + (shape_part.transpose(1, 2) @ value).sum((0, 2))
        if self.outline is not None:
            missed, by_betas = self.outline.missed(unknowns.betas), self.outline.by_betas
            weights = self.outline.weights * robust_weight(missed.square(), _FAR_RIM)
            shape = shape + (by_betas * weights[:, None]).T @ by_betas
            shape_gradient = shape_gradient + by_betas.T @ (weights * missed)
        self._add_prior(unknowns, band, gradient)
        nexts = self._add_steadiness(unknowns, band, gradient)
        if picture.by_frame is not None:
            by_frame = picture.by_frame[:, FEET] * self._contact_scale()
            feet = self._feet(picture.misses)
            add_contact(feet, by_frame, self.settings.contact_weight, (band, nexts[0], gradient))
        return NormalEquations(
            band=band.numpy(),
            next_frame=nexts[0].numpy(),
            frame_after=nexts[1].numpy(),
            arrow=arrow.numpy(),
            shape=shape.numpy(),
            gradient=gradient.numpy(),
            shape_gradient=shape_gradient.numpy(),
        )

    def without_landmarks(self, doubtful: Bool[Tensor, " frames"]) -> Problem:
        """The same clip with the 3D landmarks of some frames left out."""
        weights = self.evidence.landmark_weights * ~doubtful[:, None]
        return replace(self, evidence=replace(self.evidence, landmark_weights=weights))

    def calmed(self, unknowns: Unknowns, least: float) -> Problem:
        """The same clip with each joint expected to accelerate as it does in ``unknowns``.

        A joint that moves calmly is then held steadier (empirical Bayes); never more than expected
        before, nor under ``least`` of it.
        """
        if len(unknowns.pose) < 3:
            return self
        usual = _grouped(self._jerks(unknowns)).mean(0).sqrt().clamp(least, 1.0)
        return replace(self, accelerations=self.accelerations * usual.repeat_interleave(3))

    def _picture(self, unknowns: Unknowns, points: PosedPoints) -> Sight:
        """How far the projected points are from the 2D points."""
        evidence, focal = self.evidence, self.camera.focal_length_px
        root = self.root(unknowns)
        places = points.places + root[:, None]
        depth = places[..., 2:]
        unit = self.settings.point_deviation * evidence.body_height_px
        image = focal * places[..., :2] / depth
        misses = (image - evidence.points) / unit
        if points.by_frame is None or points.by_betas is None:
            return Sight(misses=misses, weights=evidence.point_weights)
        ray = torch.cat([image / focal, torch.ones_like(depth)], -1)
        moved = points.by_frame.clone()
        moved[..., DEPTH] = root[:, None]
        sideways = (root[:, 2] * (evidence.body_height_px / focal))[:, None]
        moved[..., 0, PLACE.start] = sideways
        moved[..., 1, PLACE.start + 1] = sideways
        to_deviations = (focal / depth / unit)[..., None]
        return Sight(
            misses=misses,
            weights=evidence.point_weights,
            by_frame=to_deviations * _across(moved, ray),
            by_betas=to_deviations * _across(points.by_betas, ray),
        )

    def _landmarks(self, points: PosedPoints) -> Sight:
        """How far the body points are from the 3D landmarks, both from the middle of the hips."""
        across, along = self.settings.landmark_deviation_m, self.settings.landmark_depth_deviation_m
        unit = points.places.new_tensor([across, across, along])
        body = points.places[:, : len(BODY_POINTS)]
        misses = (body - body[:, _HIPS].mean(1, keepdim=True) - self.evidence.landmarks) / unit
        weights = self.evidence.landmark_weights
        if points.by_frame is None or points.by_betas is None:
            return Sight(misses=misses, weights=weights)
        return Sight(
            misses=misses,
            weights=weights,
            by_frame=_from_hips(points.by_frame[:, : len(BODY_POINTS)]) / unit[:, None],
            by_betas=_from_hips(points.by_betas[:, : len(BODY_POINTS)]) / unit[:, None],
        )

    def _shape_precision(self) -> float:
        """What is believed of the shape counts once a frame, as a detector errs alike in all."""
        return len(self.evidence.points) / self.settings.betas_deviation**2

    def _add_prior(self, unknowns: Unknowns, band: Tensor, gradient: Tensor) -> None:
        beyond, slopes = beyond_limits(unknowns.pose)
        weight = self.settings.limit_weight
        gradient[:, POSE] += weight * (beyond * slopes).flatten(1)
        band.diagonal(dim1=1, dim2=2)[:, POSE] += weight * slopes.square().flatten(1)
        known = habits()
        activity = known.activity(unknowns.pose)
        precision = known.precisions[activity]
        pull = self.settings.habit_weight * robust_weight(known.surprise(unknowns.pose), _UNUSUAL)
        apart = unknowns.pose.flatten(1) - known.means[activity]
        gradient[:, POSE] += pull[:, None] * (precision @ apart[..., None])[..., 0]
        band[:, POSE, POSE] += pull[:, None, None] * precision

    def _feet(self, misses: Float64[Tensor, "frames points 2"]) -> Float64[Tensor, "frames feet 2"]:
        """Where the feet are in the picture, in steps that are a slip no more."""
        unit = self.settings.point_deviation * self.evidence.body_height_px
        return (misses[:, FEET] + self.evidence.points[:, FEET] / unit) * self._contact_scale()

    def _contact_scale(self) -> float:
        metres = self.settings.point_deviation * _USUAL_HEIGHT_M
        return metres * self.evidence.fps / self.settings.contact_speed

    def _jerks(self, unknowns: Unknowns) -> Float64[Tensor, "inner unknowns"]:
        """Second differences of a frame's unknowns, in units of the expected accelerations."""
        turns = rotation_vectors(unknowns.root[1:] @ unknowns.root[:-1].transpose(1, 2))
        values = torch.cat(
            [unknowns.pose.flatten(1), unknowns.place, unknowns.log_depth[:, None]], 1
        )
        seconds = torch.cat([turns[1:] - turns[:-1], values.diff(n=2, dim=0)], 1)
        return seconds * (self.evidence.fps**2 / self.accelerations)

    def _add_steadiness(
        self, unknowns: Unknowns, band: Tensor, gradient: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Adds the accelerations; returns the couplings to the next frame and the one after."""
        nexts = torch.zeros_like(band), torch.zeros_like(gradient)
        if len(gradient) < 3:
            return nexts
        jerks = self._jerks(unknowns)
        weights = robust_weight(_grouped(jerks), _SUDDEN).repeat_interleave(3, 1)
        rate = self.evidence.fps**2 / self.accelerations
        pulls, stiff = weights * jerks * rate, weights * rate**2
        diagonal = band.diagonal(dim1=1, dim2=2)
        inner = len(jerks)
        for shift, factor in ((0, 1.0), (1, -2.0), (2, 1.0)):
            gradient[shift : shift + inner] += factor * pulls
            diagonal[shift : shift + inner] += factor**2 * stiff
        beside = nexts[0].diagonal(dim1=1, dim2=2)
        beside[:inner] += -2.0 * stiff
        beside[1 : 1 + inner] += -2.0 * stiff
        nexts[1][:inner] += stiff
        return nexts


def minimise(problem: Problem, unknowns: Unknowns, steps: int, tolerance: float) -> Unknowns:
    """Levenberg-Marquardt until a step gains less than ``tolerance`` of the cost.

    Raises nothing: a step that does not help is damped more, and when none helps it is over.
    """
    cost, damping = problem.cost(unknowns), 1.0
    for _ in range(steps):
        model = problem.normal_equations(unknowns)
        for _ in range(8):
            tried = unknowns.moved(*model.step(damping))
            tried_cost = problem.cost(tried)
            if tried_cost < cost:
                break
            damping *= 10.0
        else:
            return unknowns
        gain, cost, unknowns = cost - tried_cost, tried_cost, tried
        damping = max(damping * 0.2, 1e-3)
        if gain < tolerance * cost:
            break
    return unknowns


def _across(by: Tensor, ray: Tensor) -> Tensor:
    """What a move in space is across the line of sight, by the quotient rule."""
    return by[..., :2, :] - ray[..., :2, None] * by[..., 2:, :]


def _from_hips(by: Tensor) -> Tensor:
    return by - by[:, _HIPS].mean(1, keepdim=True)


def _grouped(jerks: Float64[Tensor, "inner unknowns"]) -> Float64[Tensor, "inner groups"]:
    """Squared lengths by root, joint and (last) place; the distance counts with the place."""
    return jerks.unflatten(1, (-1, 3)).square().sum(-1)

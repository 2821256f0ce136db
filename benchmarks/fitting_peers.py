"""The two usual ways to fit SMPL to points, timed against ours: same clip, thread and evidence.

- Frame by frame through ``smplx`` with L-BFGS and a strong Wolfe search (as SMPLify does), on every
  n-th frame; its time is that of all frames in proportion.
- All frames at once through ``smplx`` with Adam, one shape, accelerations held down.

Both start where our fit starts (the closed-form pose, placed by least squares), minimise the same
kinds of terms with the same deviations, and are stopped as soon as their joint error comes within
5 % of ours, looked at from outside for free; otherwise when they have converged, or after ``LIMIT``
steps. So what is compared is the time to equal error, or to a worse one that is printed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from benchmarks.motions import Noise, make_motion, observe
from dataset.records import BODY_POINTS, SMPL_JOINTS, BodyTrack
from rendering.body_model import BodyModel
from rendering.body_points import POINT_NAMES, find_points
from rendering.fitting import KeypointFitter
from rendering.fitting_settings import FitSettings
from rendering.fitting_start import make_evidence, start
from rendering.fitting_terms import Evidence, accelerations, robust_cost
from rendering.kinematics import rotation_matrices
from rendering.pose_prior import beyond_limits, habits

FPS = 30.0
LIMIT = 400
LBFGS_FRAMES = 6
_EQUAL = 1.05
_HIPS = [BODY_POINTS.index(f"{side}_hip") for side in ("left", "right")]
_BESIDE = {"shoulder": ("hip", 0.05), "knee": ("hip", 0.05), "ankle": ("knee", -0.04)}


@dataclass(slots=True, kw_only=True)
class Guess:
    """The parameters that a peer moves, each a leaf of the graph."""

    turn: Tensor  # frames, 3: of the starting root rotation
    root: Tensor  # frames, 3, 3: that rotation
    pose: Tensor  # frames, 21, 3
    betas: Tensor  # 10
    place: Tensor  # frames, 2: the root in body heights from the principal point
    log_depth: Tensor  # frames

    def leaves(self) -> list[Tensor]:
        return [self.turn, self.pose, self.betas, self.place, self.log_depth]


class FullModel:
    """The body through ``smplx``, every vertex skinned, and the detector's points on it."""

    def __init__(self, body: BodyModel, evidence: Evidence, focal_length_px: float) -> None:
        self._smpl = body._smpl  # the layer as BodyModel configures it
        self.evidence, self.focal_length_px = evidence, focal_length_px
        rest = torch.from_numpy(body.rest["v_template"]).float()
        places = find_points(body).mean.float()
        apart = torch.cdist(places, rest, compute_mode="donot_use_mm_for_euclid_dist")
        self._vertex: dict[str, int] = {
            name: int(apart[index].argmin())
            for index, name in enumerate(POINT_NAMES)
            if apart[index].min() < 1e-5
        }

    def joints(self, guess: Guess) -> Tensor:
        """The 24 joints from the root, camera axes."""
        posed = self._posed(guess)
        return posed.joints[:, : len(SMPL_JOINTS)] - posed.joints[:, :1]

    def cost(self, guess: Guess, weights: FitSettings) -> Tensor:
        """The terms of our fit, in the form a gradient method takes them."""
        terms, evidence = weights.terms, self.evidence
        points = self._points(self._posed(guess))
        depth = guess.log_depth.exp()[:, None]
        across = guess.place * (evidence.body_height_px / self.focal_length_px) * depth
        placed = points + torch.cat([across, depth], 1)[:, None]
        image = self.focal_length_px * placed[..., :2] / placed[..., 2:]
        unit = terms.point_deviation * evidence.body_height_px
        misses = ((image - evidence.points) / unit).square().sum(-1)
        total = (evidence.point_weights * robust_cost(misses, terms.outlier_deviations)).sum()
        body = points[:, : len(BODY_POINTS)]
        deviations = torch.tensor(
            [terms.landmark_deviation_m] * 2 + [terms.landmark_depth_deviation_m]
        )
        misses = (body - body[:, _HIPS].mean(1, keepdim=True) - evidence.landmarks) / deviations
        cost = robust_cost(misses.square().sum(-1), terms.outlier_deviations)
        total = total + (evidence.landmark_weights * cost).sum()
        beyond, _ = beyond_limits(guess.pose)
        unusual = terms.limit_weight * beyond.square().sum()
        surprise = habits().surprise(guess.pose.double())
        unusual = unusual + terms.habit_weight * surprise.sum().float()
        shape = len(guess.pose) * guess.betas.square().sum() / terms.betas_deviation**2
        return total + unusual + shape + self._unsteadiness(guess, weights)

    def _unsteadiness(self, guess: Guess, weights: FitSettings) -> Tensor:
        values = torch.cat(
            [guess.turn, guess.pose.flatten(1), guess.place, guess.log_depth[:, None]], 1
        )
        if len(values) < 3:
            return values.new_zeros(())
        rate = FPS**2 / accelerations(weights.terms).float()
        return (values.diff(n=2, dim=0) * rate).square().sum()

    def _posed(self, guess: Guess):  # smplx's own record
        frames = len(guess.pose)
        pose = torch.cat([guess.pose, guess.pose.new_zeros(frames, 2, 3)], 1)
        return self._smpl(
            betas=guess.betas.expand(frames, -1),
            global_orient=(rotation_matrices(guess.turn) @ guess.root)[:, None],
            body_pose=rotation_matrices(pose),
            transl=guess.turn.new_zeros(frames, 3),
            pose2rot=False,
        )

    def _points(self, posed) -> Tensor:
        """Where each of ``POINT_NAMES`` is, from the root."""
        at: dict[str, Tensor] = dict(zip(SMPL_JOINTS, posed.joints.unbind(1), strict=False))
        places = []
        for name in POINT_NAMES:
            side, _, part = name.partition("_")
            if name in self._vertex:
                places.append(posed.vertices[:, self._vertex[name]])
            elif part in _BESIDE:
                origin, share = _BESIDE[part]
                places.append(at[name] + share * (at[name] - at[f"{side}_{origin}"]))
            else:
                places.append(at[name])
        return torch.stack(places, 1) - posed.joints[:, :1]


def compare(frames: int) -> dict[str, float]:
    """Seconds and joint errors (mm) of ours and both peers on one dancer, and the ratios."""
    body, settings = BodyModel.load(), FitSettings()
    truth = make_motion("dance", frames, 0)
    keypoints = observe(truth, body, Noise(), 0)
    fitter = KeypointFitter(body, settings)
    begun = time.perf_counter()
    fitted = fitter.fit(keypoints, truth.camera, FPS)
    ours = time.perf_counter() - begun
    true_joints = torch.from_numpy(body.joints(truth))
    true_joints = true_joints - true_joints[:, :1]
    error = joint_error(torch.from_numpy(_rooted(body, fitted)), true_joints)
    evidence = make_evidence(keypoints, truth.camera, FPS, settings.min_confidence)
    first = start(evidence, find_points(body).double(), truth.camera)

    def peer(how: Callable[..., float], chosen: list[int]) -> tuple[float, float]:
        """Seconds for all frames in proportion, and the error, of a peer on these frames."""
        picked = _of_frames(evidence, chosen)
        model = FullModel(body, picked, truth.camera.focal_length_px)
        guess = Guess(
            turn=torch.zeros(len(chosen), 3),
            root=first.root[chosen].float(),
            pose=first.pose[chosen].float(),
            betas=first.betas.float(),
            place=first.place[chosen].float(),
            log_depth=first.log_depth[chosen].float(),
        )
        seconds = how(model, guess, settings, true_joints[chosen], error * _EQUAL)
        with torch.no_grad():
            return seconds, joint_error(model.joints(guess), true_joints[chosen])

    batched, batched_error = peer(by_adam, list(range(frames)))
    some = np.linspace(0, frames - 1, LBFGS_FRAMES).astype(int).tolist()
    singles = [peer(by_lbfgs, [frame]) for frame in some]
    single = float(np.mean([seconds for seconds, _ in singles])) * frames
    return {
        "frames": frames,
        "ours_seconds": ours,
        "ours_mpjpe": error,
        "adam_seconds": batched,
        "adam_mpjpe": batched_error,
        "lbfgs_seconds": single,
        "lbfgs_mpjpe": float(np.mean([value for _, value in singles])),
        "adam_ratio": batched / ours,
        "lbfgs_ratio": single / ours,
    }


def by_adam(
    model: FullModel, guess: Guess, settings: FitSettings, true_joints: Tensor, enough: float
) -> float:
    """Seconds until the error is small enough or ``LIMIT`` steps are over; moves ``guess``."""
    for leaf in guess.leaves():
        leaf.requires_grad_()
    optimizer = torch.optim.Adam(guess.leaves(), lr=0.02)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, LIMIT)
    spent = 0.0
    for step in range(LIMIT):
        begun = time.perf_counter()
        optimizer.zero_grad()
        model.cost(guess, settings).backward()
        optimizer.step()
        schedule.step()
        spent += time.perf_counter() - begun
        if step % 10 == 9 and _reached(model, guess, true_joints, enough):
            break
    return spent


def by_lbfgs(
    model: FullModel, guess: Guess, settings: FitSettings, true_joints: Tensor, enough: float
) -> float:
    """The same with L-BFGS, which also ends where it has converged."""
    for leaf in guess.leaves():
        leaf.requires_grad_()
    optimizer = torch.optim.LBFGS(
        guess.leaves(), lr=1.0, max_iter=10, history_size=20, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        cost = model.cost(guess, settings)
        cost.backward()
        return cost

    spent, before = 0.0, float("inf")
    for _ in range(LIMIT // 10):
        begun = time.perf_counter()
        cost = float(optimizer.step(closure).detach())
        spent += time.perf_counter() - begun
        if _reached(model, guess, true_joints, enough) or before - cost < 1e-4 * abs(cost):
            break
        before = cost
    return spent


def joint_error(joints: Tensor, true_joints: Tensor) -> float:
    """Millimetres over the 22 joints that SMPL poses, roots put together."""
    return float(1000 * (joints - true_joints)[:, :22].norm(dim=-1).mean())


@torch.no_grad()
def _reached(model: FullModel, guess: Guess, true_joints: Tensor, enough: float) -> bool:
    return joint_error(model.joints(guess), true_joints) <= enough


def _rooted(body: BodyModel, track: BodyTrack) -> np.ndarray:
    joints = body.joints(track)
    return joints - joints[:, :1]


def _of_frames(evidence: Evidence, frames: list[int]) -> Evidence:
    return Evidence(
        points=evidence.points[frames].float(),
        point_weights=evidence.point_weights[frames].float(),
        landmarks=evidence.landmarks[frames].float(),
        landmark_weights=evidence.landmark_weights[frames].float(),
        body_height_px=evidence.body_height_px,
        fps=evidence.fps,
    )

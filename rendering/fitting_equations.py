"""Evidence as least squares, and one step over a whole clip: an exact, banded solution.

A frame's unknowns meet only their own evidence and, through accelerations, those of the next two
frames; the shape meets all frames. So the normal equations are a band with an arrow: the band is
factorised (linear in the length of the clip), the ten shape numbers come from its Schur complement.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64
from scipy.linalg import solveh_banded
from torch import Tensor

from rendering.fitting_terms import robust_weight


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """One kind of evidence: misses in deviations, weights, and derivatives where wanted."""

    misses: Float64[Tensor, "frames points d"]
    weights: Float64[Tensor, "frames points"]
    by_frame: Float64[Tensor, "frames points d unknowns"] | None = None
    by_betas: Float64[Tensor, "frames points d 10"] | None = None

    def pulled(self, deviations: float) -> tuple[Tensor, Tensor, Tensor]:
        """Misses and derivatives as rows of a least-squares problem, outliers held back."""
        if self.by_frame is None or self.by_betas is None:
            raise ValueError("expected points posed with derivatives")
        squares = self.misses.square().sum(-1)
        pull = (self.weights * robust_weight(squares, deviations)).sqrt()[..., None]
        return (
            (self.misses * pull).flatten(1)[..., None],
            (self.by_frame * pull[..., None]).flatten(1, 2),
            (self.by_betas * pull[..., None]).flatten(1, 2),
        )


@dataclass(slots=True, kw_only=True)
class NormalEquations:
    """The quadratic model of the cost about a point; gradients are halved, as squares' are.

    ``band`` couples a frame's unknowns with each other, ``next_frame`` those of the frame after
    (rows) with its own (columns), ``frame_after`` each unknown with itself two frames on, and
    ``arrow`` with the shape.
    """

    band: Float64[np.ndarray, "frames unknowns unknowns"]
    next_frame: Float64[np.ndarray, "frames unknowns unknowns"]
    frame_after: Float64[np.ndarray, "frames unknowns"]
    arrow: Float64[np.ndarray, "frames unknowns 10"]
    shape: Float64[np.ndarray, "10 10"]
    gradient: Float64[np.ndarray, "frames unknowns"]
    shape_gradient: Float64[np.ndarray, " 10"]

    def step(self, damping: float) -> tuple[Float64[Tensor, "frames unknowns"], Tensor]:
        """The step to the model's minimum, shortened by Levenberg's damping."""
        frames, size = self.gradient.shape
        lower = self._lower_band(damping)
        right = np.concatenate([self.gradient[..., None], self.arrow], -1).reshape(-1, 11)
        solved = solveh_banded(lower, right, lower=True, overwrite_ab=True, check_finite=False)
        arrow = self.arrow.reshape(-1, 10)
        schur = self.shape + damping * np.eye(10) - arrow.T @ solved[:, 1:]
        shape_step = -np.linalg.solve(schur, self.shape_gradient - arrow.T @ solved[:, 0])
        frame_step = -(solved[:, 0] + solved[:, 1:] @ shape_step)
        return (
            torch.from_numpy(frame_step.reshape(frames, size)),
            torch.from_numpy(shape_step),
        )

    def _lower_band(self, damping: float) -> Float64[np.ndarray, "diagonals all_unknowns"]:
        """The matrix below its diagonal, one row a diagonal, as LAPACK stores bands."""
        frames, size = self.gradient.shape
        lower = np.zeros((2 * size + 1 if frames > 1 else size, frames * size))
        damped = self.band + damping * np.eye(size)
        for offset in range(size):
            row = lower[offset].reshape(frames, size)
            row[:, : size - offset] = np.diagonal(damped, -offset, axis1=1, axis2=2)
        if frames > 1:
            for offset in range(1 - size, size):
                row, first = lower[size + offset].reshape(frames, size), max(0, -offset)
                diagonal = np.diagonal(self.next_frame, -offset, axis1=1, axis2=2)
                row[:, first : first + size - abs(offset)] = diagonal
            lower[2 * size] = self.frame_after.reshape(-1)
        return lower

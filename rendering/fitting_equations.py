"""One Gauss-Newton step over a whole clip: an exact solution of a banded system.

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


@dataclass(slots=True, kw_only=True)
class NormalEquations:
    """The quadratic model of the cost about a point; gradients are halved, as squares' are."""

    band: Float64[np.ndarray, "frames unknowns unknowns"]
    next_frame: Float64[np.ndarray, "frames unknowns"]
    frame_after: Float64[np.ndarray, "frames unknowns"]
    arrow: Float64[np.ndarray, "frames unknowns 10"]
    shape: Float64[np.ndarray, "10 10"]
    gradient: Float64[np.ndarray, "frames unknowns"]
    shape_gradient: Float64[np.ndarray, " 10"]

    def step(self, damping: float) -> tuple[Float64[Tensor, "frames unknowns"], Tensor]:
        """The step to the model's minimum, shortened by Levenberg's damping."""
        frames, size = self.gradient.shape
        lower = np.zeros((2 * size + 1 if frames > 1 else size, frames * size))
        damped = self.band + damping * np.eye(size)
        for offset in range(size):
            diagonal = np.diagonal(damped, -offset, axis1=1, axis2=2)
            lower[offset].reshape(frames, size)[:, : size - offset] = diagonal
        if frames > 1:
            lower[size] = self.next_frame.reshape(-1)
            lower[2 * size] = self.frame_after.reshape(-1)
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

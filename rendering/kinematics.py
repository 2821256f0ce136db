"""Rotations and the skeleton's forward kinematics in torch, all frames at once."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from scipy.spatial.transform import Rotation
from torch import Tensor

from dataset.records import SMPL_PARENTS


def rotation_matrices(axis_angles: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """Rodrigues' formula, smooth at zero so that it can be differentiated there."""
    angle = (axis_angles.square().sum(-1, keepdim=True) + 1e-12).sqrt()
    half = 0.5 * angle
    sine = (torch.sin(angle) / angle)[..., None]
    versine = (0.5 * (torch.sin(half) / half).square())[..., None]
    skew = cross_matrices(axis_angles)
    return torch.eye(3).to(skew) + sine * skew + versine * (skew @ skew)


def cross_matrices(vectors: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """The matrices that do what a cross product with the vectors does."""
    x, y, z = vectors.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).unflatten(-1, (3, 3))


def left_jacobian(axis_angles: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """How a rotation turns when its vector changes: ``exp(v + dv) = exp(J dv) exp(v)``.

    Source: Sola, Deray, Atchuthan 2018, equation 145.
    """
    square = axis_angles.square().sum(-1)[..., None, None] + 1e-12
    angle = square.sqrt()
    first = 0.5 * (torch.sin(0.5 * angle) / (0.5 * angle)).square()
    series = 1 / 6 - square / 120
    second = torch.where(angle < 0.05, series, (angle - torch.sin(angle)) / (angle * square))
    skew = cross_matrices(axis_angles)
    return torch.eye(3).to(skew) + first * skew + second * (skew @ skew)


def rotation_vectors(rotations: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 3"]:
    """Axis-angles of rotations well under a half turn, as between neighbouring frames."""
    lower = torch.stack(
        [
            rotations[..., 2, 1] - rotations[..., 1, 2],
            rotations[..., 0, 2] - rotations[..., 2, 0],
            rotations[..., 1, 0] - rotations[..., 0, 1],
        ],
        -1,
    )
    sine = 0.5 * lower.norm(dim=-1, keepdim=True)
    cosine = 0.5 * (rotations.diagonal(dim1=-2, dim2=-1).sum(-1, keepdim=True) - 1)
    angle = torch.atan2(sine, cosine)
    return 0.5 * lower * torch.where(sine > 1e-6, angle / sine.clamp(min=1e-6), 1.0)


def axis_angles(rotations: Float[np.ndarray, "*batch 3 3"]) -> Float[np.ndarray, "*batch 3"]:
    """The rotation vectors (angle at most pi) of rotation matrices; not for gradients."""
    flat = np.asarray(rotations, np.float64).reshape(-1, 3, 3)
    vectors = Rotation.from_matrix(flat).as_rotvec() if len(flat) else np.zeros((0, 3))
    return vectors.reshape(*rotations.shape[:-2], 3).astype(np.float32)


def forward_kinematics(
    rotations: Float[Tensor, "frames 24 3 3"], rest_joints: Float[Tensor, "24 3"]
) -> tuple[Float[Tensor, "frames 24 3"], Float[Tensor, "frames 24 3 3"]]:
    """Where the joints are, and the world rotation of each.

    ``rotations`` are relative to the parent, the root's to the camera; ``rest_joints`` are the
    T-pose's. The root stays where it rests: the translation is the caller's to add. Computed level
    by level of the tree, nine products for all frames.
    """
    frames = len(rotations)
    world = [rotations[:, :1]]
    places = [rest_joints[:1].expand(frames, -1, -1)]
    for children, parents, slots in _LEVELS:
        bones = rest_joints[children] - rest_joints[parents]
        parent_world = world[-1][:, slots]
        places.append(places[-1][:, slots] + (parent_world @ bones[..., None])[..., 0])
        world.append(parent_world @ rotations[:, children])
    return torch.cat(places, 1)[:, _INVERSE], torch.cat(world, 1)[:, _INVERSE]


def _tree_levels() -> list[tuple[list[int], list[int], list[int]]]:
    """Per depth of the tree: its joints, their parents, and where these stand one level up."""
    levels, above = [], [0]
    while children := [joint for joint, parent in enumerate(SMPL_PARENTS) if parent in above]:
        parents = [SMPL_PARENTS[joint] for joint in children]
        levels.append((children, parents, [above.index(parent) for parent in parents]))
        above = children
    return levels


_LEVELS = _tree_levels()
_INVERSE = np.argsort([0, *(joint for children, _, _ in _LEVELS for joint in children)]).tolist()
"""Where each joint stands when the levels are laid end to end."""

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
    x, y, z = axis_angles.unbind(-1)
    zero = torch.zeros_like(x)
    skew = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).unflatten(-1, (3, 3))
    return torch.eye(3, dtype=skew.dtype) + sine * skew + versine * (skew @ skew)


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

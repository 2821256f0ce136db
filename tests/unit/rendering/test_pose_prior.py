"""What the pose prior believes."""

from __future__ import annotations

import numpy as np
import torch
from scipy.stats import multivariate_normal

from rendering.pose_library import make_poses
from rendering.pose_prior import beyond_limits, habits, joint_ranges, usual_pose

USUAL = usual_pose()[:21].double().numpy()


def test_every_activity_knows_its_own_poses() -> None:
    """Most new poses of an activity are likeliest under it, or under one it overlaps with."""
    known = habits()
    right = []
    for number, (name, poses) in enumerate(make_poses(USUAL, 400, seed=1).items()):
        found = known.activity(torch.from_numpy(poses))
        right.append(float((found == number).double().mean()))
        assert known.names[number] == name
    assert np.mean(right) > 0.7
    assert min(right) > 0.4


def test_surprise_is_the_mixtures() -> None:
    """-2 log density of the best component, up to one constant, by scipy's own formula."""
    known = habits()
    poses = torch.from_numpy(make_poses(USUAL, 20, seed=2)["stride"])
    logs = np.stack(
        [
            multivariate_normal(mean.numpy(), np.linalg.inv(precision.numpy())).logpdf(
                poses.flatten(1).numpy()
            )
            for mean, precision in zip(known.means, known.precisions, strict=True)
        ]
    )
    apart = known.surprise(poses).numpy() + 2 * logs.max(0)
    np.testing.assert_allclose(apart, apart[0], rtol=0, atol=1e-6)


def test_legs_that_stride_are_likelier_than_legs_that_hop_apart() -> None:
    """Hips against each other with arms against them; the same angles in step are stranger."""
    known = habits()
    pose = torch.from_numpy(USUAL).clone()[None]
    stride, hop = pose.clone(), pose.clone()
    stride[0, 0, 0], stride[0, 1, 0] = -0.7, 0.4
    hop[0, 0, 0], hop[0, 1, 0] = 0.4, 0.4
    assert known.surprise(stride) < known.surprise(hop)


def test_no_pose_within_the_limits_is_forbidden() -> None:
    """Joints anywhere in their ranges are surprising by a bounded amount: the wide component."""
    low, high = (limit[:21].double() for limit in joint_ranges())
    random = torch.Generator().manual_seed(0)
    share = torch.rand(200, 21, 3, generator=random, dtype=torch.float64)
    poses = low + share * (high - low)
    known = habits()
    bound = float(known.offsets[-1]) + 63 * 20  # the widest range is 4.5 deviations
    assert float(known.surprise(poses).max()) < bound
    beyond, slopes = beyond_limits(poses)
    assert beyond.abs().max() == 0
    assert slopes.abs().max() == 0
    outside, _ = beyond_limits(high[None] + 0.2)
    np.testing.assert_allclose(outside, 2.0, rtol=1e-6)

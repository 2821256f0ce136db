"""Limbs that a detector took for each other are put back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.motions import PERFECT, Noise, make_motion, observe
from curation.people.crossings import uncross_limbs
from dataset.records import BODY_POINTS, Keypoints
from rendering.body_model import BodyModel

BODY = BodyModel.load()
TRUTH = {name: make_motion(name, 60, seed=1) for name in ("walk", "cross", "turn")}
NOISE = replace(PERFECT, pixels=2.0, landmark_m=0.025)


def _pair(*names: str) -> np.ndarray:
    """For each of the 23 body points, its place with these limbs exchanged."""
    order = np.arange(len(BODY_POINTS))
    for name in names:
        left, right = (BODY_POINTS.index(f"{side}_{name}") for side in ("left", "right"))
        order[[left, right]] = right, left
    return order


LEGS = _pair("knee", "ankle", "heel", "big_toe", "small_toe")
ARMS = _pair("elbow", "wrist")


def _confused(keypoints: Keypoints, frames: list[int], order: np.ndarray) -> Keypoints:
    points, body_3d = keypoints.points.copy(), keypoints.body_3d.copy()
    points[frames, : len(order)] = points[frames][:, order]
    body_3d[frames] = body_3d[frames][:, order]
    return replace(keypoints, points=points, body_3d=body_3d)


@pytest.mark.parametrize("order", [LEGS, ARMS], ids=["legs", "arms"])
@given(start=st.integers(0, 50), length=st.integers(1, 12), name=st.sampled_from(sorted(TRUTH)))
@settings(max_examples=20, deadline=None)
def test_exchanged_limbs_come_back(order, start, length, name):
    """Whenever a pair is exchanged for a while, at the beginning or the end too, it comes back."""
    truth = observe(TRUTH[name], BODY, NOISE, seed=2)
    frames = list(range(start, min(start + length, 60)))
    found = uncross_limbs(_confused(truth, frames, order))
    assert np.array_equal(found.points[:, :23], truth.points[:, :23])
    assert np.array_equal(found.body_3d, truth.body_3d)


@pytest.mark.parametrize("name", ["walk", "cross", "turn", "squat", "dance"])
def test_what_is_right_is_left_alone(name):
    """Noise, outliers and missing points are no reason to exchange anything."""
    truth = make_motion(name, 100, seed=3)
    keypoints = observe(truth, BODY, replace(Noise(), swap_pixels=0.0), seed=3)
    assert np.array_equal(uncross_limbs(keypoints).points, keypoints.points)


def test_little_to_go_by_changes_nothing():
    """One or two frames, or nobody in them."""
    truth = observe(make_motion("walk", 2, 0), BODY, PERFECT, 0)
    assert np.array_equal(uncross_limbs(truth).points, truth.points)
    nobody = Keypoints(
        points=np.zeros((9, 133, 3), np.float32), body_3d=np.zeros((9, 23, 4), np.float32)
    )
    assert np.array_equal(uncross_limbs(nobody).points, nobody.points)

"""Left and right, where a detector has confused them, are put back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from curation.people.sides import _EXCHANGED, straighten_sides
from dataset.records import BODY_POINTS, Keypoints


def _person(frames: int, turn: float = 0.0) -> Keypoints:
    """Somebody who waves, and turns about by ``turn`` radians a frame."""
    rng = np.random.default_rng(0)
    rest = rng.uniform(0, 60, (133, 3))
    for index, name in enumerate(BODY_POINTS):
        side = {"left": 40, "right": -40}.get(name.partition("_")[0], 0)
        rest[index] = (side, 15 * index, 0)
    points = np.zeros((frames, 133, 3), np.float32)
    for frame in range(frames):
        angle = turn * frame
        points[frame, :, 0] = 300 + rest[:, 0] * np.cos(angle)
        points[frame, :, 1] = rest[:, 1] + 3 * np.sin(frame / 3 + np.arange(133))
    points[..., 2] = 0.9
    body = np.concatenate([rng.normal(size=(frames, 23, 3)), np.ones((frames, 23, 1))], -1)
    return Keypoints(points=points, body_3d=body.astype(np.float32))


def _confuse(keypoints: Keypoints, frames: list[int]) -> Keypoints:
    points = keypoints.points.copy()
    points[frames] = points[frames][:, _EXCHANGED]
    return replace(keypoints, points=points)


@given(st.sets(st.integers(1, 19), max_size=9))
def test_confused_frames_are_put_back(frames):
    """Whichever minority of frames is confused, the points come back, and the landmarks there do
    not count."""
    truth = _person(20)
    found = straighten_sides(_confuse(truth, sorted(frames)))
    assert np.array_equal(found.points, truth.points)
    doubted = np.flatnonzero((found.body_3d[..., 3] == 0).all(1))
    assert doubted.tolist() == sorted(frames)


def test_a_wrong_first_frame_does_not_turn_the_others():
    """Most frames are right: the first one is the one that changes."""
    truth = _person(20)
    assert np.array_equal(straighten_sides(_confuse(truth, [0])).points, truth.points)


@given(st.floats(-0.15, 0.15))
def test_somebody_who_turns_around_is_left_alone(turn):
    """A real turn passes through the side view and changes sides there: nothing is exchanged."""
    truth = _person(40, turn)
    assert np.array_equal(straighten_sides(truth).points, truth.points)


def test_frames_without_the_person_are_bridged():
    """Nothing seen for some frames: what comes after is compared with what was before."""
    truth = _person(20)
    points = truth.points.copy()
    points[8:11, :, 2] = 0
    blind = replace(truth, points=points)
    found = straighten_sides(_confuse(blind, [12]))
    assert np.array_equal(found.points, blind.points)

"""A body that leaps from frame to frame is told from one that moves."""

from __future__ import annotations

import numpy as np
import pytest

from curation.people.pose import Pose, pose_leap
from curation.people.regions import Region


def _pose(landmarks: np.ndarray) -> Pose:
    region = Region(x=100.0, y=100.0, size_px=200.0)
    return Pose(
        region=region,
        presence=1.0,
        landmarks=landmarks.astype(np.float32),
        world=np.zeros((33, 3), np.float32),
        next_region=region,
        silhouette=np.zeros((256, 256), np.float32),
    )


@pytest.fixture
def standing() -> np.ndarray:
    """Landmarks with shoulders and hips 40 pixels wide about x = 100."""
    points = np.full((33, 3), 100.0)
    points[[11, 23], 0], points[[12, 24], 0] = 120.0, 80.0
    return points


def test_walking_two_hundredths_is_two_hundredths(standing: np.ndarray) -> None:
    """A body that moves as one by 4 of 200 pixels has leapt 0.02."""
    moved = standing + np.array([4.0, 0.0, 0.0])
    assert pose_leap(_pose(standing), _pose(moved)) == pytest.approx(0.02)


def test_front_taken_for_back_is_a_leap(standing: np.ndarray) -> None:
    """Shoulders and hips changing sides are far above what motion gives."""
    turned = standing.copy()
    turned[:, 0] = 200.0 - turned[:, 0]
    assert pose_leap(_pose(standing), _pose(turned)) == pytest.approx(0.1)


def test_one_fast_hand_is_no_leap(standing: np.ndarray) -> None:
    """A wrist that flies 40 of 200 pixels alone stays calm."""
    waving = standing.copy()
    waving[15, 1] -= 40.0
    assert pose_leap(_pose(standing), _pose(waving)) < 0.03

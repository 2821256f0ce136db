"""Photos under a moving camera: what moves there is the camera, also where a person fills them."""

from __future__ import annotations

import cv2
import numpy as np
from skimage import data

from benchmarks.curation_edits import panned
from curation.scores.camera import camera_speed, follow
from curation.scores.stillness import picture_change, picture_motion

_SIZE = (320, 240)


def _zoomed(parts: list[float]) -> list[np.ndarray]:
    """A woman before a flag and a model: her portrait, of which so much is in view."""
    picture = np.ascontiguousarray(data.astronaut())
    path = np.array([[0.45, 0.4, part] for part in parts])
    return [cv2.cvtColor(one, cv2.COLOR_RGB2GRAY) for one in panned(picture, _SIZE, path)]


def test_a_zoom_over_a_portrait_is_the_cameras() -> None:
    """With nearly every point on the person, the camera still has the zoom's speed."""
    before, after = _zoomed([0.9, 0.873])
    person = np.array([20, 10, 310, 239], np.float32)
    motion = follow(before, after, [person], seconds=0.1)
    assert abs(np.linalg.det(motion.camera[:, :2]) ** 0.5 - 0.9 / 0.873) < 0.003
    assert camera_speed(motion, _SIZE) > 0.05
    assert picture_change(before, after, motion) < 0.03


def test_what_a_camera_leaves_over_is_no_motion() -> None:
    """Leftovers in proportion to the camera's speed count as 0; a moving person counts."""
    assert picture_motion([0.012, 0.014], camera_motion=0.04) == 0.0
    assert picture_motion([0.2, 0.3], camera_motion=0.02) == 0.24
    assert picture_motion([0.007], camera_motion=0.0) == 0.007
    assert picture_motion([], camera_motion=1.0) == 0.0

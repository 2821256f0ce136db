"""The default detector on real footage: who is there, where their points lie, on which side."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from curation.people.anchors import box_overlap
from curation.people.layout import FACE_FROM_MESH, body_from_pose
from curation.people.mediapipe import MediaPipeDetector
from curation.people.settings import PeopleSettings
from dataset.records import BODY_POINTS, FACE_POINTS, Keypoints
from tests.unit.curation.sample_media import detector, frames_of, media, sample

_LEFT_HIP, _RIGHT_HIP = BODY_POINTS.index("left_hip"), BODY_POINTS.index("right_hip")
_NOSE, _LEFT_ANKLE = BODY_POINTS.index("nose"), BODY_POINTS.index("left_ankle")


def _read(frames: list[np.ndarray], found: MediaPipeDetector) -> Keypoints:
    box = found.find_people(frames[0])[0].box
    return found.keypoints(frames, np.tile(box, (len(frames), 1)))


@pytest.fixture(scope="module")
def from_behind() -> tuple[list[np.ndarray], Keypoints]:
    """A man on a treadmill, seen from behind, alone."""
    frames = frames_of(sample("video/treadmill_cam03"), fps=10, count=6)
    return frames, _read(frames, detector())


def test_one_man_from_behind_is_one_person(
    from_behind: tuple[list[np.ndarray], Keypoints],
) -> None:
    """He is found once, with a box that is upright and in the frame."""
    (person,) = detector().find_people(from_behind[0][0])
    x0, y0, x1, y1 = person.box
    assert 0 <= x0 < x1 <= 544
    assert 0 <= y0 < y1 <= 960
    assert y1 - y0 > x1 - x0


def test_points_are_complete_and_lie_on_the_mask(
    from_behind: tuple[list[np.ndarray], Keypoints],
) -> None:
    """All 133 points are there; confident body points lie on the person's mask or at its edge."""
    frames, found = from_behind
    assert found.points.shape == (6, 133, 3)
    assert found.person_mask is not None
    assert found.person_mask.shape == (6, 960, 544)
    assert set(np.unique(found.person_mask)) == {0, 255}
    shown = 0.03 < (found.person_mask > 0).mean() < 0.3
    assert shown
    inside = []
    for points, mask in zip(found.points[:, 5:17], found.person_mask, strict=True):
        for x, y, confidence in points:
            if confidence > 0.8:
                row, column = int(y), int(x)
                inside.append(mask[row - 12 : row + 13, column - 12 : column + 13].any())
    assert len(inside) > 40
    assert np.mean(inside) > 0.95
    assert len(frames) == 6


def test_from_behind_there_is_no_face(
    from_behind: tuple[list[np.ndarray], Keypoints],
) -> None:
    """No face points are invented on the back of a head, and left is on the picture's left."""
    _, found = from_behind
    assert not found.points[:, FACE_POINTS, 2].any()
    assert (found.body_3d[:, _LEFT_HIP, 0] < found.body_3d[:, _RIGHT_HIP, 0]).all()


def test_from_the_front_axes_are_the_cameras() -> None:
    """Facing us: own left is to the right (+x), ankles below the hips (+y), nose nearer (-z)."""
    frames = frames_of(sample("video/jumping_jacks"), fps=10, count=4)
    found = _read(frames, detector())
    hips = found.body_3d[:, [_LEFT_HIP, _RIGHT_HIP], :3].mean(axis=1)
    assert np.abs(hips).max() < 0.03
    assert (found.body_3d[:, _LEFT_HIP, 0] > 0.05).all()
    assert (found.body_3d[:, _LEFT_ANKLE, 1] > 0.5).all()
    assert (found.body_3d[:, _NOSE, 1] < -0.4).all()
    assert (found.body_3d[:, _NOSE, 2] < 0).all()
    assert (found.points[:, _LEFT_HIP, 0] > found.points[:, _RIGHT_HIP, 0]).all()


def test_the_same_frames_give_the_same_bits() -> None:
    """Two detectors on the same frames agree exactly."""
    frames = frames_of(sample("video/treadmill_cam03"), fps=10, count=2)
    again = MediaPipeDetector(PeopleSettings())
    first, second = _read(frames, detector()), _read(frames, again)
    assert np.array_equal(first.points, second.points)
    assert np.array_equal(first.body_3d, second.body_3d)


def test_two_people_are_two() -> None:
    """A man on a treadmill and somebody beside the camera."""
    frame = frames_of(sample("video/two_people_cam02"), fps=10, count=1)[0]
    found = detector().detect_people(frame)
    assert found.shape == (2, 5)
    assert box_overlap(found[:1, :4], found[1:, :4])[0, 0] < 0.3


def test_a_person_a_quarter_of_the_frame_high_is_found() -> None:
    """Small people are found in crops, near the place where they were put."""
    frame = frames_of(sample("video/treadmill_cam03"), fps=10, count=1)[0]
    box = detector().find_people(frame)[0].box
    scale = 0.25 * 720 / (box[3] - box[1])
    canvas = np.full((720, 1280, 3), 120, np.uint8)
    small = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    canvas[300 : 300 + small.shape[0], 600 : 600 + small.shape[1]] = small
    expected = box * scale + (600, 300, 600, 300)
    overlaps = [
        box_overlap(person.box[None], expected[None])[0, 0]
        for person in detector().find_people(canvas)
    ]
    assert max(overlaps, default=0.0) > 0.6


def test_without_a_box_nothing_is_seen() -> None:
    """An empty or undefined box gives points of confidence 0 and an empty mask."""
    frame = frames_of(sample("video/treadmill_cam03"), fps=10, count=1)[0]
    boxes = np.array([[5, 5, 5, 5], [np.nan] * 4], np.float32)
    found = detector().keypoints([frame, frame], boxes)
    assert not found.points.any()
    assert not found.body_3d.any()
    assert found.person_mask is not None
    assert not found.person_mask.any()


@pytest.mark.parametrize(("frames", "boxes"), [(1, 2), (2, 1), (0, 0)])
def test_one_box_a_frame_is_required(frames: int, boxes: int) -> None:
    """Too many, too few, or no frames at all are the caller's mistake."""
    frame = np.zeros((64, 64, 3), np.uint8)
    with pytest.raises(ValueError, match="expected"):
        detector().keypoints([frame] * frames, np.zeros((boxes, 4), np.float32))


@pytest.mark.parametrize("name", ["neg_cars.mp4", "neg_testcard.mp4"])
def test_no_people_are_seen_where_there_are_none(name: str) -> None:
    """Cars and a test card hold nobody."""
    frames = frames_of(media(name), fps=2, count=4)
    assert [len(detector().find_people(frame)) for frame in frames] == [0] * len(frames)


def test_faces_and_hands_of_a_person_in_front() -> None:
    """Facing the camera the face is complete and lies in the upper part of the box."""
    frames = frames_of(media("pos_squats.mp4"), fps=5, count=3)
    found = _read(frames, detector())
    face = found.points[:, FACE_POINTS]
    assert (face[..., 2] > 0.5).all()
    eyes = face[:, 36:48, :2].mean(axis=1)
    assert np.abs(eyes - found.points[:, 1:3, :2].mean(axis=1)).max() < 12
    chin, brow = face[:, 8, 1], face[:, 19, 1]
    assert (chin > brow).all()


def test_layout_names_every_point_once() -> None:
    """68 different mesh vertices; body points keep their side; small toes are unknown."""
    assert len(set(FACE_FROM_MESH)) == len(FACE_FROM_MESH) == 68
    body = body_from_pose(np.arange(33 * 3, dtype=np.float32).reshape(33, 3) + 1)
    unknown = [name for name, row in zip(BODY_POINTS, body, strict=True) if not row.any()]
    assert unknown == ["left_small_toe", "right_small_toe"]

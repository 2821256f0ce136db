"""The skeleton's drawing against the published algorithm, limb by limb, and a golden picture."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from dataset.records import (
    BODY_POINTS,
    FACE_POINTS,
    LEFT_HAND_POINTS,
    RIGHT_HAND_POINTS,
    SMPL_JOINTS,
    BodyTrack,
    Camera,
)
from rendering.camera import project
from rendering.skeleton import (
    LIMB_COLOURS,
    LIMBS,
    OPENPOSE_POINTS,
    draw_dwpose,
    smpl_to_wholebody_points,
)

GOLDEN = Path(__file__).parents[2] / "golden" / "skeleton.png"
POINT_OF_COCO = {name: index for index, name in enumerate(BODY_POINTS)}


def published_drawing(points: np.ndarray, width: int, height: int) -> np.ndarray:
    """The ControlNet/DWPose drawing in its own terms: one-based limbs, x and y swapped."""
    order = [0, -1, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3]
    limbs = [
        [2, 3], [2, 6], [3, 4], [4, 5], [6, 7], [7, 8], [2, 9], [9, 10], [10, 11], [2, 12],
        [12, 13], [13, 14], [2, 1], [1, 15], [15, 17], [1, 16], [16, 18],
    ]  # fmt: skip
    colors = [
        [255, 0, 0], [255, 85, 0], [255, 170, 0], [255, 255, 0], [170, 255, 0], [85, 255, 0],
        [0, 255, 0], [0, 255, 85], [0, 255, 170], [0, 255, 255], [0, 170, 255], [0, 85, 255],
        [0, 0, 255], [85, 0, 255], [170, 0, 255], [255, 0, 255], [255, 0, 170], [255, 0, 85],
    ]  # fmt: skip
    neck = points[[5, 6]].mean(axis=0)
    neck[2] = float(points[5, 2] >= 0.3 and points[6, 2] >= 0.3)
    body = np.array([neck if index < 0 else points[index] for index in order])
    canvas = np.zeros((height, width, 3), np.uint8)
    for limb, color in zip(limbs, colors, strict=False):
        pair = body[np.array(limb) - 1]
        if (pair[:, 2] < 0.3).any():
            continue
        columns, rows = pair[:, 0], pair[:, 1]
        length = ((rows[0] - rows[1]) ** 2 + (columns[0] - columns[1]) ** 2) ** 0.5
        angle = math.degrees(math.atan2(rows[0] - rows[1], columns[0] - columns[1]))
        middle = (int(np.mean(columns)), int(np.mean(rows)))
        polygon = cv2.ellipse2Poly(middle, (int(length / 2), 4), int(angle), 0, 360, 1)
        cv2.fillConvexPoly(canvas, np.asarray(polygon), color)
    canvas = (canvas * 0.6).astype(np.uint8)
    for (x, y, seen), color in zip(body, colors, strict=True):
        if seen >= 0.3:
            cv2.circle(canvas, (int(x), int(y)), 4, color, thickness=-1)
    return canvas


def standing_points() -> np.ndarray:
    """A person facing the viewer with raised hands, of 256 x 256 pixels, all 133 points seen."""
    body = {
        "nose": (128, 50), "left_eye": (134, 44), "right_eye": (122, 44), "left_ear": (142, 48),
        "right_ear": (114, 48), "left_shoulder": (158, 82), "right_shoulder": (98, 82),
        "left_elbow": (190, 110), "right_elbow": (66, 110), "left_wrist": (206, 70),
        "right_wrist": (50, 70), "left_hip": (146, 150), "right_hip": (110, 150),
        "left_knee": (150, 195), "right_knee": (106, 195), "left_ankle": (152, 238),
        "right_ankle": (104, 238),
    }  # fmt: skip
    points = np.zeros((133, 3), np.float32)
    points[:, 2] = 1
    for name, place in body.items():
        points[POINT_OF_COCO[name], :2] = place
    around = np.linspace(0, 2 * np.pi, 68, endpoint=False)
    points[23:91, 0] = 128 + 18 * np.sin(around)
    points[23:91, 1] = 50 + 24 * np.cos(around)
    for start, (x, y) in ((91, (206, 70)), (112, (50, 70))):
        points[start, :2] = x, y
        for finger in range(5):
            for knuckle in range(4):
                reach, angle = 14 + 11 * knuckle, -np.pi / 2 + 0.35 * (finger - 2)
                place = (x + reach * np.cos(angle), y + reach * np.sin(angle))
                points[start + 1 + 4 * finger + knuckle, :2] = place
    return points


def test_a_whole_person_is_the_golden_picture() -> None:
    """Body, both hands and face, pixel by pixel, of a picture that was looked at."""
    golden = cv2.imread(str(GOLDEN), cv2.IMREAD_COLOR)
    assert golden is not None
    np.testing.assert_array_equal(
        draw_dwpose(standing_points()[None], 256, 256)[0], golden[..., ::-1]
    )


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_body_is_drawn_as_published(seed: int) -> None:
    """Any points, some outside the picture and some unsure: the published drawing's pixels."""
    rng = np.random.default_rng(seed)
    points = np.zeros((133, 3), np.float32)
    points[:17, :2] = rng.uniform(-30, 190, (17, 2))
    points[:17, 2] = rng.uniform(0, 1, 17)
    np.testing.assert_array_equal(
        draw_dwpose(points[None], 160, 120)[0], published_drawing(points, 160, 120)
    )


@pytest.mark.parametrize("number", range(17), ids=["-".join(limb) for limb in LIMBS])
def test_each_limb_has_its_colour_at_six_tenths(number: int) -> None:
    """Only a limb's own ends seen (and the shoulders, for a neck): its middle has its colour."""
    rng = np.random.default_rng(number)
    points = np.zeros((133, 3), np.float32)
    ends = [{"left_shoulder", "right_shoulder"} if e == "neck" else {e} for e in LIMBS[number]]
    for name in set.union(*ends):
        points[POINT_OF_COCO[name]] = (*rng.uniform(20, 236, 2), 1.0)
    at = [
        np.mean([points[POINT_OF_COCO[name], :2] for name in sorted(end)], axis=0) for end in ends
    ]
    column, row = (0.5 * at[0] + 0.5 * at[1]).astype(int)
    drawn = draw_dwpose(points[None], 256, 256)[0, row, column]
    np.testing.assert_array_equal(drawn, (np.array(LIMB_COLOURS[number]) * 0.6).astype(np.uint8))


def test_joints_are_discs_of_radius_four_in_full_colour() -> None:
    """Each of the 18 points: its colour in the middle and 4 pixels off, not 5."""
    points = standing_points()
    points[17:, 2] = 0
    drawn = draw_dwpose(points[None], 256, 256)[0]
    for name, colour in zip(OPENPOSE_POINTS, LIMB_COLOURS, strict=True):
        if name == "neck":
            continue
        x, y = points[POINT_OF_COCO[name], :2].astype(int)
        np.testing.assert_array_equal(drawn[y, x], colour)
    lone = np.zeros((1, 133, 3), np.float32)
    lone[0, 0] = (50.9, 60.2, 1)
    disc = draw_dwpose(lone, 100, 100)[0].any(axis=-1)
    assert disc[60, 46:55].all()
    assert disc.any(axis=0).sum() == disc.any(axis=1).sum() == 9


def test_hands_are_rainbow_lines_under_blue_discs_and_the_face_white_discs() -> None:
    """First edge red, then every twentieth of the hue circle; points (0, 0, 255); face white."""
    points = np.zeros((133, 3), np.float32)
    points[91:93] = (20, 20, 1), (60, 20, 1)
    points[30] = (50, 80, 1)
    drawn = draw_dwpose(points[None], 100, 100)[0]
    np.testing.assert_array_equal(drawn[20, 40], (255, 0, 0))
    np.testing.assert_array_equal(drawn[20, 20], (0, 0, 255))
    np.testing.assert_array_equal(drawn[80, 50], (255, 255, 255))
    assert (drawn[20, 40] == drawn[21, 40]).all()
    assert drawn[60:, :].any(axis=-1).any(axis=0).sum() == 7
    points[91] = (20, 20, 0)
    points[96] = (20, 20, 0)
    points[111] = (60, 60, 1)
    points[110] = (20, 60, 1)
    last_edge = draw_dwpose(points[None], 100, 100)[0, 60, 40]
    np.testing.assert_array_equal(last_edge, (255, 0, 77))  # hue 19 / 20


@pytest.mark.parametrize("confidence", [0.0, 0.29, float("nan")])
def test_unsure_points_are_not_drawn(confidence: float) -> None:
    """Under 0.3, or no number: black."""
    points = standing_points()
    points[:, 2] = confidence
    assert not draw_dwpose(points[None], 256, 256).any()


@pytest.mark.parametrize("unseen", [FACE_POINTS, LEFT_HAND_POINTS, RIGHT_HAND_POINTS])
def test_nothing_is_drawn_of_an_unseen_hand_or_face(unseen: slice) -> None:
    """Without confidence, at the corner where detectors leave such points: as if not there."""
    points = standing_points()
    points[unseen] = 0
    without = draw_dwpose(points[None], 256, 256)[0]
    assert not without[:8, :8].any()
    points[unseen] = (*points[unseen.start - 1, :2], 0)
    np.testing.assert_array_equal(draw_dwpose(points[None], 256, 256)[0], without)
    x, y = standing_points()[unseen, :2].mean(axis=0).astype(int)
    colours = {(0, 0, 255), (255, 255, 255)}  # of hands and faces
    assert (
        not {tuple(pixel) for pixel in without[y - 6 : y + 6, x - 6 : x + 6].reshape(-1, 3)}
        & colours
    )


def test_feet_are_not_drawn() -> None:
    """Toes and heels alone leave the picture black."""
    points = standing_points()
    points[:17, 2] = points[23:, 2] = 0
    points[17:23, :2] = 100
    assert not draw_dwpose(points[None], 256, 256).any()


def test_points_far_outside_are_no_error() -> None:
    """A limb that leaves the picture by thousands of pixels does not overflow."""
    points = standing_points()
    points[POINT_OF_COCO["left_wrist"], :2] = (1e9, -1e9)
    assert draw_dwpose(points[None], 256, 256).any()


def test_what_cannot_be_drawn_is_refused() -> None:
    """Other point sets and empty pictures are named."""
    with pytest.raises(ValueError, match="133"):
        draw_dwpose(np.zeros((2, 18, 3), np.float32), 8, 8)
    with pytest.raises(ValueError, match="1 x 1"):
        draw_dwpose(np.zeros((2, 133, 3), np.float32), 0, 8)


def turned_body(*degrees: float) -> tuple[np.ndarray, BodyTrack]:
    """Joints on a column three metres ahead, one frame per turn around the vertical axis."""
    upright = Rotation.from_rotvec((np.pi, 0, 0))  # T-pose axes (y up) to the camera's (y down)
    turns = [Rotation.from_rotvec((0, np.deg2rad(angle), 0)) * upright for angle in degrees]
    rest = np.zeros((24, 3))
    rest[SMPL_JOINTS.index("neck")] = (0, 0.5, 0)
    rest[SMPL_JOINTS.index("head")] = (0, 0.6, 0)
    rest[SMPL_JOINTS.index("left_wrist")] = (0.7, 0.4, 0)
    track = BodyTrack(
        betas=np.zeros(10, np.float32),
        global_orient=np.array([turn.as_rotvec() for turn in turns], np.float32),
        body_pose=np.zeros((len(turns), 23, 3), np.float32),
        transl=np.tile(np.float32((0, 0, 3)), (len(turns), 1)),
        camera=Camera(focal_length_px=500.0, width=400, height=400),
        reprojection_error_px=np.zeros(len(turns), np.float32),
    )
    joints = np.stack([turn.apply(rest) for turn in turns]) + track.transl[:, None]
    return joints.astype(np.float32), track


def test_projected_joints_become_the_limbs() -> None:
    """A body facing the camera has its left wrist on the picture's right, at its projection."""
    joints, track = turned_body(0.0)
    points = smpl_to_wholebody_points(joints, track)[0]
    wrist = joints[0, SMPL_JOINTS.index("left_wrist")]
    expected = project(wrist, track.camera)
    np.testing.assert_allclose(points[POINT_OF_COCO["left_wrist"]], (*expected, 1), rtol=1e-5)
    assert points[POINT_OF_COCO["left_wrist"], 0] > 200
    left_eye, right_eye, nose = (
        points[POINT_OF_COCO[n]] for n in ("left_eye", "right_eye", "nose")
    )
    assert left_eye[0] > nose[0] > right_eye[0]
    assert nose[1] > left_eye[1]  # the nose is under the eyes
    assert not points[17:, 2].any()


def test_the_head_hides_what_faces_away() -> None:
    """Front: all five; from behind: ears alone; in profile: nose, eyes and one ear."""
    joints, track = turned_body(0.0, 180.0, 90.0, -90.0)
    seen = smpl_to_wholebody_points(joints, track)[:, :5, 2]
    names = [{n for n, s in zip(BODY_POINTS[:5], row, strict=True) if s} for row in seen]
    face = {"nose", "left_eye", "right_eye"}
    assert names[0] == face | {"left_ear", "right_ear"}
    assert names[1] == {"left_ear", "right_ear"}
    assert {frozenset(names[2]), frozenset(names[3])} == {
        frozenset(face | {"left_ear"}),
        frozenset(face | {"right_ear"}),
    }


def test_joints_of_another_track_are_refused() -> None:
    """As many frames of joints as the track has."""
    joints, track = turned_body(0.0, 10.0)
    with pytest.raises(ValueError, match=r"\(2, 24, 3\)"):
        smpl_to_wholebody_points(joints[:1], track)

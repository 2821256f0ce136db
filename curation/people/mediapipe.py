"""The default detector: the networks inside the mediapipe 0.10.21 wheel, in own plumbing.

The wheel is not installed (it pins an old numpy): its Apache-2.0 ``.tflite`` files run under
LiteRT. Unlike MediaPipe's own graphs nothing limits the number of people, and people who are small
in the frame are looked for in crops.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Float32, UInt8

from curation.people.anchors import box_overlap, share_inside
from curation.people.crossings import uncross_limbs
from curation.people.detector import PersonBox
from curation.people.face import FaceReader
from curation.people.hands import HandReader
from curation.people.layout import body_from_pose
from curation.people.pose import Pose, PoseFinder, PoseReader, pose_leap
from curation.people.regions import Region, paste_back
from curation.people.settings import PeopleSettings
from curation.people.sides import straighten_sides
from dataset.records import FACE_POINTS, LEFT_HAND_POINTS, RIGHT_HAND_POINTS, Keypoints

_CROWN = 0.7  # height of the crown over the ears, in distances from shoulders to ears
_FLESH = 0.04  # of the longer side
_SAME_REGION = 0.5  # IoU above which two regions would read the same person


class MediaPipeDetector:
    """A ``PoseDetector``. Single threaded and deterministic; the networks are loaded at once."""

    def __init__(self, settings: PeopleSettings) -> None:
        self._settings = settings
        self._finder = PoseFinder()
        self._reader = PoseReader()
        self._hands = HandReader(min_presence=settings.min_presence)
        self._face = FaceReader(min_presence=settings.min_presence)

    def find_people(
        self, frame: UInt8[np.ndarray, "height width 3"], near: Sequence[PersonBox] = ()
    ) -> list[PersonBox]:
        """Everyone in the frame, best first (see ``PoseDetector``)."""
        height, width = frame.shape[:2]
        followed = [self._reader.read(frame, _around(person.box)) for person in near]
        poses = [
            pose
            for pose, person in zip(followed, near, strict=True)
            if pose.presence >= self._settings.min_followed_presence
            and _overlap(pose, person.box) >= self._settings.min_box_overlap
        ]
        for region in self._proposals(frame, [pose.region for pose in poses]):
            pose = self._reader.read(frame, region)
            if pose.presence >= self._settings.min_presence:
                poses.append(pose)
        return self._merged([_person(pose, width, height) for pose in poses])

    def detect_people(
        self, frame: UInt8[np.ndarray, "height width 3"]
    ) -> Float32[np.ndarray, "people 5"]:
        """Boxes and scores, best first: x0, y0, x1, y1 in pixels, score."""
        rows = [[*person.box, person.score] for person in self.find_people(frame)]
        return np.array(rows, np.float32).reshape(-1, 5)

    def keypoints(
        self, frames: Iterable[np.ndarray], boxes: Float32[np.ndarray, "frames 4"]
    ) -> Keypoints:
        """One person through consecutive frames (see ``Keypoints``); frames are read one by one.

        The region of a frame comes from the landmarks before it; where they do not fit the given
        box, the person is detected again.

        Raises:
            ValueError: Not one box for every frame.
        """
        points, body_3d, masks = [], [], []
        previous: Pose | None = None
        for index, frame in enumerate(frames):
            if index >= len(boxes):
                raise ValueError(
                    f"expected one box a frame, got {len(boxes)} boxes and more frames"
                )
            previous = self._follow(frame, boxes[index], previous)
            found = _nothing(frame) if previous is None else self._whole_body(frame, previous)
            for part, into in zip(found, (points, body_3d, masks), strict=True):
                into.append(part)
        if len(points) != len(boxes):
            raise ValueError(f"expected one box a frame, got {len(boxes)} for {len(points)} frames")
        if not points:
            raise ValueError("expected at least one frame, got none")
        seen = Keypoints(
            points=np.stack(points), body_3d=np.stack(body_3d), person_mask=np.stack(masks)
        )
        return uncross_limbs(straighten_sides(seen))

    def _proposals(self, frame: np.ndarray, known: list[Region]) -> list[Region]:
        """Regions that may hold somebody besides the known ones, best first."""
        proposals: list[tuple[Region, float]] = []
        for where in _search_regions(frame.shape[1], frame.shape[0], self._settings.tiles):
            proposals += self._finder.propose(
                frame, where, min_score=self._settings.min_detection_score
            )
        proposals.sort(key=lambda proposal: -proposal[1])
        kept = list(known)
        for region, _ in proposals:  # tiles overlap
            others = np.array([other.box for other in kept]).reshape(-1, 4)
            if not (box_overlap(np.array([region.box]), others) > _SAME_REGION).any():
                kept.append(region)
        return kept[len(known) :]

    def _follow(
        self, frame: np.ndarray, box: Float32[np.ndarray, " 4"], previous: Pose | None
    ) -> Pose | None:
        if not np.isfinite(box).all() or box[2] <= box[0] or box[3] <= box[1]:
            return None
        if previous is not None:
            pose = self._continued(frame, previous)
            if self._fits(pose, box):
                return pose
        around = _around(box)
        proposals = self._finder.propose(
            frame, around.scaled(1.5), min_score=self._settings.min_detection_score
        )
        regions = [*(region for region, _ in proposals), around]
        # Again from where each reading itself saw the person: boxes are cruder than landmarks.
        poses = [
            self._reader.read(frame, self._reader.read(frame, region).next_region)
            for region in regions
        ]
        fitting = [pose for pose in poses if self._fits(pose, box)]
        return max(fitting, key=lambda pose: _overlap(pose, box), default=None)

    def _continued(self, frame: np.ndarray, previous: Pose) -> Pose:
        """The reading that continues a pose best.

        In some poses front and back look alike to the network, and a hair's breadth of the region
        decides: where the body seems to leap it is read again from the region just suggested.
        """
        pose = best = self._reader.read(frame, previous.next_region)
        for _ in range(self._settings.max_readings - 1):
            if pose_leap(previous, best) <= self._settings.calm_leap:
                break
            pose = self._reader.read(frame, pose.next_region)
            best = min(best, pose, key=lambda reading: pose_leap(previous, reading))
        return best

    def _fits(self, pose: Pose, box: Float32[np.ndarray, " 4"]) -> bool:
        return (
            pose.presence >= self._settings.min_presence
            and _overlap(pose, box) >= self._settings.min_box_overlap
        )

    def _whole_body(
        self, frame: np.ndarray, pose: Pose
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        height, width = frame.shape[:2]
        points = np.zeros((133, 3), np.float32)
        points[:23] = body_from_pose(pose.landmarks)
        points[FACE_POINTS] = self._face.read(frame, pose.landmarks)
        points[LEFT_HAND_POINTS] = self._hands.read(frame, pose.landmarks, "left")
        points[RIGHT_HAND_POINTS] = self._hands.read(frame, pose.landmarks, "right")
        world = np.column_stack([pose.world, pose.landmarks[:, 2]])
        inside = paste_back(pose.silhouette, pose.region, width=width, height=height) > 0.5
        return points, body_from_pose(world), inside.astype(np.uint8) * 255

    def _merged(self, found: list[PersonBox]) -> list[PersonBox]:
        kept: list[PersonBox] = []
        for person in sorted(found, key=lambda person: -person.score):
            others = np.array([other.box for other in kept]).reshape(-1, 4)
            same = box_overlap(person.box[None], others) > self._settings.max_overlap
            part = share_inside(person.box[None], others) > self._settings.max_contained
            if not (same | part).any():
                kept.append(person)
        return kept


def _search_regions(width: int, height: int, tiles: int) -> list[Region]:
    """The whole frame, then overlapping squares of it: ``tiles`` along the short side."""
    regions = [Region(x=width / 2, y=height / 2, size_px=float(max(width, height)))]
    if tiles == 0:
        return regions
    short = min(width, height)
    side = short if tiles == 1 else short * 2.0 / (tiles + 1)  # neighbours share half
    for y in _centres(height, side):
        regions += [Region(x=x, y=y, size_px=side) for x in _centres(width, side)]
    return regions


def _centres(length: int, side: float) -> np.ndarray:
    count = 1 + int(np.ceil((length - side) / (side / 2) - 1e-6))
    return np.linspace(side / 2, length - side / 2, max(1, count))


def _person(pose: Pose, width: int, height: int) -> PersonBox:
    box = np.clip(_box(pose), 0, (width, height, width, height)).astype(np.float32)
    return PersonBox(box=box, score=pose.presence, points=body_from_pose(pose.landmarks))


def _box(pose: Pose) -> Float32[np.ndarray, " 4"]:
    """Around the landmarks, the crown of the head, and some flesh around the joints."""
    points = pose.landmarks[:, :2]
    ears, shoulders = points[[7, 8]].mean(axis=0), points[[11, 12]].mean(axis=0)
    crown = ears + _CROWN * (ears - shoulders)
    points = np.concatenate([points, crown[None]])
    low, high = points.min(axis=0), points.max(axis=0)
    margin = _FLESH * (high - low).max()
    return np.concatenate([low - margin, high + margin])


def _overlap(pose: Pose, box: Float32[np.ndarray, " 4"]) -> float:
    return float(box_overlap(_box(pose)[None], box[None])[0, 0])


def _around(box: Float32[np.ndarray, " 4"]) -> Region:
    x, y = (box[:2] + box[2:]) / 2
    return Region(x=float(x), y=float(y), size_px=1.25 * float((box[2:] - box[:2]).max()))


def _nothing(frame: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    points, body_3d = np.zeros((133, 3), np.float32), np.zeros((23, 4), np.float32)
    return points, body_3d, np.zeros(frame.shape[:2], np.uint8)

"""Measures every picture of a video as it is decoded; keeps a few numbers of each."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from jaxtyping import Float32, Float64, UInt8

from curation.duplicates.hashing import HASHES_PER_SECOND, frame_hash
from curation.people.detector import PersonBox
from curation.scores import cartoon, overlay, text
from curation.scores.blockiness import blockiness
from curation.scores.borders import Borders, find_borders
from curation.scores.camera import camera_speed, follow
from curation.scores.exposure import Exposure, exposure
from curation.scores.flow import flow_speed
from curation.scores.given_models import PictureScorer
from curation.scores.repeats import change
from curation.scores.slow_motion import blend_residual
from curation.scores.stillness import picture_change

_MOTION_SIDE = 320  # pixels of the longer side: cameras and bodies are followed at this size
_BLEND_SIDE = 480
_CELLS = 64  # of a frame's thumbnail, along each side
_LOOP_CELLS = 12
_RARE_SECONDS = 0.5  # between looks for what does not change from one frame to the next


@dataclass(frozen=True, slots=True, kw_only=True)
class LookMeasures:
    """Of a frame that was looked at; motion is since the look before, ``None`` in the first.

    ``flows`` are the people's, in the order in which they were found.
    """

    exposure: Exposure
    borders: Borders
    blockiness: float
    camera_speed: float | None
    picture_change: float | None
    flows: tuple[float | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RareMeasures:
    """Of about two frames a second: what is dear to measure and slow to change."""

    text_share: float
    cartoon: Float64[np.ndarray, " features"]
    edges: bytes
    given: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """What a pass over a video leaves behind of its pictures.

    ``changes`` (`repeats.change`), ``residuals`` (`slow_motion.blend_residual`) and ``thumbs`` have
    a row a frame; ``looks``, ``rare`` and ``hashes`` are by frame number. ``edge_shape`` is height
    and width of the pictures behind ``RareMeasures.edges``.
    """

    changes: Float32[np.ndarray, " frames"]
    residuals: Float32[np.ndarray, " frames"]
    thumbs: UInt8[np.ndarray, "frames cells"]
    looks: dict[int, LookMeasures]
    rare: dict[int, RareMeasures]
    edge_shape: tuple[int, int]
    hashes: dict[int, int]


@dataclass(slots=True, kw_only=True)
class Meter:
    """Takes the frames of a video one by one.

    Args:
        fps: Rate of the frames.
        stride: Every how manieth frame is looked at.
        source_width: Width of the source's pictures, pixels; 0: as that of the frames.
        scorers: Networks that rate a frame, by the name of their score.
    """

    fps: float
    stride: int
    source_width: int = 0
    scorers: Mapping[str, PictureScorer] = field(default_factory=dict)
    _changes: array[float] = field(default_factory=lambda: array("f"))
    _residuals: array[float] = field(default_factory=lambda: array("f"))
    _thumbs: bytearray = field(default_factory=bytearray)
    _looks: dict[int, LookMeasures] = field(default_factory=dict)
    _rare: dict[int, RareMeasures] = field(default_factory=dict)
    _hashes: dict[int, int] = field(default_factory=dict)
    _recent: list[np.ndarray] = field(default_factory=list)
    _thumb: np.ndarray | None = None
    _followed: tuple[int, np.ndarray, list[np.ndarray]] | None = None
    _edge_shape: tuple[int, int] = (1, 1)

    def add(self, frame: UInt8[np.ndarray, "height width 3"]) -> None:
        """Every frame, in order."""
        number = len(self._changes)
        if number % max(1, round(self.fps / HASHES_PER_SECOND)) == 0:
            self._hashes[number] = frame_hash(frame)
        half = fitted(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), _BLEND_SIDE)
        cells = cv2.resize(half, (_CELLS, _CELLS), interpolation=cv2.INTER_AREA).astype(np.float32)
        self._changes.append(255.0 if self._thumb is None else change(self._thumb, cells))
        self._thumb = cells
        size = (_LOOP_CELLS, _LOOP_CELLS)
        self._thumbs += (
            cv2.resize(cells, size, interpolation=cv2.INTER_AREA).astype(np.uint8).tobytes()
        )
        self._residuals.append(1.0)
        self._recent = [*self._recent[-2:], half]
        if len(self._recent) == 3:  # the middle one is judged when the next is known
            self._residuals[number - 1] = blend_residual(*self._recent)

    def look(
        self,
        number: int,
        frame: UInt8[np.ndarray, "height width 3"],
        people: Sequence[PersonBox],
    ) -> None:
        """A frame that was searched for people, at a multiple of the stride."""
        grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        borders = find_borders(fitted(grey, _BLEND_SIDE))
        inside = borders.inside(grey)
        speed, changed, flows = self._motion(number, grey, people)
        self._looks[number] = LookMeasures(
            exposure=exposure(inside),
            borders=borders,
            blockiness=blockiness(
                inside, scale=frame.shape[1] / (self.source_width or grey.shape[1])
            ),
            camera_speed=speed,
            picture_change=changed,
            flows=flows,
        )
        if number // self.stride % max(1, round(_RARE_SECONDS * self.fps / self.stride)) == 0:
            self._rare[number] = self._measure_rarely(frame, grey, borders)

    def measures(self) -> Measures:
        """Of all frames so far."""
        thumbs = np.frombuffer(bytes(self._thumbs), np.uint8)
        return Measures(
            changes=np.array(self._changes, np.float32),
            residuals=np.array(self._residuals, np.float32),
            thumbs=thumbs.reshape(-1, _LOOP_CELLS**2),
            looks=self._looks,
            rare=self._rare,
            edge_shape=self._edge_shape,
            hashes=self._hashes,
        )

    def _motion(
        self, number: int, grey: np.ndarray, people: Sequence[PersonBox]
    ) -> tuple[float | None, float | None, tuple[float | None, ...]]:
        """Camera speed, change beyond it and people's flow since the last other picture."""
        small = fitted(grey, _MOTION_SIDE)
        scale = small.shape[1] / grey.shape[1]
        boxes = [person.box * np.float32(scale) for person in people]
        unknown = tuple(None for _ in boxes)
        if self._followed is None:
            self._followed = (number, small, boxes)
            return None, None, unknown
        earlier, before, around = self._followed
        if np.array_equal(small, before):  # the same picture again: time goes on, and tells nothing
            return None, None, unknown
        seconds = (number - earlier) / self.fps
        motion = follow(before, small, [*around, *boxes], seconds=seconds)
        self._followed = (number, small, boxes)
        size = (small.shape[1], small.shape[0])
        return (
            camera_speed(motion, size),
            picture_change(before, small, motion),
            tuple(flow_speed(motion, box) for box in boxes),
        )

    def _measure_rarely(
        self, frame: np.ndarray, grey: np.ndarray, borders: Borders
    ) -> RareMeasures:
        small = fitted(grey, overlay.SIDE)
        self._edge_shape = (small.shape[0], small.shape[1])
        return RareMeasures(
            text_share=text.text_share(fitted(grey, text.SIDE)),
            cartoon=cartoon.cartoon_features(fitted(borders.inside(frame), cartoon.SIDE)),
            edges=overlay.edge_map(small),
            given={name: scorer(frame) for name, scorer in self.scorers.items()},
        )


def fitted(picture: np.ndarray, side: int) -> np.ndarray:
    """A picture whose longer side has at most so many pixels; smaller ones stay as they are."""
    longer = max(picture.shape[:2])
    if longer <= side:
        return picture
    height, width = (max(1, round(length * side / longer)) for length in picture.shape[:2])
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)

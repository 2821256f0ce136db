"""What a detector of people offers, whatever networks it is made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Float32, UInt8

from dataset.records import Keypoints


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonBox:
    """One person in one frame.

    ``box`` is (x0, y0, x1, y1) in pixels, ``score`` in [0, 1]; ``points`` are the 23 body points
    (``BODY_POINTS``): x, y in pixels, confidence in [0, 1].
    """

    box: Float32[np.ndarray, " 4"]
    score: float
    points: Float32[np.ndarray, "23 3"]


class PoseDetector(Protocol):
    """Finds people in a frame, and one person's points through a clip."""

    def find_people(
        self, frame: UInt8[np.ndarray, "height width 3"], near: Sequence[PersonBox] = ()
    ) -> list[PersonBox]:
        """Everyone in the frame, best first.

        ``near`` are the people of a frame shortly before, who are looked for where they were.
        """
        ...

    def detect_people(
        self, frame: UInt8[np.ndarray, "height width 3"]
    ) -> Float32[np.ndarray, "people 5"]:
        """Everyone's box and score, best first: x0, y0, x1, y1 in pixels, score."""
        ...

    def keypoints(
        self, frames: Iterable[np.ndarray], boxes: Float32[np.ndarray, "frames 4"]
    ) -> Keypoints:
        """The points and the mask of the person whose boxes are given, one box a frame."""
        ...

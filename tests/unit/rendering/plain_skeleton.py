"""The skeleton drawn by formula, not by a drawing library, as conventions.md puts it in words.

Every limb is an ellipse, every point a disc, every edge of a hand a thick line: which pixels surely
lie inside or outside is plain geometry. Pixels near an outline are unsure, as they depend on how a
library rounds.
"""

from __future__ import annotations

import colorsys
import math
from dataclasses import dataclass

import numpy as np

# The published numbering (one-based) and order of the drawing: ControlNet's annotator of OpenPose.
LIMBS = (
    (2, 3), (2, 6), (3, 4), (4, 5), (6, 7), (7, 8), (2, 9), (9, 10), (10, 11), (2, 12), (12, 13),
    (13, 14), (2, 1), (1, 15), (15, 17), (1, 16), (16, 18),
)  # fmt: skip
COCO_OF_OPENPOSE = (0, None, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3)
_UNSURE_PX = 1.5  # on both sides of the outline of an ellipse or a disc
_UNSURE_LINE_PX = 1.0


@dataclass(slots=True)
class Drawing:
    """Colours so far, where they are unsure, and which limbs cover each pixel."""

    colours: np.ndarray
    unsure: np.ndarray
    limbs: np.ndarray

    def paint(
        self, distance: np.ndarray, colour: np.ndarray, unsure_px: float = _UNSURE_PX
    ) -> np.ndarray:
        """Fill where the ``distance`` from an outline is negative; returns where that is."""
        surely = distance < -unsure_px
        changes = (np.abs(distance) <= unsure_px) & (self.colours != colour).any(axis=-1)
        self.unsure = (self.unsure | changes) & ~surely
        self.colours[surely] = colour
        return surely


def draw_plainly(points: np.ndarray, width: int, height: int) -> Drawing:
    """Body, hands and face of one frame's 133 points; confidence under 0.3 is not drawn."""
    y, x = np.mgrid[:height, :width].astype(np.float64)
    drawing = Drawing(
        np.zeros((height, width, 3)),
        np.zeros((height, width), bool),
        np.zeros((17, height, width), bool),
    )
    body = _body(points)
    for number, limb in enumerate(LIMBS):
        ends = [body[end - 1] for end in limb]
        if all(end is not None for end in ends):
            distance = _ellipse(x, y, ends[0], ends[1])
            drawing.limbs[number] = drawing.paint(distance, _rainbow(number, 18))
    drawing.colours = np.floor(0.6 * drawing.colours)
    for number, place in enumerate(body):
        if place is not None:
            drawing.paint(_disc(x, y, place, 4), _rainbow(number, 18))
    for hand in (points[91:112], points[112:133]):
        _draw_hand(drawing, x, y, hand)
    for place in points[23:91]:
        if place[2] >= 0.3:
            drawing.paint(_disc(x, y, place[:2], 3), np.full(3, 255.0))
    return drawing


def _body(points: np.ndarray) -> list[np.ndarray | None]:
    """The 18 OpenPose points; the neck is half way between the shoulders."""
    body = [
        None if coco is None or points[coco, 2] < 0.3 else points[coco, :2].astype(np.float64)
        for coco in COCO_OF_OPENPOSE
    ]
    right, left = body[2], body[5]
    body[1] = None if right is None or left is None else (right + left) / 2
    return body


def _draw_hand(drawing: Drawing, x: np.ndarray, y: np.ndarray, hand: np.ndarray) -> None:
    seen = hand[:, 2] >= 0.3
    for finger in range(5):
        chain = [0, *range(4 * finger + 1, 4 * finger + 5)]
        for knuckle in range(4):
            start, end = chain[knuckle : knuckle + 2]
            if seen[start] and seen[end]:
                distance = _line(x, y, hand[start, :2], hand[end, :2])
                drawing.paint(distance, _rainbow(4 * finger + knuckle, 20), _UNSURE_LINE_PX)
    for place in hand[seen]:
        drawing.paint(_disc(x, y, place[:2], 4), np.array([0.0, 0.0, 255.0]))


def _rainbow(number: int, count: int) -> np.ndarray:
    return np.round(255 * np.array(colorsys.hsv_to_rgb(number / count, 1, 1)))


def _ellipse(x: np.ndarray, y: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """About the distance from the ellipse between two points that is 4 pixels wide on each side."""
    (cx, cy), half = np.floor((start + end) / 2), max(math.dist(start, end) / 2, 1.0)
    turn = math.atan2(end[1] - start[1], end[0] - start[0])
    along = (x - cx) * math.cos(turn) + (y - cy) * math.sin(turn)
    across = (y - cy) * math.cos(turn) - (x - cx) * math.sin(turn)
    level = np.hypot(along / half, across / 4)
    slope = np.hypot(along / half**2, across / 16) / np.maximum(level, 1e-9)
    return (level - 1) / np.maximum(slope, 1 / max(half, 4))


def _disc(x: np.ndarray, y: np.ndarray, place: np.ndarray, radius: float) -> np.ndarray:
    cx, cy = np.floor(place)
    return np.hypot(x - cx, y - cy) - radius


def _line(x: np.ndarray, y: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    start, end = np.floor(start), np.floor(end)
    way = end - start
    share = ((x - start[0]) * way[0] + (y - start[1]) * way[1]) / max(way @ way, 1e-9)
    share = np.clip(share, 0, 1)
    # Lines of width 2 cover two pixels or three.
    return np.hypot(x - start[0] - share * way[0], y - start[1] - share * way[1]) - 1.5

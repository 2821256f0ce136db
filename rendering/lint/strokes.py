"""The pixels of a drawn skeleton by their colour, and the palette it is drawn with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from jaxtyping import Bool, Int32, Int64, UInt8

from dataset.records import FACE_POINTS, LEFT_HAND_POINTS
from rendering.lint.frame import brightness
from rendering.skeleton import draw_dwpose

_MOST_COLOURS = 4096  # of a picture that is no drawing hardly two pixels share one
_LEAST_PATCH = 8
_CANVAS = 512

Colour = Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """Connected pixels of one colour."""

    middle: np.ndarray  # x, y
    area: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Strokes:
    """Where each colour of a picture is drawn: x and y of its pixels."""

    shape: tuple[int, int]
    places: Mapping[int, Int64[np.ndarray, "pixels 2"]]

    def of(self, colour: Colour) -> Int64[np.ndarray, "pixels 2"]:
        """The pixels of exactly this colour."""
        return self.places.get(_code(colour), np.empty((0, 2), np.int64))

    def patches(self, colour: Colour) -> list[Patch]:
        """Every connected patch of a colour."""
        places = self.of(colour)
        if len(places) < _LEAST_PATCH:
            return []
        corner = places.min(axis=0) - 1
        size = places.max(axis=0) - corner + 2
        canvas = np.zeros((int(size[1]), int(size[0])), np.uint8)
        canvas[places[:, 1] - corner[1], places[:, 0] - corner[0]] = 1
        count, _, stats, middles = cv2.connectedComponentsWithStats(canvas)
        areas = stats[:, cv2.CC_STAT_AREA]
        return [
            Patch(middle=middles[i] + corner, area=int(areas[i]))
            for i in range(1, count)
            if areas[i] >= _LEAST_PATCH
        ]

    def area_of(self, colours: Iterable[Colour]) -> Bool[np.ndarray, "height width"]:
        """The pixels of any of these colours."""
        area = np.zeros(self.shape, np.bool_)
        for colour in colours:
            places = self.of(colour)
            area[places[:, 1], places[:, 0]] = True
        return area

    def on_palette(self, palette: Int32[np.ndarray, "colours 3"]) -> float:
        """The share of the pixels within a grey level of a colour; 1 where nothing is drawn."""
        if not self.places:
            return 1.0
        if len(self.places) > _MOST_COLOURS:
            return 0.0
        colours = _decoded(self.places)
        counts = np.array([len(pixels) for pixels in self.places.values()])
        apart = np.abs(colours[:, None] - palette[None]).max(axis=2).min(axis=1)
        return float(counts[apart <= 1].sum() / counts.sum())


def strokes_of(picture: UInt8[np.ndarray, "height width 3"]) -> Strokes:
    """A picture's pixels that are not black, by colour."""
    y, x = np.nonzero(brightness(picture))
    wide = picture[y, x].astype(np.int64)
    codes = (wide[:, 0] << 16) | (wide[:, 1] << 8) | wide[:, 2]
    order = np.argsort(codes, kind="stable")
    found, starts = np.unique(codes[order], return_index=True)
    groups = np.split(np.column_stack((x, y))[order], starts[1:])
    return Strokes(
        shape=picture.shape[:2],
        places={int(code): group for code, group in zip(found, groups, strict=False)},
    )


@cache
def drawing_colours() -> Int32[np.ndarray, "colours 3"]:
    """Every colour of the drawing: limbs darkened, joints, hands, face."""
    return np.concatenate((_colours_drawn_of(slice(0, 23)), hand_and_face_colours()))


@cache
def hand_and_face_colours() -> Int32[np.ndarray, "colours 3"]:
    """The colours of hands and face, some of which joints have too."""
    parts = (_colours_drawn_of(LEFT_HAND_POINTS), _colours_drawn_of(FACE_POINTS))
    return np.concatenate(parts)


def _colours_drawn_of(drawn: slice) -> Int32[np.ndarray, "colours 3"]:
    """The colours in which some of the 133 points and their lines are drawn: the drawing knows."""
    points = np.zeros((1, 133, 3), np.float32)
    angles = np.linspace(0, 2 * np.pi, drawn.stop - drawn.start, endpoint=False)
    circle = (1 + 0.9 * np.stack((np.cos(angles), np.sin(angles)), axis=1)) * _CANVAS / 2
    points[0, drawn] = np.column_stack((circle, np.ones(len(circle))))
    return colours_in(draw_dwpose(points, _CANVAS, _CANVAS)[0])


def colours_in(picture: UInt8[np.ndarray, "height width 3"]) -> Int32[np.ndarray, "colours 3"]:
    """Every colour of a picture but black."""
    return _decoded(strokes_of(picture).places)


def _decoded(codes: Iterable[int]) -> Int32[np.ndarray, "colours 3"]:
    return ((np.fromiter(codes, np.int32)[:, None] >> np.array((16, 8, 0))) & 255).astype(np.int32)


def _code(colour: Colour) -> int:
    return (int(colour[0]) << 16) | (int(colour[1]) << 8) | int(colour[2])

"""Finding limbs and joints again in a drawn skeleton, by colour and place."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

from rendering.lint.strokes import Colour, Patch, Strokes, hand_and_face_colours
from rendering.skeleton import (
    JOINT_RADIUS,
    LIMB_BRIGHTNESS,
    LIMB_COLOURS,
    LIMB_HALF_WIDTH,
    LIMBS,
    OPENPOSE_POINTS,
)

_MOST_DISCS = 4  # of one colour: more are a hand's
_MOST_DISC_AREA = 1.6 * math.pi * JOINT_RADIUS**2
_LEAST_AREA = 8
_SLACK = 3  # pixels around limbs and joints
_SHINS = (LIMBS.index(("right_knee", "right_ankle")), LIMBS.index(("left_knee", "left_ankle")))


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundLimb:
    """A limb both of whose joints are drawn; ``area`` is 0 where its own colour is not there."""

    index: int  # in LIMBS
    start: np.ndarray  # x, y in pixels
    end: np.ndarray
    area: int  # pixels in the limb's colour
    in_place: bool  # its pixels are centred between the joints

    @property
    def length(self) -> float:
        """From joint to joint, in pixels, at least 1."""
        return max(float(np.hypot(*(self.end - self.start))), 1.0)


def find_limbs(strokes: Strokes, *, swapped: bool = False) -> list[FoundLimb]:
    """Every limb whose joints are both there; where a colour occurs twice, the likelier joint.

    ``swapped`` reads the picture as one whose red and blue were exchanged.
    """
    step = -1 if swapped else 1
    joints = {
        name: _discs(strokes, colour[::step])
        for name, colour in zip(OPENPOSE_POINTS, LIMB_COLOURS, strict=True)
    }
    limbs = []
    for index, (start, end) in enumerate(LIMBS):
        pairs = list(itertools.product(joints[start], joints[end]))
        if pairs:
            limbs.append(_found(index, pairs, strokes.of(limb_colour(index)[::step])))
    return limbs


def limb_colour(index: int) -> tuple[int, ...]:
    """The darkened colour of a limb."""
    return tuple(int(channel * LIMB_BRIGHTNESS) for channel in LIMB_COLOURS[index])


def stray_share(strokes: Strokes, limbs: Sequence[FoundLimb]) -> tuple[float, float]:
    """The share of the body's drawing off its limbs and joints, and how much of that is at feet.

    Limbs one of whose joints is hidden are not judged, nor are the colours of hands and face except
    at the feet.
    """
    drawn = np.zeros(strokes.shape, np.bool_)
    for places in strokes.places.values():
        drawn[places[:, 1], places[:, 0]] = True
    body = drawn & ~strokes.area_of(hand_and_face_colours())
    feet = _feet(limbs, strokes.shape) > 0
    unknown = {*range(len(LIMBS))} - {limb.index for limb in limbs}
    judged = (body | (drawn & feet)) & ~strokes.area_of(map(limb_colour, unknown))
    stray = judged & ~_expected(strokes, limbs, feet)
    count = int(stray.sum())
    return count / max(int(body.sum()), 1), int((stray & feet).sum()) / max(count, 1)


def _discs(strokes: Strokes, colour: Colour) -> list[Patch]:
    """Where a joint may be; nowhere if there are too many patches of its colour."""
    patches = strokes.patches(colour)
    return patches if len(patches) <= _MOST_DISCS else []


def _found(index: int, pairs: Sequence[tuple[Patch, Patch]], places: np.ndarray) -> FoundLimb:
    area = len(places) if len(places) >= _LEAST_AREA else 0
    start, end = pairs[0]
    if not area:
        return FoundLimb(index=index, start=start.middle, end=end.middle, area=0, in_place=False)
    centre = places.mean(axis=0)
    start, end = min(pairs, key=lambda pair: _off_centre(pair, centre))
    length = float(np.hypot(*(end.middle - start.middle)))
    return FoundLimb(
        index=index,
        start=start.middle,
        # A patch larger than a joint's disc is drawn together with something else.
        end=end.middle if end.area <= _MOST_DISC_AREA else 2 * centre - start.middle,
        area=area,
        in_place=_off_centre((start, end), centre) <= 0.25 * length + 4,
    )


def _off_centre(pair: tuple[Patch, Patch], centre: np.ndarray) -> float:
    return float(np.hypot(*((pair[0].middle + pair[1].middle) / 2 - centre)))


def _expected(
    strokes: Strokes, limbs: Sequence[FoundLimb], feet: Bool[np.ndarray, "height width"]
) -> Bool[np.ndarray, "height width"]:
    """Where limbs and joints lie, with some slack; joints at the feet only if a limb has them."""
    canvas = np.zeros(feet.shape, np.uint8)
    for colour in LIMB_COLOURS:
        for disc in _discs(strokes, colour):
            x, y = _pixel(disc.middle)
            if not feet[y, x]:
                cv2.circle(canvas, (x, y), JOINT_RADIUS + _SLACK, 1, thickness=-1)
    for limb in limbs:
        start, end = _pixel(limb.start), _pixel(limb.end)
        cv2.line(canvas, start, end, 1, 2 * (LIMB_HALF_WIDTH + _SLACK) + 1)
        for middle in (start, end):
            cv2.circle(canvas, middle, JOINT_RADIUS + _SLACK, 1, thickness=-1)
    return canvas > 0


def _feet(limbs: Sequence[FoundLimb], shape: tuple[int, int]) -> UInt8[np.ndarray, "height width"]:
    """Discs beyond the ankles, in which feet would be; none where a hand could reach."""
    canvas = np.zeros(shape, np.uint8)
    for limb in limbs:
        if limb.index in _SHINS:
            middle = limb.end + 0.25 * (limb.end - limb.start)
            cv2.circle(canvas, _pixel(middle), round(0.4 * limb.length), 1, thickness=-1)
    for limb in limbs:
        if LIMBS[limb.index][1].endswith("wrist"):
            cv2.circle(canvas, _pixel(limb.end), round(limb.length), 0, thickness=-1)
    return canvas


def _pixel(place: np.ndarray) -> tuple[int, int]:
    return round(float(place[0])), round(float(place[1]))

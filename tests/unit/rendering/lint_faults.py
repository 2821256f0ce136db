"""Faults that maps have in the wild, each put into clean maps."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from rendering.colours import PART_COLOURS
from rendering.lint.strokes import hand_and_face_colours, strokes_of
from rendering.skeleton import LIMB_COLOURS
from tests.unit.rendering.lint_clips import Maps

Fault = Callable[[np.ndarray, Maps], np.ndarray]


def alone(change: Callable[[np.ndarray], np.ndarray]) -> Fault:
    """A fault that needs no other map than the one it is put into."""

    def fault(picture: np.ndarray, maps: Maps) -> np.ndarray:
        return change(picture)

    return fault


def on_body(change: Callable[[np.ndarray], np.ndarray]) -> Fault:
    """A fault on the body alone; the background stays black."""

    def fault(picture: np.ndarray, maps: Maps) -> np.ndarray:
        return np.where(body(maps), change(picture), 0).astype(np.uint8)

    return fault


def body(maps: Maps) -> np.ndarray:
    return maps["mask"] > 0


def curve(function: Callable[[np.ndarray], np.ndarray]) -> Fault:
    return alone(lambda p: np.floor(function(p / 255) * 255 + 0.5).astype(np.uint8))


def negated(channel: int) -> Fault:
    def fault(picture: np.ndarray, maps: Maps) -> np.ndarray:
        turned = picture.copy()
        turned[..., channel] = np.where(body(maps)[..., 0], 255 - picture[..., channel], 0)
        return turned

    return fault


def background(*colour: int) -> Fault:
    def fault(picture: np.ndarray, maps: Maps) -> np.ndarray:
        return np.where(body(maps), picture, np.array(colour, np.uint8)).astype(np.uint8)

    return fault


def reordered(*channels: int) -> Fault:
    return alone(lambda p: p[..., channels])


def shifted(dx: int, dy: int) -> Fault:
    return alone(lambda p: np.roll(p, (dy, dx), axis=(1, 2)))


def grown(pixels: int) -> Fault:
    change = cv2.dilate if pixels > 0 else cv2.erode
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * abs(pixels) + 1,) * 2)
    return alone(lambda p: np.stack([change(frame, kernel)[..., None] for frame in p]))


def clip_wide_depth(picture: np.ndarray, maps: Maps) -> np.ndarray:
    """Each frame at its own place in the clip's range: 0 to 160, 20 to 180, ..."""
    offsets = 30.0 * np.arange(len(picture))[:, None, None, None]
    return np.where(body(maps), offsets + picture * (160 / 255), 0).astype(np.uint8)


def resized(picture: np.ndarray) -> np.ndarray:
    height, width, channels = picture.shape[1:]
    small = [cv2.resize(p, None, fx=0.8, fy=0.8, interpolation=cv2.INTER_AREA) for p in picture]
    back = [cv2.resize(p, (width, height), interpolation=cv2.INTER_LINEAR) for p in small]
    return np.stack(back).reshape(-1, height, width, channels)


def recoloured(palette: np.ndarray) -> Fault:
    """Every pixel in the colour that the palette has for the nearest part."""

    def fault(picture: np.ndarray, maps: Maps) -> np.ndarray:
        pixels = picture[body(maps)[..., 0]].astype(int)
        part = np.abs(pixels[:, None] - PART_COLOURS.astype(int)).sum(axis=2).argmin(axis=1)
        drawn = np.zeros_like(picture)
        drawn[body(maps)[..., 0]] = palette[part]
        return drawn

    return fault


def densepose_palette(colour_map: int) -> np.ndarray:
    """Detectron2's picture of 24 parts, numbered from 1 and stretched to 255; RGB."""
    levels = (np.arange(1, 25) * (255 / 24)).astype(np.uint8)
    return cv2.applyColorMap(levels, colour_map).reshape(-1, 3)[:, ::-1]


def without_darkening(picture: np.ndarray) -> np.ndarray:
    """Limbs at full brightness: 153, 102 and 51 become 255, 170 and 85."""
    dark = picture.max(axis=-1, keepdims=True) <= 153
    return np.where(dark, np.round(picture / 0.6), picture).astype(np.uint8)


def with_lines_between_joints(edges: list[tuple[int, int]], width: int) -> Fault:
    """Another drawing: lines between patches of the joints' colours, nothing for limbs."""

    return alone(lambda p: np.stack([_with_lines(frame, edges, width) for frame in p]))


def _with_lines(picture: np.ndarray, edges: list[tuple[int, int]], width: int) -> np.ndarray:
    strokes, canvas = strokes_of(picture), np.zeros_like(picture)
    found = [strokes.patches(colour) for colour in LIMB_COLOURS]
    for start, end in edges:
        if found[start] and found[end]:
            first, second = (tuple(int(v) for v in found[i][0].middle) for i in (start, end))
            cv2.line(canvas, first, second, [int(0.6 * c) for c in LIMB_COLOURS[start]], width)
    bright = (picture.max(axis=2) > 153) | strokes.area_of(hand_and_face_colours())
    canvas[bright] = picture[bright]
    return canvas


def thin(picture: np.ndarray) -> np.ndarray:
    """Limbs at a third of their width."""
    dark = ((picture.max(axis=-1) <= 153) * 255).astype(np.uint8) * (picture.max(axis=-1) > 0)
    kept = np.stack([cv2.erode(d.astype(np.uint8), np.ones((5, 5), np.uint8)) for d in dark])
    lost = (dark > 0) & (kept == 0)
    return np.where(lost[..., None], 0, picture).astype(np.uint8)


def with_feet(picture: np.ndarray) -> np.ndarray:
    """A line from each ankle to a toe, in the colour of the ankle."""
    drawn = picture.copy()
    for frame in drawn:
        strokes = strokes_of(frame)
        for ankle in (10, 13):
            for patch in strokes.patches(LIMB_COLOURS[ankle])[:1]:
                x, y = (int(v) for v in patch.middle)
                start, end = (x, y), (x - 12, y + 18)
                cv2.line(frame, start, end, LIMB_COLOURS[ankle], 5)
    return drawn

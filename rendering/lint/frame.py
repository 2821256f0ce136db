"""One frame of all maps of a clip as the checks see it: same size, 8 bits, background black."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

from dataset.streams import GREY_STREAMS
from rendering.lint.findings import Symptom

MARGIN = 24
"""Pixels kept around the body when a frame is cropped to what is drawn."""

FAINTEST = {"mask": 128, "normal": 50, "semantic_map": 20, "dwpose": 100}
"""The least brightest channel of what is drawn, also with the wrong curve; under it: an edge."""

MAX_COLOURED = 0.001
"""The share of pixels that a grey picture may have in colour."""

_BLACK_SHARE = 0.1  # of the picture's edge, from which its background is black
_EXACT = 2  # grey levels within which a background is its colour


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Maps of one frame, cropped to what is drawn, and the silhouettes they have.

    ``pictures`` are height x width for depth and mask, height x width x 3 for the others.
    ``silhouettes`` are those of mask, normal and semantic map; ``body`` is what most of them say.
    ``lossy`` names the maps whose values are not to be taken by the letter.
    """

    pictures: Mapping[str, UInt8[np.ndarray, "height width *channels"]]
    silhouettes: Mapping[str, Bool[np.ndarray, "height width"]]
    body: Bool[np.ndarray, "height width"]
    lossy: set[str] = field(default_factory=set)


def settle_channels(
    name: str, picture: np.ndarray
) -> tuple[UInt8[np.ndarray, "height width *channels"] | None, list[Symptom]]:
    """A map's picture with 8 bits and its own channels, and what was wrong with it.

    No picture where it has so little of the map that nothing more can be said.
    """
    say = symptom_maker("channels", name)
    seen: list[Symptom] = []
    if picture.dtype != np.uint8:
        seen += say("bit_depth", str(picture.dtype), "uint8")
        picture = (picture >> 8).astype(np.uint8)
    if picture.shape[2] in (2, 4):
        if int(picture[..., -1].min()) < 255:
            seen += say("alpha", f"{picture.shape[2]} channels, alpha in use", "no alpha")
        picture = np.ascontiguousarray(picture[..., :-1])
    if name not in GREY_STREAMS:
        if picture.shape[2] == 3:
            return picture, seen
        return None, [*seen, *say("other_channels", "1 channel", "RGB")]
    if picture.shape[2] == 1:
        return picture[..., 0], seen
    share = coloured_share(picture)
    if share <= MAX_COLOURED:
        return np.ascontiguousarray(picture[..., 1]), seen
    return None, [*seen, *say("other_channels", f"{share:.1%} of the pixels coloured", "grey")]


def coloured_share(picture: UInt8[np.ndarray, "height width 3"]) -> float:
    """The share of pixels that are not grey, with room for what lossy compression does to them."""
    darkest = np.minimum(np.minimum(picture[..., 0], picture[..., 1]), picture[..., 2])
    return float((brightness(picture) - darkest > 24).mean())


def settle_backgrounds(
    pictures: Mapping[str, UInt8[np.ndarray, "height width *channels"]],
) -> tuple[dict[str, UInt8[np.ndarray, "height width *channels"]], list[Symptom]]:
    """Pictures of one size with black backgrounds, and a symptom for each that had another.

    Such a map is cleared where the others have no body; if there are no others, where it has the
    background's colour.
    """
    colours = {name: _background(picture) for name, picture in pictures.items()}
    black = {n: p for n, p in pictures.items() if int(colours[n].max()) <= _EXACT}
    shapes = _silhouettes(black)
    body = _most(shapes, black) if shapes else None
    settled, symptoms = dict(black), []
    for name in pictures.keys() - black.keys():
        settled[name], symptom = _cleared(name, pictures[name], colours[name], body)
        symptoms.append(symptom)
    return settled, symptoms


def _background(picture: UInt8[np.ndarray, "height width *channels"]) -> np.ndarray:
    """The median of the picture's outermost pixels; black if some of them are black.

    A body may reach out of the picture and cover most of its edge, but hardly all.
    """
    edges = np.concatenate((picture[0], picture[-1], picture[:, 0], picture[:, -1]))
    brightest = edges if edges.ndim == 1 else edges.max(axis=1)
    colour = np.median(edges, axis=0).astype(np.int16)
    return colour * int((brightest <= _EXACT).mean() < _BLACK_SHARE)


def _cleared(
    name: str, picture: np.ndarray, colour: np.ndarray, body: np.ndarray | None
) -> tuple[np.ndarray, Symptom]:
    shown = str(tuple(colour.tolist()) if colour.ndim else int(colour))
    if name == "mask":
        return 255 - picture, Symptom(
            check="mask", map=name, cause="mask_inverted", measured=shown, expected="0 outside"
        )
    apart = np.abs(picture.astype(np.int16) - colour)
    own = (apart if picture.ndim == 2 else apart.max(axis=2)) > 2 * _EXACT
    kept = own if body is None else body
    return picture * (kept if picture.ndim == 2 else kept[..., None]), Symptom(
        check="background", map=name, cause="background", measured=shown, expected="0"
    )


def make_frame(pictures: Mapping[str, UInt8[np.ndarray, "height width *channels"]]) -> Frame:
    """A frame of pictures of one size that ``settle_backgrounds`` gave."""
    cropped = _crop(pictures)
    silhouettes = _silhouettes(cropped)
    return Frame(pictures=cropped, silhouettes=silhouettes, body=_most(silhouettes, cropped))


def brightness(
    picture: UInt8[np.ndarray, "height width *channels"],
) -> UInt8[np.ndarray, "height width"]:
    """The brightest channel of every pixel."""
    if picture.ndim == 2:
        return picture
    return np.maximum(np.maximum(picture[..., 0], picture[..., 1]), picture[..., 2])


def grown(shape: Bool[np.ndarray, "height width"], pixels: int) -> Bool[np.ndarray, "height width"]:
    """A shape with so many pixels added on every side."""
    return cv2.dilate(shape.astype(np.uint8), _square(pixels)) > 0


def shrunk(
    shape: Bool[np.ndarray, "height width"], pixels: int
) -> Bool[np.ndarray, "height width"]:
    """A shape with so many pixels taken off every side; the picture's edge takes none."""
    return cv2.erode(shape.astype(np.uint8), _square(pixels)) > 0


def _square(pixels: int) -> np.ndarray:
    return np.ones((2 * pixels + 1, 2 * pixels + 1), np.uint8)


def _crop(pictures: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """All pictures cut to the rectangle that holds what any of them draws, and a margin."""
    rows, columns = [], []
    for picture in pictures.values():
        drawn = brightness(picture)
        rows.append(drawn.any(axis=1))
        columns.append(drawn.any(axis=0))
    spans: list[slice] = []
    for lines in (rows, columns):
        used = np.flatnonzero(np.logical_or.reduce(lines))
        end = len(lines[0])
        first, last = (int(used[0]), int(used[-1])) if len(used) else (0, 0)
        spans.append(slice(max(first - MARGIN, 0), min(last + 1 + MARGIN, end)))
    return {n: np.ascontiguousarray(p[spans[0], spans[1]]) for n, p in pictures.items()}


def _silhouettes(pictures: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {
        name: brightness(picture) >= FAINTEST[name]
        for name, picture in pictures.items()
        if name in ("mask", "normal", "semantic_map")
    }


def _most(
    silhouettes: Mapping[str, np.ndarray], pictures: Mapping[str, np.ndarray]
) -> Bool[np.ndarray, "height width"]:
    """Where most maps have the body; two that differ are settled by the one that is no mask."""
    if len(silhouettes) == 3:
        votes = sum(shape.astype(np.uint8) for shape in silhouettes.values())
        return np.asarray(votes) >= 2
    for name in ("normal", "semantic_map", "mask"):
        if name in silhouettes:
            return silhouettes[name]
    if "depth" in pictures:
        return pictures["depth"] > 0
    return np.zeros(next(iter(pictures.values())).shape[:2], np.bool_)


def symptom_maker(check: str, map_name: str) -> SymptomMaker:
    """A short way to say several things of one map."""
    return SymptomMaker(check=check, map=map_name)


@dataclass(frozen=True, slots=True, kw_only=True)
class SymptomMaker:
    """Makes symptoms of one check of one map."""

    check: str
    map: str

    def __call__(self, cause: str, measured: str, expected: str) -> Iterator[Symptom]:
        yield Symptom(
            check=self.check, map=self.map, cause=cause, measured=measured, expected=expected
        )

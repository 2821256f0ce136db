"""The semantic map: which palette its pure colours are of.

Away from the borders of parts a drawing has the palette's colours to the grey level. Those pixels
are compared with every palette that such pictures are known to have.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from rendering.colours import PART_COLOURS, linear_to_srgb, srgb_to_linear
from rendering.lint.findings import Symptom
from rendering.lint.frame import Frame, brightness, shrunk

ON_PALETTE = 0.85
"""Least share of pure pixels that have a colour of the palette; under 1 only in close-ups."""

NEAR = 1
"""Grey levels within which a pure colour is the palette's; the official scene dithers by one."""

NEAR_LOSSY = 2
SPREAD, SPREAD_LOSSY = 2, 3
"""Grey levels among the neighbours of a pure pixel."""

_LEAST_PIXELS = 50
_NAMED = 0.7  # share of pixels from which another palette is the likely cause
_NAMED_LOSSY = 0.3
_CLEARLY_LESS = 0.8  # of the best palette's share
_TIE = 0.03  # the palettes are listed from the particular to the general
_DENSEPOSE_PARTS = 24

OUR_PALETTE = "champ"


def check_semantic_map(frame: Frame) -> Iterator[Symptom]:
    """What is off with the colours of a frame's semantic map."""
    picture = frame.pictures.get("semantic_map")
    if picture is None:
        return
    lossy = "semantic_map" in frame.lossy
    pixels = pure_pixels(frame, picture, spread=SPREAD_LOSSY if lossy else SPREAD)
    if len(pixels) < _LEAST_PIXELS:
        return
    shares = palette_shares(pixels, NEAR_LOSSY if lossy else NEAR)
    cause = _judge_lossy(shares) if lossy else _judge(shares)
    if cause is not None:
        yield Symptom(
            check="semantic.palette",
            map="semantic_map",
            cause=cause,
            measured=f"{shares[OUR_PALETTE]:.0%} of the pure pixels on the palette; "
            + _others(shares),
            expected=f"over {ON_PALETTE:.0%}: VIRIDIS at 10 x part",
        )


def _judge(shares: Mapping[str, float]) -> str | None:
    """The cause that the shares of exact colours tell, None if they are ours."""
    ours, most = shares[OUR_PALETTE], max(shares.values())
    if ours >= ON_PALETTE:
        return None
    best = next(name for name, share in shares.items() if share >= most - _TIE)
    return best.split(":")[0] if most >= max(_NAMED, ours + _TIE) else "other_palette"


def _judge_lossy(shares: Mapping[str, float]) -> str | None:
    """The same of colours that compression moved, where only one palette against another tells."""
    particular = {name: share for name, share in shares.items() if name != "part_numbering"}
    best = max(particular, key=lambda name: particular[name])
    if particular[best] < _NAMED_LOSSY:
        return "other_palette"
    clear = particular[OUR_PALETTE] < _CLEARLY_LESS * particular[best]
    return best.split(":")[0] if clear else None


def _others(shares: Mapping[str, float]) -> str:
    """The palettes that fit best, with the share of the pixels on them."""
    table = sorted(shares.items(), key=lambda item: -item[1])[:3]
    others = [(name, share) for name, share in table if name != OUR_PALETTE and share >= 0.005]
    return ", ".join(f"{share:.0%} {_label(name)}" for name, share in others) or "no other fits"


def pure_pixels(
    frame: Frame, picture: UInt8[np.ndarray, "height width 3"], *, spread: int
) -> UInt8[np.ndarray, "pixels 3"]:
    """Pixels within ``spread`` grey levels of all their neighbours, inside the silhouette."""
    square = np.ones((3, 3), np.uint8)
    apart = brightness(cv2.dilate(picture, square) - cv2.erode(picture, square))
    return picture[shrunk(frame.silhouettes["semantic_map"], 1) & (apart <= spread)]


def palette_shares(pixels: UInt8[np.ndarray, "pixels 3"], near: int) -> dict[str, float]:
    """The share of pixels within ``near`` levels of a colour of each palette."""
    codes = (pixels.astype(np.int32) << (16, 8, 0)).sum(axis=1)
    found, counts = np.unique(codes, return_counts=True)
    colours = (found[:, None] >> np.array((16, 8, 0))) & 255
    return {
        name: float(counts[_near(colours, palette, near)].sum()) / len(pixels)
        for name, palette in known_palettes().items()
    }


@cache
def known_palettes() -> dict[str, UInt8[np.ndarray, "colours 3"]]:
    """Palettes by the cause they are named as and, after a colon, which of several it is."""
    levels = np.arange(256, dtype=np.uint8)
    part_levels = np.arange(1, _DENSEPOSE_PARTS + 1) * 255.0 / _DENSEPOSE_PARTS
    palettes = {
        OUR_PALETTE: PART_COLOURS,
        "semantic_bgr": PART_COLOURS[:, ::-1],
        "semantic_linear": _levels(srgb_to_linear(PART_COLOURS / 255.0)),
        "semantic_srgb_twice": _levels(linear_to_srgb(PART_COLOURS / 255.0)),
    }
    for name, colour_map in (
        ("VIRIDIS", cv2.COLORMAP_VIRIDIS),
        ("PARULA", cv2.COLORMAP_PARULA),
        ("JET", cv2.COLORMAP_JET),
    ):
        drawn = cv2.applyColorMap(part_levels.astype(np.uint8), colour_map).reshape(-1, 3)
        palettes[f"densepose:{name}"] = drawn[:, ::-1]
        palettes[f"densepose:{name} as BGR"] = drawn
    viridis = cv2.applyColorMap(levels, cv2.COLORMAP_VIRIDIS).reshape(-1, 3)
    palettes["part_numbering"] = viridis[:, ::-1]
    return palettes


def _near(colours: np.ndarray, palette: np.ndarray, near: int) -> np.ndarray:
    apart = np.abs(colours[:, None] - palette[None].astype(np.int32)).max(axis=2)
    return apart.min(axis=1) <= near


def _levels(values: Float[np.ndarray, "colours 3"]) -> UInt8[np.ndarray, "colours 3"]:
    return np.floor(values * 255 + 0.5).astype(np.uint8)


def _label(name: str) -> str:
    labels = {
        "semantic_bgr": "on it with red and blue swapped",
        "semantic_linear": "on it in linear light",
        "semantic_srgb_twice": "on it with the sRGB curve twice",
        "part_numbering": "on VIRIDIS",
    }
    return labels.get(name, f"on DensePose's 24 parts ({name.partition(':')[2]})")

"""Values that no drawing has: compression's ringing around the body, edges mixed by resizing.

Everything is drawn with one sample a pixel on black, so a pixel is either part of the drawing or 0.
Resizing leaves faint values in the pixel or two along an edge; compression spreads them further.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from jaxtyping import Bool

from rendering.lint.findings import Symptom
from rendering.lint.frame import FAINTEST, Frame, brightness, grown

RINGING = (3, 6)
"""Distances from what is drawn, in pixels, at which compression still leaves values."""

MAX_RINGING = 0.012
"""The share of pixels at those distances that may be other than 0."""

MAX_FAINT = 0.2
"""How many faint pixels within two pixels of the edge there may be for each pixel of edge."""

DITHER = 1
"""Blender's dithering, which the official scene has on, leaves the background at 0 or 1."""

_FAINT_DEPTH = 24  # a depth may be as dark as 0: only faint values off the body count
_LEAST_PIXELS = 60


def check_edges(frame: Frame) -> Iterator[Symptom]:
    """Lossy or resampled maps; the lossy ones are noted in ``frame.lossy``."""
    for name, picture in frame.pictures.items():
        bright = brightness(picture)
        if name == "depth":
            if not frame.silhouettes:
                continue
            solid = np.logical_or.reduce([*frame.silhouettes.values(), bright >= _FAINT_DEPTH])
        else:
            solid = bright >= FAINTEST[name]
        yield from _check_map(frame, name, (bright > DITHER) & ~solid, solid)


def _check_map(
    frame: Frame,
    name: str,
    faint: Bool[np.ndarray, "height width"],
    solid: Bool[np.ndarray, "height width"],
) -> Iterator[Symptom]:
    if int(solid.sum()) < _LEAST_PIXELS:
        return
    distance = cv2.distanceTransform((~solid).astype(np.uint8), cv2.DIST_C, 3)
    around = (distance >= RINGING[0] - 0.5) & (distance <= RINGING[1] + 0.5)
    ringing = float((faint & around).sum()) / max(int(around.sum()), 1)
    edge = int((grown(solid, 1) & ~solid).sum())
    mixed = float((faint & (distance < 2.5)).sum()) / max(edge, 1)
    if ringing > MAX_RINGING:
        frame.lossy.add(name)
        yield Symptom(
            check="edges",
            map=name,
            cause="lossy",
            measured=f"{ringing:.0%} of the pixels {RINGING[0]} to {RINGING[1]} px off are not 0",
            expected="0 outside what is drawn",
        )
    elif mixed > MAX_FAINT:
        frame.lossy.add(name)
        yield Symptom(
            check="edges",
            map=name,
            cause="resampled",
            measured=f"{mixed:.1f} faint pixels for each pixel of edge",
            expected="edges without values between the drawing and 0",
        )

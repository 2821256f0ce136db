"""The skeleton picture: is it the drawing of ``rendering.skeleton``, and does it lie on the body.

The 18 joint colours and the limb colours stay the same set when red and blue are swapped; what
tells is which limb lies between which joints.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from jaxtyping import UInt8

from rendering.lint.findings import Symptom
from rendering.lint.frame import Frame, brightness, grown
from rendering.lint.skeleton_layout import FoundLimb, find_limbs, stray_share
from rendering.lint.strokes import Strokes, drawing_colours, strokes_of

ON_PALETTE = 0.97
"""Least share of drawn pixels that have a colour of the drawing."""

IN_PLACE = 0.7
"""Least share of the limbs that lie between their joints."""

LIMB_WIDTH = (3.5, 11.0)
"""Area of a limb by its length, in pixels, as a median; 5 to 6 is usual."""

STRAY = 0.02
"""Share of the body's drawing that may lie off the limbs and joints that were found."""

ON_BODY = 0.7
"""Least share of the limbs' pixels that lie on the body; 0.99 where the fit is good."""

_BODY_REACH = 3  # pixels by which a limb may stick out of a thin arm
_LEAST_PIXELS = 60
_LEAST_LIMBS = 3
_LEAST_LIMBS_OF_MOST = 5  # of a body so far out of the picture too little is known


def check_skeleton(frame: Frame) -> Iterator[Symptom]:
    """What is off with the skeleton of a frame; nothing where too little of it is drawn."""
    picture = frame.pictures.get("dwpose")
    if picture is None or int((brightness(picture) >= 100).sum()) < _LEAST_PIXELS:
        return
    if "dwpose" not in frame.lossy:
        found = list(_check_drawing(strokes_of(picture)))
        yield from found
        if found:
            return
    yield from _check_place(frame, picture)


def _check_drawing(strokes: Strokes) -> Iterator[Symptom]:
    """The first thing that is wrong with how it is drawn; the rest follows from it."""
    share = strokes.on_palette(drawing_colours())
    swapped_share = strokes.on_palette(drawing_colours()[:, ::-1])
    limbs = find_limbs(strokes)
    if _not_darkened(limbs):
        yield Symptom(
            check="skeleton.colours",
            map="dwpose",
            cause="skeleton_not_darkened",
            measured=f"{len(limbs)} limbs have both joints, no pixel has 0.6 of a limb's colour",
            expected="limbs at 0.6 of the joints' brightness",
        )
        return
    place, swapped_place = _in_place(limbs), _in_place(find_limbs(strokes, swapped=True))
    misplaced = place is not None and place < IN_PLACE
    measured = f"{place or 0:.0%} of the limbs between their joints"
    measured += f" ({swapped_place or 0:.0%} with red and blue swapped)"
    say = partial(Symptom, check="skeleton.limbs", map="dwpose")
    only_hands = place is None and share < ON_PALETTE < swapped_share
    if only_hands or (place or 0) < IN_PLACE <= (swapped_place or 0):
        yield say(cause="skeleton_bgr", measured=measured, expected=f"over {IN_PLACE:.0%}")
    elif share < ON_PALETTE:
        yield Symptom(
            check="skeleton.colours",
            map="dwpose",
            cause="skeleton_other_drawing",
            measured=f"{share:.0%} of the drawn pixels have a colour of the drawing",
            expected=f"over {ON_PALETTE:.0%}",
        )
    elif misplaced:
        yield say(
            cause="skeleton_other_drawing", measured=measured, expected=f"over {IN_PLACE:.0%}"
        )
    else:
        yield from _check_strokes(strokes, limbs)


def _check_strokes(strokes: Strokes, limbs: list[FoundLimb]) -> Iterator[Symptom]:
    say = partial(Symptom, check="skeleton.strokes", map="dwpose")
    widths = [limb.area / limb.length for limb in limbs if limb.length >= 24 and limb.area]
    width = float(np.median(widths)) if len(widths) >= _LEAST_LIMBS else None
    if width is not None and not LIMB_WIDTH[0] <= width <= LIMB_WIDTH[1]:
        yield say(
            cause="skeleton_line_width",
            measured=f"limbs {width:.1f} px wide on average",
            expected=f"{LIMB_WIDTH[0]:g} to {LIMB_WIDTH[1]:g} px",
        )
    stray, at_feet = stray_share(strokes, limbs)
    if stray > STRAY and sum(limb.area > 0 for limb in limbs) >= _LEAST_LIMBS_OF_MOST:
        cause = "skeleton_feet" if at_feet > 0.6 else "skeleton_other_drawing"
        yield say(
            cause=cause,
            measured=f"{stray:.0%} of the drawing off the limbs, {at_feet:.0%} of that at the feet",
            expected=f"under {STRAY:.0%}",
        )


def _check_place(frame: Frame, picture: UInt8[np.ndarray, "height width 3"]) -> Iterator[Symptom]:
    if not frame.silhouettes or not frame.body.any():
        return
    bright = brightness(picture)
    drawn = (bright >= 100) & (bright <= 180) if "dwpose" not in frame.lossy else bright >= 100
    if int(drawn.sum()) < _LEAST_PIXELS:
        return
    share = float(grown(frame.body, _BODY_REACH)[drawn].mean())
    if share < ON_BODY:
        yield Symptom(
            check="skeleton.place",
            map="dwpose",
            cause="skeleton_off_body",
            measured=f"{share:.0%} of the limbs' pixels on the body",
            expected=f"over {ON_BODY:.0%}",
        )


def _in_place(limbs: list[FoundLimb]) -> float | None:
    """The share of the limbs with pixels that lie between their joints; None if they are few."""
    seen = [limb for limb in limbs if limb.area]
    enough = len(seen) >= _LEAST_LIMBS
    return sum(limb.in_place for limb in seen) / len(seen) if enough else None


def _not_darkened(limbs: list[FoundLimb]) -> bool:
    return len(limbs) >= _LEAST_LIMBS and not any(limb.area for limb in limbs)

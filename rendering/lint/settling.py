"""Making what was read comparable: 8 bits, a map's own channels, a black background.

What had to be changed for that is a symptom; the checks that follow see the map as it should be.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
from jaxtyping import UInt8

from dataset.streams import GREY_STREAMS
from rendering.lint.findings import Symptom
from rendering.lint.frame import NEARLY_BLACK, body_of, brightness, silhouettes_of

MAX_COLOURED = 0.001
"""The share of pixels that a grey picture may have in colour."""

_COLOURED = 24  # grey levels between channels that lossy compression of grey does not make
_BLACK_SHARE = 0.1  # of the picture's edge, from which its background is black


def settle_channels(
    name: str, picture: np.ndarray
) -> tuple[UInt8[np.ndarray, "height width *channels"] | None, list[Symptom]]:
    """A map's picture with 8 bits and its own channels, and what was wrong with it.

    No picture where it has so little of the map that nothing more can be said.
    """
    say = partial(Symptom, check="channels", map=name)
    seen: list[Symptom] = []
    if picture.dtype != np.uint8:
        seen.append(say(cause="bit_depth", measured=str(picture.dtype), expected="uint8"))
        picture = (picture >> 8).astype(np.uint8)
    if picture.shape[2] in (2, 4):
        if int(picture[..., -1].min()) < 255:
            channels = f"{picture.shape[2]} channels, alpha in use"
            seen.append(say(cause="alpha", measured=channels, expected="no alpha"))
        picture = np.ascontiguousarray(picture[..., :-1])
    if name not in GREY_STREAMS:
        if picture.shape[2] == 3:
            return picture, seen
        seen.append(say(cause="other_channels", measured="1 channel", expected="RGB"))
        return None, seen
    if picture.shape[2] == 1:
        return picture[..., 0], seen
    share = coloured_share(picture)
    if share <= MAX_COLOURED:
        return np.ascontiguousarray(picture[..., 1]), seen
    coloured = f"{share:.1%} of the pixels coloured"
    return None, [*seen, say(cause="other_channels", measured=coloured, expected="grey")]


def coloured_share(picture: UInt8[np.ndarray, "height width 3"]) -> float:
    """The share of pixels that are not grey, with room for what lossy compression does to them."""
    darkest = np.minimum(np.minimum(picture[..., 0], picture[..., 1]), picture[..., 2])
    return float((brightness(picture) - darkest > _COLOURED).mean())


def settle_backgrounds(
    pictures: Mapping[str, UInt8[np.ndarray, "height width *channels"]],
) -> tuple[dict[str, UInt8[np.ndarray, "height width *channels"]], list[Symptom]]:
    """Pictures of one size with black backgrounds, and a symptom for each that had another.

    Such a map is cleared where the others have no body; if there are no others, where it has the
    background's colour.
    """
    colours = {name: _background(picture) for name, picture in pictures.items()}
    black = {n: p for n, p in pictures.items() if int(colours[n].max()) <= NEARLY_BLACK}
    shapes = silhouettes_of(black)
    body = body_of(shapes, black) if shapes else None
    settled, symptoms = dict(black), []
    for name in [name for name in pictures if name not in black]:
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
    return colour * int((brightest <= NEARLY_BLACK).mean() < _BLACK_SHARE)


def _cleared(
    name: str, picture: np.ndarray, colour: np.ndarray, body: np.ndarray | None
) -> tuple[np.ndarray, Symptom]:
    shown = str(tuple(colour.tolist()) if colour.ndim else int(colour))
    if name == "mask":
        return 255 - picture, Symptom(
            check="mask", map=name, cause="mask_inverted", measured=shown, expected="0 outside"
        )
    apart = np.abs(picture.astype(np.int16) - colour)
    own = (apart if picture.ndim == 2 else apart.max(axis=2)) > 2 * NEARLY_BLACK
    kept = own if body is None else body
    return picture * (kept if picture.ndim == 2 else kept[..., None]), Symptom(
        check="background", map=name, cause="background", measured=shown, expected="0"
    )

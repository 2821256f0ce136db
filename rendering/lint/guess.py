"""Which map a picture is, from what it shows."""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8

from rendering.lint.frame import Frame, brightness, make_frame, shrunk
from rendering.lint.normals import length_errors
from rendering.lint.palette import pure_pixels
from rendering.lint.settling import MAX_COLOURED, coloured_share, settle_backgrounds

_NORMAL_ERROR = 0.08
_SATURATED_SHARE = 0.6
_PURE_SHARE = 0.3
_SPREAD = 8  # grey levels among neighbours of one part, lossy compression included
_DARK_SHARE = 0.3


def guess_map(picture: np.ndarray) -> str:
    """The map's name: mask, depth, normal, semantic_map or dwpose.

    Raises:
        ValueError: None of them is likely; the caller must say which it is.
    """
    picture = picture[..., :3]
    if picture.dtype == np.uint16:
        picture = (picture >> 8).astype(np.uint8)
    if picture.shape[2] == 1 or coloured_share(picture) <= MAX_COLOURED:
        return _guess_grey(picture[..., 0])
    settled, _ = settle_backgrounds({"semantic_map": picture})
    cleared = settled["semantic_map"]
    frame = make_frame({"normal": cleared, "semantic_map": cleared})
    body = frame.silhouettes["semantic_map"]
    if float((brightness(cleared) < 20).mean()) < _DARK_SHARE or not body.any():
        raise _unknown()
    return _guess_colour(frame, body)


def _guess_grey(picture: UInt8[np.ndarray, "height width"]) -> str:
    extreme = float(((picture < 16) | (picture > 239)).mean())
    drawn = picture[picture >= 16]
    bright = float((drawn > 239).mean()) if len(drawn) else 0.0
    return "mask" if extreme > 0.9 and bright > 0.8 else "depth"


def _guess_colour(frame: Frame, body: np.ndarray) -> str:
    picture = frame.pictures["normal"]
    darkest = picture[body].min(axis=1)
    saturated = (darkest < 40) & (picture[body].max(axis=1) > 120)
    if float((saturated | (darkest > 215)).mean()) > _SATURATED_SHARE:
        return "dwpose"  # rainbow colours and white
    inner = shrunk(body, 3)
    if inner.any() and min(length_errors(picture[inner] / 255.0).values()) < _NORMAL_ERROR:
        return "normal"
    if len(pure_pixels(frame, picture, spread=_SPREAD)) > _PURE_SHARE * float(body.sum()):
        return "semantic_map"
    raise _unknown()


def _unknown() -> ValueError:
    return ValueError("cannot tell which map this is; say it with --map")

"""Normals: which encoding they have, and where their axes point (conventions: Guidance maps).

The length of a normal tells the encoding, whatever the axes. What is seen leans towards the camera,
so one component is positive everywhere and tells the order of the channels. At the silhouette a
surface turns away outwards, so the other two must point where the silhouette does.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from rendering.colours import linear_to_srgb, srgb_to_linear
from rendering.lint.findings import Symptom
from rendering.lint.frame import Frame, shrunk

LENGTH_ERROR = 0.03
"""Median distance of a normal's length from 1; rounding to 8 bits makes 0.003."""

LENGTH_ERROR_LOSSY = 0.08
TOWARDS_SHARE = 0.9
"""Least share of pixels whose normal points towards the camera; 0.997 is usual."""

AGREEMENT = 0.3
"""Correlation with the silhouette's outward direction that decides a sign; 0.5 to 0.95 is usual."""

_MOST_PIXELS = 40_000
_LEAST_PIXELS = 100


def check_normals(frame: Frame) -> Iterator[Symptom]:
    """What is off with the normal map of a frame; nothing where too little of it is seen."""
    picture = frame.pictures.get("normal")
    if picture is None:
        return
    inside = shrunk(frame.body & frame.silhouettes["normal"], 2)
    if int(inside.sum()) < _LEAST_PIXELS:
        return
    pixels = _sample(picture[inside]) / 255.0
    encoding, symptom = _encoding(pixels, lossy="normal" in frame.lossy)
    if symptom is not None:
        yield symptom
    if encoding != "other":
        yield from _check_axes(frame, picture, pixels, encoding)


def decode_normals(values: Float[np.ndarray, "*shape"], encoding: str) -> np.ndarray:
    """Normals from values in [0, 1]: ``linear`` is right, the others undo an sRGB curve."""
    if encoding == "srgb_encoded":
        values = srgb_to_linear(values)
    elif encoding == "srgb_decoded":
        values = linear_to_srgb(values)
    return 2.0 * values - 1.0


def length_errors(pixels: Float[np.ndarray, "pixels 3"]) -> dict[str, float]:
    """The median distance of the normals' lengths from 1 under each encoding."""
    return {
        name: float(np.median(np.abs(np.linalg.norm(decode_normals(pixels, name), axis=1) - 1)))
        for name in ("linear", "srgb_encoded", "srgb_decoded")
    }


def _sample(pixels: UInt8[np.ndarray, "pixels 3"]) -> np.ndarray:
    return pixels[:: max(1, len(pixels) // _MOST_PIXELS)]


def _encoding(pixels: Float[np.ndarray, "pixels 3"], *, lossy: bool) -> tuple[str, Symptom | None]:
    errors = length_errors(pixels)
    limit = LENGTH_ERROR_LOSSY if lossy else LENGTH_ERROR
    if errors["linear"] <= limit:
        return "linear", None
    say = partial(Symptom, check="normal.length", map="normal", expected=f"unit length to {limit}")
    best = min(errors, key=lambda name: errors[name])
    measured = f"lengths are off 1 by {errors['linear']:.2f}"
    if best != "linear" and errors[best] <= limit:
        measured += f", after undoing the curve by {errors[best]:.2f}"
        return best, say(cause=f"normal_{best}", measured=measured)
    return "other", say(cause="normal_not_unit", measured=measured)


def _check_axes(
    frame: Frame, picture: UInt8[np.ndarray, "height width 3"], pixels: np.ndarray, encoding: str
) -> Iterator[Symptom]:
    towards = (decode_normals(pixels, encoding) > 0).mean(axis=0)
    order = (0, 1, 2)
    shares = ", ".join(f"{c} {share:.0%}" for c, share in zip("RGB", towards, strict=True))
    say = partial(
        Symptom,
        check="normal.axes",
        map="normal",
        measured=f"over one half: {shares}",
        expected="B on all that is seen",
    )
    one_sided = np.abs(towards - 0.5) + 0.5
    if one_sided.max() < TOWARDS_SHARE or one_sided[1] > max(one_sided[[0, 2]]):
        yield say(cause="normal_other_axes")
        return
    if one_sided[0] > one_sided[2]:
        yield say(cause="normal_bgr")
        order = (2, 1, 0)
    if towards[order[2]] < 0.5:
        yield say(cause="normal_z_away")
    yield from _check_signs(frame, picture[..., order], encoding)


def _check_signs(
    frame: Frame, picture: UInt8[np.ndarray, "height width 3"], encoding: str
) -> Iterator[Symptom]:
    """Whether x points right and y up, by the silhouette; the picture is in RGB order."""
    ring, out_x, out_y = outline(frame.body & frame.silhouettes["normal"])
    if int(ring.sum()) < _LEAST_PIXELS:
        return
    x, y, _ = decode_normals(picture[ring] / 255.0, encoding).T
    right, up = out_x[ring], -out_y[ring]
    upright = _correlation(x, right), _correlation(y, up)
    crossed = _correlation(x, up), _correlation(y, right)
    say = partial(
        Symptom,
        check="normal.axes",
        map="normal",
        measured=f"R {upright[0]:+.2f}, G {upright[1]:+.2f} with the silhouette's direction",
        expected="positive: normals point outwards at the silhouette",
    )
    if min(map(abs, crossed)) > max(map(abs, upright)) + AGREEMENT:
        yield say(cause="normal_other_axes")
        return
    if upright[0] < -AGREEMENT:
        yield say(cause="normal_x_left")
    if upright[1] < -AGREEMENT:
        yield say(cause="normal_y_down")


def outline(
    body: Bool[np.ndarray, "height width"], inset: int = 0
) -> tuple[Bool[np.ndarray, "height width"], np.ndarray, np.ndarray]:
    """Pixels so far inside the outline, and the outward direction (x right, y down) everywhere.

    Where the picture cuts the body off there is no outline.
    """
    soft = cv2.GaussianBlur(body.astype(np.float32), (0, 0), 2.0)
    x, y = -cv2.Sobel(soft, cv2.CV_32F, 1, 0), -cv2.Sobel(soft, cv2.CV_32F, 0, 1)
    length = np.hypot(x, y) + 1e-9
    ring = (shrunk(body, inset) if inset else body) & ~shrunk(body, inset + 1)
    for edge in (ring[:4], ring[-4:], ring[:, :4], ring[:, -4:]):
        edge[...] = False
    return ring, x / length, y / length


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Of two directions' components, not centred; 0 where one hardly varies."""
    size = float(np.sqrt((one**2).sum() * (other**2).sum()))
    return float((one * other).sum()) / size if size > 1e-6 else 0.0

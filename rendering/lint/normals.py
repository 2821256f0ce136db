"""Normals: which encoding they have, and where their axes point (conventions: Guidance maps).

The length of a normal tells the encoding, whatever the axes. What is seen leans towards the camera,
so one component is positive everywhere and tells the order of the channels. At the silhouette a
surface turns away outwards, so the other two must point where the silhouette does.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from rendering.colours import linear_to_srgb, srgb_to_linear
from rendering.lint.findings import Symptom
from rendering.lint.frame import Frame, shrunk, symptom_maker

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
    yield from symptom
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


def _encoding(
    pixels: Float[np.ndarray, "pixels 3"], *, lossy: bool
) -> tuple[str, Iterator[Symptom]]:
    errors = length_errors(pixels)
    limit = LENGTH_ERROR_LOSSY if lossy else LENGTH_ERROR
    if errors["linear"] <= limit:
        return "linear", iter(())
    say = symptom_maker("normal.length", "normal")
    best = min(errors, key=lambda name: errors[name])
    measured = f"lengths are off 1 by {errors['linear']:.2f}"
    if best != "linear" and errors[best] <= limit:
        measured += f", after undoing the curve by {errors[best]:.2f}"
        return best, say(f"normal_{best}", measured, f"unit length to {limit}")
    return "other", say("normal_not_unit", measured, f"unit length to {limit}")


def _check_axes(
    frame: Frame, picture: UInt8[np.ndarray, "height width 3"], pixels: np.ndarray, encoding: str
) -> Iterator[Symptom]:
    say = symptom_maker("normal.axes", "normal")
    normals = decode_normals(pixels, encoding)
    towards = (normals > 0).mean(axis=0)
    order = (0, 1, 2)
    shares = ", ".join(f"{c} {share:.0%}" for c, share in zip("RGB", towards, strict=True))
    expected = "B over one half on all that is seen"
    one_sided = np.abs(towards - 0.5) + 0.5
    if one_sided.max() < TOWARDS_SHARE or one_sided[1] > max(one_sided[[0, 2]]):
        yield from say("normal_other_axes", f"over one half: {shares}", expected)
        return
    if one_sided[0] > one_sided[2]:
        yield from say("normal_bgr", f"over one half: {shares}", expected)
        order = (2, 1, 0)
    if towards[order[2]] < 0.5:
        yield from say("normal_z_away", f"over one half: {shares}", expected)
    yield from _check_signs(frame, decode_normals(picture[..., order] / 255.0, encoding))


def _check_signs(frame: Frame, normals: Float[np.ndarray, "height width 3"]) -> Iterator[Symptom]:
    """Whether x points right and y up, by the silhouette."""
    ring, out_x, out_y = outline(frame.body & frame.silhouettes["normal"])
    if int(ring.sum()) < _LEAST_PIXELS:
        return
    say = symptom_maker("normal.axes", "normal")
    x, y, right, up = normals[ring][:, 0], normals[ring][:, 1], out_x[ring], -out_y[ring]
    upright = _correlation(x, right), _correlation(y, up)
    crossed = _correlation(x, up), _correlation(y, right)
    expected = "positive: normals point outwards at the silhouette"
    measured = f"R {upright[0]:+.2f}, G {upright[1]:+.2f} with the silhouette's direction"
    if min(map(abs, crossed)) > max(map(abs, upright)) + AGREEMENT:
        yield from say("normal_other_axes", f"{measured}, the other way round better", expected)
        return
    if upright[0] < -AGREEMENT:
        yield from say("normal_x_left", measured, expected)
    if upright[1] < -AGREEMENT:
        yield from say("normal_y_down", measured, expected)


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

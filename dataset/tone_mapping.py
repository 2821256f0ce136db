"""High dynamic range to standard: PQ and HLG pictures as a BT.709 display would show them.

Sources: ITU-R BT.2100-2 (transfer functions, HLG's system gamma), BT.2408 (203 cd/m2 is the white
of a page, so it is what standard range calls white), BT.2390 (the curve that rolls highlights
off), BT.2087 (BT.2020 to BT.709 primaries), BT.1886 (a standard display's gamma of 2.4).
"""

from __future__ import annotations

from functools import cache

import numpy as np
from jaxtyping import Float, Float32, UInt8, UInt16

WHITE_NITS = 203.0  # BT.2408: what standard range shows as 255
PEAK_NITS = 1000.0  # brightest source; BT.2100's HLG display, and most PQ is graded for it
_HLG_GAMMA = 1.2  # BT.2100: the system gamma of a display of 1000 cd/m2
_LUMINANCE = np.array([0.2627, 0.6780, 0.0593], np.float32)
_TO_BT709 = np.array(  # BT.2087: linear BT.2020 to linear BT.709
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]],
    np.float32,
)
_STEPS = 4095  # of the tables; their index is a root of the value, so the dark end is finer


def pq_nits(code: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """BT.2100's PQ EOTF: a code in [0, 1] to cd/m2."""
    root = np.power(code, 1 / 78.84375)
    return 10000 * np.power(
        np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root), 1 / 0.1593017578125
    )


def pq_code(nits: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """The inverse of ``pq_nits``."""
    root = np.power(np.asarray(nits) / 10000, 0.1593017578125)
    return np.power((0.8359375 + 18.8515625 * root) / (1 + 18.6875 * root), 78.84375)


def hlg_scene(code: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """BT.2100's inverse HLG OETF: a code in [0, 1] to scene light in [0, 1]."""
    bright = (np.exp((np.maximum(code, 0.5) - 0.55991073) / 0.17883277) + 0.28466892) / 12
    return np.where(code <= 0.5, np.square(code) / 3, bright)


def rolled_off(nits: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """BT.2390's EETF from ``PEAK_NITS`` to ``WHITE_NITS``: a line, then a spline to white."""
    peak = pq_code(np.array(PEAK_NITS))
    white = float(pq_code(np.array(WHITE_NITS)) / peak)
    knee = 1.5 * white - 0.5
    code = np.minimum(pq_code(nits) / peak, 1.0)
    t = np.maximum(code - knee, 0) / (1 - knee)
    spline = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee)
    spline += (3 * t**2 - 2 * t**3) * white
    return pq_nits(np.where(code < knee, code, spline) * peak)


def to_standard_range(
    picture: UInt16[np.ndarray, "height width 3"], transfer: str
) -> UInt8[np.ndarray, "height width 3"]:
    """A BT.2020 picture, coded by ``transfer`` ("pq" or "hlg"), as BT.709 RGB.

    The curve acts on the largest channel and scales all three, which keeps hues.
    """
    nits = _nits(picture, transfer)
    largest = nits.max(axis=-1)
    nits *= _gains()[_root_index(largest / PEAK_NITS, 4)][..., None]
    linear = np.clip(nits @ (_TO_BT709.T / np.float32(WHITE_NITS)), 0, 1)
    return _display_codes()[_root_index(linear, 2)]


def _nits(picture: np.ndarray, transfer: str) -> Float32[np.ndarray, "height width 3"]:
    light = _light(transfer)[picture]
    if transfer == "hlg":  # the display's gamma acts on luminance (BT.2100, table 5)
        light *= PEAK_NITS * np.power(light @ _LUMINANCE, _HLG_GAMMA - 1)[..., None]
    return light


def _root_index(values: np.ndarray, root: int) -> np.ndarray:
    rooted = np.sqrt(np.clip(values, 0, 1))
    if root == 4:
        rooted = np.sqrt(rooted)
    return (rooted * _STEPS + 0.5).astype(np.uint16)


@cache
def _light(transfer: str) -> Float32[np.ndarray, " 65536"]:
    code = np.arange(65536) / 65535
    return (pq_nits(code) if transfer == "pq" else hlg_scene(code)).astype(np.float32)


@cache
def _gains() -> Float32[np.ndarray, " steps"]:
    nits = PEAK_NITS * (np.arange(1, _STEPS + 1) / _STEPS) ** 4
    gains = rolled_off(nits) / nits
    return np.concatenate([[1.0], gains]).astype(np.float32)


@cache
def _display_codes() -> UInt8[np.ndarray, " steps"]:
    linear = (np.arange(_STEPS + 1) / _STEPS) ** 2
    return np.round(255 * linear ** (1 / 2.4)).astype(np.uint8)

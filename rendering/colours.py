"""The colours of the body's parts, and the way between sRGB grey levels and linear light."""

from __future__ import annotations

from functools import cache

import numpy as np
from jaxtyping import Float, Float32, Int32, UInt8

PART_COLOURS: UInt8[np.ndarray, "24 3"] = np.array(
    (
        (68, 1, 84), (71, 16, 99), (72, 29, 111), (71, 42, 122), (69, 55, 129), (65, 66, 135),
        (61, 78, 138), (56, 89, 140), (51, 99, 141), (46, 109, 142), (42, 118, 142),
        (39, 128, 142), (35, 137, 142), (32, 146, 140), (30, 156, 137), (33, 165, 133),
        (40, 174, 128), (53, 183, 121), (70, 192, 111), (90, 200, 100), (112, 207, 87),
        (137, 213, 72), (162, 218, 55), (189, 223, 38),
    ),
    dtype=np.uint8,
)  # fmt: skip
"""RGB of SMPL joints 0 to 23: VIRIDIS at 10 times the joint (conventions: Guidance maps)."""
PART_COLOURS.setflags(write=False)


def srgb_to_linear(grey: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Decode sRGB values in [0, 1] to linear light in [0, 1] (IEC 61966-2-1)."""
    return np.where(grey <= 0.04045, grey / 12.92, ((grey + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(light: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Encode linear light in [0, 1] as sRGB values in [0, 1]; inverse of ``srgb_to_linear``."""
    curve = 1.055 * np.maximum(light, 0.0031308) ** (1 / 2.4) - 0.055
    return np.where(light <= 0.0031308, light * 12.92, curve)


@cache
def srgb_table() -> UInt8[np.ndarray, " 65536"]:
    """The sRGB grey level (0 to 255) of linear light i / 65535, for every i.

    So fine that light between two entries is off by at most 0.03 grey levels before rounding.
    """
    table = np.floor(linear_to_srgb(np.arange(65536) / 65535) * 255 + 0.5).astype(np.uint8)
    table.setflags(write=False)
    return table


def vertex_colours(
    vertex_parts: Int32[np.ndarray, " vertices"],
) -> Float32[np.ndarray, "vertices 3"]:
    """The colour of each vertex's part in linear light, in which colours are interpolated."""
    return srgb_to_linear(PART_COLOURS / 255.0).astype(np.float32)[vertex_parts]

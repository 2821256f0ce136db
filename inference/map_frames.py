"""Where the sampler gets its guidance maps from: a few frames at a time, when it asks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Float, UInt8
from torch import Tensor

Maps = (
    Float[Tensor, "batch maps 3 frames height width"]
    | UInt8[Tensor, "batch maps 3 frames height width"]
)
"""In the network's order of maps, in [0, 1] or as bytes; on any device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MapFrames:
    """The maps of a clip of ``frames`` frames, drawn or read when they are asked for.

    ``read(start, stop)`` gives the maps of the frames from ``start`` up to ``stop``, exclusive.
    The sampler asks for every frame once, a portion at a time, in no promised order.
    """

    frames: int
    read: Callable[[int, int], Maps]


def held_maps(maps: Maps) -> MapFrames:
    """Maps that are in memory already.

    Raises:
        ValueError: Another number of axes.
    """
    if maps.ndim != 6:
        raise ValueError(
            f"maps must be (batch, maps, 3, frames, height, width), got {tuple(maps.shape)}"
        )
    return MapFrames(frames=maps.shape[3], read=lambda start, stop: maps[:, :, :, start:stop])

"""The maps of an animation: drawn or read a few frames at a time, framed, handed to the sampler."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from dataset.errors import ItemError
from dataset.records import BodyTrack, GuidanceMaps
from inference.framing import Framing
from inference.map_frames import MapFrames
from rendering.body_model import BodyModel
from rendering.maps import draw_map_chunks
from rendering.rasterizer import Rasterizer
from rendering.track import select_frames

FRAMES_AT_ONCE = 24
"""Frames that are looked at together where only the extent of what is drawn is wanted."""

Pictures = UInt8[np.ndarray, "frames height width channels"]


class MapSource(Protocol):
    """The maps of a clip, all of one size; ``names`` in the network's order."""

    @property
    def names(self) -> Sequence[str]: ...

    @property
    def frames(self) -> int: ...

    def read(self, frames: Sequence[int]) -> Iterator[list[Pictures]]:
        """Some frames, in the order asked for, a few at a time: a picture stack for each name."""
        ...

    def extent(self) -> Float32[np.ndarray, "1 4"] | None:
        """The box of all that is drawn in any frame: x0, y0, x1, y1 in pixels; None: nothing."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnMaps:
    """The maps of a body in motion, drawn when they are asked for.

    ``points`` are those of the skeleton, in pixels of the track's camera.

    Raises:
        ItemError: ``animate.maps``: a name of something that is not drawn.
    """

    names: tuple[str, ...]
    track: BodyTrack
    points: Float32[np.ndarray, "frames 133 3"]
    body: BodyModel
    rasterizer: Rasterizer

    def __post_init__(self) -> None:
        if unknown := set(self.names) - set(GuidanceMaps.__dataclass_fields__):
            raise ItemError(
                "animate.maps",
                f"the network wants {', '.join(sorted(unknown))}, which is not drawn of bodies: "
                "give the motion as a folder of maps",
            )

    @property
    def frames(self) -> int:
        return self.track.frames

    def read(self, frames: Sequence[int]) -> Iterator[list[Pictures]]:
        part = select_frames(self.track, frames)
        vertices = self.body.vertices(part)
        points = self.points[list(frames)]
        chunks = draw_map_chunks(
            self.rasterizer, self.body.mesh, vertices, points, self.track.camera
        )
        return ([getattr(maps, name) for name in self.names] for maps in chunks)

    def extent(self) -> Float32[np.ndarray, "1 4"] | None:
        boxes = []
        for start in range(0, self.frames, FRAMES_AT_ONCE):
            span = range(start, min(start + FRAMES_AT_ONCE, self.frames))
            vertices = self.body.vertices(select_frames(self.track, span))
            seen = self.rasterizer.surfaces(vertices, self.body.mesh, self.track.camera)
            for surface in seen:
                box = None if surface is None else drawn_box(surface.owner >= 0)
                if surface is not None and box is not None:
                    left, top = surface.candidates.rectangle[:2]
                    boxes.append(box + np.array([left, top, left, top], np.float32))
        return union_box(boxes)


def framed_maps(source: MapSource, framing: Framing, order: Sequence[int]) -> MapFrames:
    """The maps as the network sees them, bytes of three channels each.

    Args:
        source: Whose maps.
        framing: What of them is seen.
        order: Which of the source's frame is shown in each frame of the animation.
    """

    def read(start: int, stop: int) -> UInt8[Tensor, "1 maps 3 frames size size"]:
        parts = [
            np.stack([_in_colour(framing.maps(frames)) for frames in chunk])
            for chunk in source.read(order[start:stop])
        ]
        maps = torch.from_numpy(np.concatenate(parts, axis=1))
        return maps.permute(0, 4, 1, 2, 3)[None]

    return MapFrames(frames=len(order), read=read)


def drawn_box(drawn: np.ndarray) -> Float32[np.ndarray, " 4"] | None:
    """The box of the pixels (height x width) that are true; None where none is."""
    rows, columns = np.flatnonzero(drawn.any(1)), np.flatnonzero(drawn.any(0))
    if not len(rows):
        return None
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float32)


def union_box(boxes: Sequence[np.ndarray]) -> Float32[np.ndarray, "1 4"] | None:
    """The box around boxes; None where there is none."""
    if not boxes:
        return None
    stacked = np.stack(boxes)
    return np.concatenate([stacked[:, :2].min(0), stacked[:, 2:].max(0)])[None]


def _in_colour(frames: Pictures) -> UInt8[np.ndarray, "frames height width 3"]:
    return np.broadcast_to(frames, (*frames.shape[:3], 3))

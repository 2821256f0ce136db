"""The clips a run learns from: what is there, and their frames and latents, cut and kept."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, UInt8

from dataset.crop import Crop, crop_frames, person_crop
from dataset.denied import read_denied
from dataset.storage import Location
from dataset.streams import decode_stream, stream_channels
from dataset.tables import newest_recipe, read_row, read_table
from training.tensors import unpack_tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingClip:
    """A clip as the network will see it: every stream cut by ``crop`` and scaled to ``size``."""

    clip_id: str
    frames: int
    size: int
    crop: Crop
    guidance_recipe: str
    latents_recipe: str | None = None  # None before it is encoded


def rendered_clips(
    root: Location, *, size: int, margin: float, recipe: str | None = None
) -> list[TrainingClip]:
    """The clips of the ``guidance`` table, by id; of its newest recipe unless one is named.

    Args:
        root: The dataset root.
        size: Height and width of the cut frames, pixels.
        margin: Around the person's boxes, as ``dataset.crop.person_crop`` takes it.
        recipe: Which guidance rows.
    """
    recipe = recipe or newest_recipe(root, "guidance")
    rows = read_table(root, "guidance", columns=["clip_id", "frames", "boxes"], recipe=recipe)
    clips = [
        TrainingClip(
            clip_id=row["clip_id"],
            frames=row["frames"],
            size=size,
            crop=boxes_crop(row["boxes"], margin=margin),
            guidance_recipe=str(recipe),
        )
        for row in rows.to_pylist()
    ]
    return _allowed(root, clips)


def encoded_clips(root: Location, *, recipe: str | None = None) -> list[TrainingClip]:
    """The clips of the ``latents`` table, by id; of its newest recipe unless one is named."""
    recipe = recipe or newest_recipe(root, "latents")
    columns = ["clip_id", "frames", "size", "crop", "guidance_recipe"]
    rows = read_table(root, "latents", columns=columns, recipe=recipe)
    clips = [
        TrainingClip(
            clip_id=row["clip_id"],
            frames=row["frames"],
            size=row["size"],
            crop=Crop.from_list(row["crop"]),
            guidance_recipe=row["guidance_recipe"],
            latents_recipe=recipe,
        )
        for row in rows.to_pylist()
    ]
    return _allowed(root, clips)


def _allowed(root: Location, clips: Sequence[TrainingClip]) -> list[TrainingClip]:
    """The clips by id; ``ItemError`` where one is of a source that was taken down."""
    read_denied(root).check(*(clip.clip_id for clip in clips))
    return sorted(clips, key=lambda clip: clip.clip_id)


def boxes_crop(boxes: Sequence[float], *, margin: float) -> Crop:
    """The crop of a clip from its ``boxes`` column (four numbers per frame, flat)."""
    return person_crop(np.asarray(boxes, np.float32).reshape(-1, 4), margin=margin)


def read_frames_cut(
    root: Location, clip: TrainingClip, stream: str, indices: Sequence[int] | None = None
) -> UInt8[np.ndarray, "frames size size channels"]:
    """Frames of one of a clip's streams, cut and scaled; all of them without ``indices``.

    Outside the picture ``rgb`` repeats its edge; the maps are black there, as their background is.
    """
    row = read_row(root, "guidance", clip.clip_id, recipe=clip.guidance_recipe, columns=[stream])
    data = row[stream]
    assert isinstance(data, bytes)
    frames = decode_stream(data, indices, channels=stream_channels(stream))
    return crop_frames(frames, clip.crop, clip.size, fill_black=stream != "rgb")


class ClipStore:
    """Reads clips of a dataset root and keeps what was read last, in bounded memory.

    A stream that fits is decoded whole when it is first asked for, and later answers come from
    memory. One that would take more than an eighth of the capacity is read frame by frame and not
    kept.
    """

    def __init__(self, root: Location, *, capacity_bytes: int) -> None:
        if capacity_bytes <= 0:
            raise ValueError(f"capacity_bytes must be above 0, got {capacity_bytes}")
        self.root = root
        self.capacity_bytes = capacity_bytes
        self.held_bytes = 0
        self._kept: OrderedDict[tuple[str, str], np.ndarray] = OrderedDict()

    def frames(
        self, clip: TrainingClip, stream: str, indices: Sequence[int]
    ) -> UInt8[np.ndarray, "frames size size channels"]:
        """Cut and scaled frames of a stream, in the order of ``indices``."""
        key = (clip.clip_id, stream)
        if key not in self._kept:
            whole = clip.frames * clip.size**2 * stream_channels(stream)
            if whole > self.capacity_bytes // 8:
                return read_frames_cut(self.root, clip, stream, indices)
            self._keep(key, read_frames_cut(self.root, clip, stream))
        return self._recall(key)[list(indices)]

    def latents(
        self, clip: TrainingClip, indices: Sequence[int]
    ) -> Float32[np.ndarray, "frames c h w"]:
        """Normalised latents of the given frames."""
        return self._tensor(clip, "latents")[list(indices)]

    def image_embeds(self, clip: TrainingClip, index: int) -> Float32[np.ndarray, "tokens dim"]:
        """The image token of a frame, or of the whole clip where it was encoded once per clip."""
        embeds = self._tensor(clip, "image_embeds")
        return embeds[index if len(embeds) > 1 else 0]

    def _tensor(self, clip: TrainingClip, column: str) -> np.ndarray:
        key = (clip.clip_id, column)
        if key not in self._kept:
            columns = [column, f"{column}_shape"]
            row = read_row(
                self.root, "latents", clip.clip_id, recipe=clip.latents_recipe, columns=columns
            )
            self._keep(key, unpack_tensor(row[column], row[f"{column}_shape"]))
        return self._recall(key)

    def _keep(self, key: tuple[str, str], array: np.ndarray) -> None:
        self._kept[key] = array
        self.held_bytes += array.nbytes
        while self.held_bytes > self.capacity_bytes and len(self._kept) > 1:
            _, dropped = self._kept.popitem(last=False)
            self.held_bytes -= dropped.nbytes

    def _recall(self, key: tuple[str, str]) -> np.ndarray:
        self._kept.move_to_end(key)
        return self._kept[key]

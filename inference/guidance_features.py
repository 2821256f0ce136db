"""Guidance features of a clip: each frame encoded once, kept where there is room for them."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from dataset.scratch import scratch_folder
from inference.map_frames import MapFrames
from training.champ.network import ChampNetwork

ENCODED_AT_ONCE = 4
"""Frames: at 768 x 768 pixels each takes a tenth of a gigabyte on its way through an encoder."""


class GuidanceFeatures:
    """What the guidance encoders make of a clip's maps, by frame.

    Encoded when first asked for, a portion of neighbouring frames at a time, and kept on the host;
    features of more than ``host_bytes`` go to a scratch file instead, so that memory does not grow
    with the clip. Nothing is ever encoded twice.

    Args:
        network: Whose encoders.
        maps: The clip's.
        host_bytes: What may be kept in memory.
    """

    def __init__(self, network: ChampNetwork, maps: MapFrames, *, host_bytes: int) -> None:
        self._network, self._maps, self._host_bytes = network, maps, host_bytes
        self._known = [False] * -(-maps.frames // ENCODED_AT_ONCE)
        first = self._encode(0)
        self._frame = first[0].shape  # (batch, g, h, w)
        self._dtype = first.dtype
        self._store = self._open(maps.frames)
        self._store.write(0, first)
        self._known[0] = True

    @property
    def shape(self) -> tuple[int, int, int, int, int]:
        """(batch, g, frames, h, w) of all of them."""
        batch, channels, height, width = self._frame
        return batch, channels, self._maps.frames, height, width

    def of(self, frames: Sequence[int]) -> Float[Tensor, "batch g frames h w"]:
        """The features of some frames, on the network's device."""
        for part in sorted({at // ENCODED_AT_ONCE for at in frames}):
            if not self._known[part]:
                self._store.write(part * ENCODED_AT_ONCE, self._encode(part))
                self._known[part] = True
        found = torch.stack([self._store.read(at) for at in frames], dim=2)
        return found.to(self._network.device)

    def close(self) -> None:
        """Give back the scratch file."""
        self._store.close()

    @torch.no_grad()
    def _encode(self, part: int) -> Float[Tensor, "frames batch g h w"]:
        start = part * ENCODED_AT_ONCE
        maps = self._maps.read(start, min(start + ENCODED_AT_ONCE, self._maps.frames))
        unit = maps.to(self._network.device, self._network.dtype)
        unit = unit / 255 if maps.dtype == torch.uint8 else unit
        return self._network.encode_guidance(unit).permute(2, 0, 1, 3, 4).contiguous().cpu()

    def _open(self, frames: int) -> _Memory | _File:
        size = self._dtype.itemsize * self._frame.numel()
        if frames * size <= self._host_bytes:
            return _Memory(frames, self._frame, self._dtype)
        return _File(self._frame, self._dtype)


class _Memory:
    """Frames in one tensor."""

    def __init__(self, frames: int, shape: torch.Size, dtype: torch.dtype) -> None:
        self._frames = torch.empty((frames, *shape), dtype=dtype)

    def write(self, start: int, frames: Tensor) -> None:
        self._frames[start : start + len(frames)] = frames

    def read(self, frame: int) -> Tensor:
        return self._frames[frame]

    def close(self) -> None:
        del self._frames


class _File:
    """Frames one after the other in a nameless file; read and written, not mapped into memory."""

    def __init__(self, shape: torch.Size, dtype: torch.dtype) -> None:
        self._shape, self._dtype = shape, dtype
        self._bytes = shape.numel() * dtype.itemsize
        self._file = tempfile.TemporaryFile(dir=scratch_folder())  # noqa: SIM115, closed by close

    def write(self, start: int, frames: Tensor) -> None:
        self._file.seek(start * self._bytes)
        self._file.write(frames.view(torch.uint8).numpy().data)

    def read(self, frame: int) -> Tensor:
        found = torch.empty(self._shape, dtype=self._dtype)
        self._file.seek(frame * self._bytes)
        self._file.readinto(found.view(torch.uint8).numpy().data)
        return found

    def close(self) -> None:
        self._file.close()

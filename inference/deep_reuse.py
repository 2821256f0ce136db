"""An approximation: the deep blocks answer for several steps with what they said in the last one.

What changes from step to step is mostly fine detail, which the blocks at full resolution see; the
deep ones are run every ``every``-th step (DeepCache, Ma et al. 2023, arXiv 2312.00858).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from inference.recall import answered
from training.champ.network import ChampNetwork


class DeepReuse:
    """Remembers what the deep blocks hand to the last up block, by window and half of guidance.

    Memory: a window's tensor of the last but one up block's channels at full resolution, for each
    window and half, on the host.

    Args:
        network: Whose denoiser.
        every: Steps from one run of the deep blocks to the next; 1 runs them always.
    """

    def __init__(self, network: ChampNetwork, *, every: int) -> None:
        self._unet = network.denoising_unet
        self._every = every
        self._place: Hashable = None
        self._fresh = True
        self._told: dict[Hashable, Tensor] = {}
        self._shapes: dict[str, Any] = {}  # all windows and halves have the same
        self._last = f"up_blocks.{len(self._unet.up_blocks) - 2}"

    @contextmanager
    def active(self) -> Iterator[None]:
        """Within the block the deep blocks may answer from memory."""
        if self._every == 1:
            yield
            return
        deep = [f"down_blocks.{i}" for i in range(1, len(self._unet.down_blocks))]
        deep += ["mid_block", *(f"up_blocks.{i}" for i in range(len(self._unet.up_blocks) - 1))]
        modules = {name: self._unet.get_submodule(name) for name in deep}
        with answered("deep_reuse", modules, self._decide):
            yield

    def at(self, step: int, place: Hashable) -> None:
        """Say which call comes next: its step, and whose it is (window and half)."""
        self._fresh = step % self._every == 0
        self._place = place

    def _decide(self, name: str, compute: Callable[[], Any]) -> Any:
        if self._fresh:
            answer = compute()
            if name == self._last:
                self._told[self._place] = answer.cpu()
            self._shapes[name] = _bare(answer)
            return answer
        if name == self._last:
            return self._told[self._place].to(self._unet.device)
        return self._shapes[name]  # nobody reads the values


def _bare(answer: Any) -> Any:
    """Tensors of the same shapes that hold nothing."""
    if isinstance(answer, Tensor):
        return torch.empty_like(answer, device="meta")
    return tuple(_bare(part) for part in answer)

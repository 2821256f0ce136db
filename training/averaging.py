"""The running average of a module's trained weights (EMA), exported in their place."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

AVERAGE_FILE = "average.safetensors"


class WeightAverage:
    """Averages what ``requires_grad``; does nothing at all when ``decay`` is None.

    Early on the decay is smaller, ``(1 + step) / (10 + step)``, so that the random weights of the
    beginning are soon forgotten.
    """

    def __init__(self, module: nn.Module, decay: float | None) -> None:
        self.decay = decay
        self._trained: dict[str, nn.Parameter] = {}
        if decay is not None:
            self._trained = {
                name: value for name, value in module.named_parameters() if value.requires_grad
            }
        self._average: dict[str, Tensor] = {
            name: value.detach().float().clone() for name, value in self._trained.items()
        }

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after a step, counted from 0."""
        if self.decay is None:
            return
        share = 1 - min(self.decay, (1 + step) / (10 + step))
        for name, value in self._trained.items():
            self._average[name].lerp_(value.float(), share)

    @torch.no_grad()
    def apply(self) -> None:
        """Put the average in the module's place."""
        for name, value in self._trained.items():
            value.copy_(self._average[name])

    def save(self, folder: Path) -> None:
        """Write the average into a checkpoint's folder."""
        if self.decay is None:
            return
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / f"{AVERAGE_FILE}.tmp"
        save_file(self._average, temporary)
        os.replace(temporary, folder / AVERAGE_FILE)

    def load(self, folder: Path) -> None:
        """Read what ``save`` wrote.

        Raises:
            ValueError: The checkpoint was made without an average, or of other weights.
        """
        if self.decay is None:
            return
        path = folder / AVERAGE_FILE
        if not path.is_file():
            raise ValueError(f"{folder} has no {AVERAGE_FILE}: it was made without ema_decay")
        saved = load_file(path)
        if saved.keys() != self._average.keys():
            raise ValueError(f"{path} averages other weights than this run trains")
        for name, value in saved.items():
            self._average[name].copy_(value)

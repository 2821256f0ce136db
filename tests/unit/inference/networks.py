"""Small networks and clips for what samples with them."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from tests.unit.training.small_network import SMALL
from training.champ.network import ChampNetwork
from training.champ.settings import NetworkSettings

TINY = SMALL.model_copy(
    update={"block_out_channels": (16, 32), "latent_channels": 4, "motion_max_seq_length": 6}
)
"""Two levels; latents a quarter of the maps' size; windows of six frames at most."""

FOUR_LEVELS = TINY.model_copy(
    update={
        "block_out_channels": (16, 16, 32, 32),
        "attention_levels": (True, True, True, False),
        "motion_levels": (True,) * 4,
        "guidance_channels": (4, 8, 8, 16),
    }
)
"""Champ's shape: four levels, latents an eighth of the maps' size."""


@cache
def make_network(settings: NetworkSettings = TINY) -> ChampNetwork:
    """A network without a zero in it that keeps activations in range; nobody may change it."""
    generator = torch.Generator().manual_seed(0)
    network = ChampNetwork(settings, motion=True).eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            drawn = torch.randn(parameter.shape, generator=generator)
            if parameter.ndim > 1:
                parameter.copy_(drawn / parameter[0].numel() ** 0.5)
            else:
                parameter.copy_(0.1 * drawn + (".norm" in name and name.endswith("weight")))
    return network


def make_clips(
    *,
    frames: int = 10,
    size: tuple[int, int] = (4, 4),
    batch: int = 1,
    maps: int = 4,
    stride: int = 4,
) -> dict[str, Tensor]:
    """References and maps of a batch of clips; ``size`` is that of the latents."""
    generator = torch.Generator().manual_seed(1)
    height, width = size
    shape = (batch, maps, 3, frames, stride * height, stride * width)
    return {
        "reference_latents": torch.randn(batch, 4, height, width, generator=generator),
        "image_embeds": torch.randn(batch, 1, 12, generator=generator),
        "maps": torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8),
    }

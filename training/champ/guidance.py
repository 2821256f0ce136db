"""Guidance encoders: what a map says about each place, added to the denoiser's first features."""

from __future__ import annotations

from itertools import pairwise

import torch
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from training.champ.settings import NetworkSettings


class GuidanceEncoder(nn.Module):
    """One map in [0, 1] to features of the latents' size (paper, section 3.2).

    Pairs of convolutions of stride 1 and 2 with SiLU, spatial self-attention in each frame, and a
    convolution that starts at zero. A frame is encoded by itself. The height and width of a map
    must be multiples of ``settings.guidance_stride``.
    """

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        channels = settings.guidance_channels
        last, heads = channels[-1], settings.guidance_num_attention_heads
        self.conv_in = nn.Conv2d(3, channels[0], 3, padding=1)
        self.blocks = nn.ModuleList()
        for here, there in pairwise(channels):
            self.blocks.append(nn.Conv2d(here, here, 3, padding=1))
            self.blocks.append(nn.Conv2d(here, there, 3, padding=1, stride=2))
        self.attention = Transformer2DModel(
            heads,
            last // heads,
            in_channels=last,
            num_layers=1,
            norm_num_groups=settings.guidance_norm_num_groups,
        )
        self.conv_out = nn.Conv2d(last, settings.embed_dim, 3, padding=1)
        for parameter in self.conv_out.parameters():
            nn.init.zeros_(parameter)
        self.checkpointed = False

    def forward(
        self, maps: Float[Tensor, "batch 3 frames height width"]
    ) -> Float[Tensor, "batch c frames h w"]:
        frames = maps.shape[2]
        pictures = maps.transpose(1, 2).flatten(0, 1)
        if self.checkpointed and torch.is_grad_enabled():
            features = checkpoint(self._encode, pictures, use_reentrant=False)
            assert isinstance(features, Tensor)
        else:
            features = self._encode(pictures)
        return features.unflatten(0, (-1, frames)).transpose(1, 2)

    def _encode(self, pictures: Float[Tensor, "n 3 height width"]) -> Float[Tensor, "n c h w"]:
        features = nn.functional.silu(self.conv_in(pictures))
        for block in self.blocks:
            features = nn.functional.silu(block(features))
        return self.conv_out(self.attention(features, return_dict=False)[0])

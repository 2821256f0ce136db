"""The vision transformer of 4D-Humans: ViTPose's ViT-H/16 on a crop of 256 x 192.

Modules are named as in the published checkpoint (``backbone.*``), so that it loads by name. The
same network is in transformers (``VitPoseBackbone``, the tests' referee), which splits and renames
the weights and keeps the tokens of every block.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from rendering.hmr2.settings import BackboneSettings

CROP_HEIGHT, CROP_WIDTH = 256, 192
"""What the transformer sees, in pixels."""

_PATCH = 16
_PADDING = 2  # 4D-Humans: 4 + 2 * (ratio // 2 - 1) with ratio 1
_GRID = (CROP_HEIGHT // _PATCH, CROP_WIDTH // _PATCH)
_NORM_EPS = 1e-6


class Backbone(nn.Module):
    """A crop of a person to one token a patch."""

    def __init__(self, settings: BackboneSettings) -> None:
        super().__init__()
        width = settings.width
        self.patch_embed = _PatchEmbedding(width)
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + _GRID[0] * _GRID[1], width))
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        self.blocks = nn.ModuleList(_Block(settings) for _ in range(settings.depth))
        self.last_norm = nn.LayerNorm(width, eps=_NORM_EPS)

    def forward(
        self, crops: Float[Tensor, "batch 3 256 192"]
    ) -> Float[Tensor, "batch patches width"]:
        """The 192 tokens of a crop, row by row; ``crops`` are normalised RGB."""
        tokens = self.patch_embed(crops)
        # The first position was the class token's when it was pretrained; it is added to all.
        tokens = tokens + self.pos_embed[:, 1:] + self.pos_embed[:, :1]
        for block in self.blocks:
            tokens = block(tokens)
        return self.last_norm(tokens)


class _PatchEmbedding(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, _PATCH, stride=_PATCH, padding=_PADDING)

    def forward(
        self, crops: Float[Tensor, "batch 3 256 192"]
    ) -> Float[Tensor, "batch patches width"]:
        return self.proj(crops).flatten(2).transpose(1, 2)


class _Block(nn.Module):
    """Attention and a two-layer network, each on normalised tokens and added to them."""

    def __init__(self, settings: BackboneSettings) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(settings.width, eps=_NORM_EPS)
        self.attn = _Attention(settings.width, settings.heads)
        self.norm2 = nn.LayerNorm(settings.width, eps=_NORM_EPS)
        self.mlp = _Mlp(settings.width, settings.mlp_ratio * settings.width)

    def forward(self, tokens: Float[Tensor, "batch n width"]) -> Float[Tensor, "batch n width"]:
        tokens = tokens + self.attn(self.norm1(tokens))
        return tokens + self.mlp(self.norm2(tokens))


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens: Float[Tensor, "batch n width"]) -> Float[Tensor, "batch n width"]:
        packed = self.qkv(tokens).unflatten(-1, (3, self.heads, -1))
        queries, keys, values = packed.permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(queries, keys, values)
        return self.proj(seen.transpose(1, 2).flatten(2))


class _Mlp(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, tokens: Float[Tensor, "batch n width"]) -> Float[Tensor, "batch n width"]:
        return self.fc2(functional.gelu(self.fc1(tokens)))

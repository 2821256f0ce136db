"""The parts of the network by their formulas: attention, motion, guidance; slow and plain.

diffusers' residual layers, samplers, feed forward layers and projections are taken as they are; a
picture, or a clip, is computed by itself.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from torch import Tensor, nn

from training.champ.network import ChampNetwork

Parts = Any  # a diffusers module whose own parts are reached into; they have no useful types


class PlainSelfAttention:
    """Attention of one picture after the other over its own tokens and the reference's."""

    def __init__(self) -> None:
        self.reference: Tensor | None = None

    def __call__(self, attn: Parts, hidden_states: Tensor, *_: object, **__: object) -> Tensor:
        answers = []
        for own in hidden_states:
            seen = own if self.reference is None else torch.cat([own, self.reference])
            answers.append(attend(attn, own, seen))
        return torch.stack(answers)


class PlainCrossAttention:
    """Attention to the image token, with a softmax though it is over one token."""

    def __call__(
        self, attn: Parts, hidden_states: Tensor, encoder_hidden_states: Tensor, **_: object
    ) -> Tensor:
        both = zip(hidden_states, encoder_hidden_states, strict=True)
        return torch.stack([attend(attn, own, token) for own, token in both])


class PlainMotion(nn.Module):
    """A motion module from its parts, for one clip at a time."""

    def __init__(
        self,
        parts: Parts,
        normalised: Literal["frame", "clip"],
        positions: Literal["both", "first"],
    ) -> None:
        super().__init__()
        self.norm: Parts = parts.norm
        self.proj_in: Parts = parts.proj_in
        self.transformer_blocks: Parts = parts.transformer_blocks
        self.proj_out: Parts = parts.proj_out
        self.normalised, self.positions = normalised, positions
        self.places = parts.transformer_blocks[0].pos_embed.pe[0].double()
        torch.testing.assert_close(self.places, _positions(*self.places.shape), atol=1e-6, rtol=0)

    def forward(self, hidden_states: Tensor, *_: object, **__: object) -> Tensor:
        frames = len(hidden_states)
        if self.normalised == "frame":
            normed = torch.stack([self._normalise(frame[:, None])[:, 0] for frame in hidden_states])
        else:
            normed = self._normalise(hidden_states.transpose(0, 1)).transpose(0, 1)
        states = self.proj_in(normed.permute(2, 3, 0, 1))  # (h, w, frames, c)
        (block,) = self.transformer_blocks
        places = self.places[:frames]
        second = places if self.positions == "both" else 0 * places
        own = block.norm1(states) + places
        states = states + attend(block.attn1, own, own)
        own = block.norm2(states) + second
        states = states + attend(block.attn2, own, own)
        value, gate = block.ff.net[0].proj(block.norm3(states)).chunk(2, dim=-1)
        gelu = gate * 0.5 * (1 + torch.erf(gate / math.sqrt(2)))
        states = states + block.ff.net[2](value * gelu)
        return hidden_states + self.proj_out(states).permute(2, 3, 0, 1)

    def _normalise(self, states: Tensor) -> Tensor:
        """GroupNorm of (channels, frames, h, w), over everything in it."""
        groups = []
        for group in states.chunk(self.norm.num_groups):
            variance = (group - group.mean()).square().mean()
            groups.append((group - group.mean()) / (variance + self.norm.eps).sqrt())
        weight, bias = (
            values[:, None, None, None] for values in (self.norm.weight, self.norm.bias)
        )
        return torch.cat(groups) * weight + bias


class NoMotion(nn.Module):
    """Stage 1 has no motion modules."""

    def forward(self, hidden_states: Tensor, *_: object, **__: object) -> Tensor:
        return hidden_states


class PlainGuidance(nn.Module):
    """A guidance encoder for one picture of one map, with the weights of ``network``'s."""

    def __init__(self, network: ChampNetwork, name: str) -> None:
        super().__init__()
        sizes = network.settings
        *_, last = channels = sizes.guidance_channels
        heads = sizes.guidance_num_attention_heads
        self.conv_in = nn.Conv2d(3, channels[0], 3, padding=1)
        self.blocks = nn.ModuleList()
        for level in range(len(channels) - 1):
            here, there = channels[level : level + 2]
            self.blocks.append(nn.Conv2d(here, here, 3, padding=1))
            self.blocks.append(nn.Conv2d(here, there, 3, padding=1, stride=2))
        self.attention = Transformer2DModel(
            heads,
            last // heads,
            in_channels=last,
            norm_num_groups=sizes.guidance_norm_num_groups,
            activation_fn="geglu",
        )
        for _, block in transformer_blocks(self):
            plain_attention(block)
        self.conv_out = nn.Conv2d(last, sizes.block_out_channels[0], 3, padding=1)
        self.load_state_dict(network.guidance_encoders[name].state_dict())

    def forward(self, picture: Tensor) -> Tensor:
        states = self.conv_in(picture[None])
        for block in self.blocks:
            states = block(states * torch.sigmoid(states))
        states = states * torch.sigmoid(states)
        return self.conv_out(self.attention(states, return_dict=False)[0])[0]


def attend(layer: Parts, own: Tensor, seen: Tensor) -> Tensor:
    """softmax(q k^T / sqrt(d)) v per head, of (..., tokens, c), with a layer's projections."""
    query, key, value = (
        project(states).unflatten(-1, (layer.heads, -1))
        for project, states in ((layer.to_q, own), (layer.to_k, seen), (layer.to_v, seen))
    )
    scores = torch.einsum("...qhd,...khd->...hqk", query, key) / math.sqrt(query.shape[-1])
    shares = (scores - scores.amax(-1, keepdim=True)).exp()
    shares = shares / shares.sum(-1, keepdim=True)
    return layer.to_out[0](torch.einsum("...hqk,...khd->...qhd", shares, value).flatten(-2))


def transformer_blocks(module: nn.Module) -> list[tuple[str, Parts]]:
    """Spatial transformer blocks by name (the temporal ones are replaced, not patched)."""
    return [
        (name, block)
        for name, block in module.named_modules()
        if type(block).__name__ == "BasicTransformerBlock" and "motion_modules" not in name
    ]


def plain_attention(block: Parts) -> PlainSelfAttention:
    processor = PlainSelfAttention()
    block.attn1.set_processor(processor)
    if block.attn2 is not None:
        block.attn2.set_processor(PlainCrossAttention())
    return processor


def _positions(frames: int, channels: int) -> Tensor:
    """sin and cos of frame / 10000^(2i / channels), in turns: (frames, channels)."""
    rates = 10_000 ** (-torch.arange(0, channels, 2, dtype=torch.float64) / channels)
    angles = torch.arange(frames, dtype=torch.float64)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)

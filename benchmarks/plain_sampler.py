"""A sampler written down plainly: the peer and the referee of ``inference/sampler.py``.

It reads the method as it stands (paper; conventions: Network, sampling) and saves nothing: both
halves of guidance in one batch, the reference's states repeated for every frame and projected in
every call, the unconditional half attended with the reference and then again without it, the image
token by full attention, guidance of all frames at once and resident, all pictures decoded before
any is used. Weights, blocks and attention kernels are the same as ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from diffusers.models.attention_processor import Attention, AttnProcessor2_0
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from inference.map_frames import Maps
from inference.settings import SampleSettings
from training.champ.attention import (
    ReferenceFeatures,
    ReferenceSelfAttention,
    spatial_attentions,
)
from training.champ.network import ChampNetwork
from training.champ.positions import sincos_positions
from training.champ.schedule import make_scheduler


@torch.no_grad()
def plain_sample(
    network: ChampNetwork,
    *,
    reference_latents: Float[Tensor, "batch c h w"],
    image_embeds: Float[Tensor, "batch 1 dim"],
    maps: Maps,
    settings: SampleSettings,
    noise: Float[Tensor, "batch c frames h w"],
) -> Float[Tensor, "batch c frames h w"]:
    """Latents by the definition; arguments as for ``inference.sampler.sample``."""
    guidance = network.encode_guidance(maps / 255 if maps.dtype == torch.uint8 else maps)
    features = network.reference_features(reference_latents, image_embeds)
    parts = plain_windows(noise.shape[2], settings)
    scheduler = make_scheduler(settings.schedule)
    scheduler.set_timesteps(settings.steps)
    latents = noise.clone()
    with plain_attention(network, features):
        for timestep in scheduler.timesteps:
            total = torch.zeros_like(latents)
            count = torch.zeros(noise.shape[2])
            for part in parts:
                total[:, :, part] += plain_guided(
                    network,
                    latents[:, :, part],
                    timestep,
                    image_embeds,
                    guidance[:, :, part],
                    settings.guidance_scale,
                )
                count[part] += 1
            prediction = total / count[:, None, None]
            latents = scheduler.step(prediction, int(timestep), latents, return_dict=False)[0]
    return latents


def plain_windows(frames: int, settings: SampleSettings) -> list[list[int]]:
    """Windows one after the other, the last moved back or, in a closed loop, wrapped round."""
    size, stride = settings.window_frames, settings.window_frames - settings.window_overlap
    if frames <= size:
        return [list(range(frames))]
    if settings.closed_loop:
        return [[(first + i) % frames for i in range(size)] for first in range(0, frames, stride)]
    parts = [list(range(size))]
    while parts[-1][-1] < frames - 1:
        first = min(parts[-1][0] + stride, frames - size)
        parts.append(list(range(first, first + size)))
    return parts


def plain_guided(
    network: ChampNetwork,
    latents: Tensor,
    timestep: Tensor,
    image_embeds: Tensor,
    guidance: Tensor,
    scale: float,
) -> Float[Tensor, "batch c frames h w"]:
    """One guided prediction: the unconditional half first, then the conditional, in one batch."""
    halves = 2 if scale > 1 else 1
    tokens = torch.cat([torch.zeros_like(image_embeds), image_embeds][-halves:])
    both = torch.cat([torch.cat([latents, guidance], dim=1)] * halves)
    predicted = network.denoising_unet(
        both,
        timestep,
        encoder_hidden_states=tokens.repeat_interleave(latents.shape[2], 0),
        cross_attention_kwargs={"halves": halves, "latent_size": latents.shape[-2:]},
        return_dict=False,
    )[0]
    if halves == 1:
        return predicted
    unconditional, conditional = predicted.chunk(2)
    return unconditional + scale * (conditional - unconditional)


@contextmanager
def plain_attention(network: ChampNetwork, features: ReferenceFeatures) -> Iterator[None]:
    """Within the block the denoiser attends as the definition says."""
    unet = network.denoising_unet
    before = dict(unet.attn_processors)
    for name, layer in spatial_attentions(unet, "attn1"):
        ours = layer.processor
        assert isinstance(ours, ReferenceSelfAttention)
        plain = _PlainReferenceAttention(features[name], ours.level, ours.positions)
        layer.set_processor(plain)  # pyright: ignore[reportArgumentType]
    for _, layer in spatial_attentions(unet, "attn2"):
        layer.set_processor(_PlainImageAttention())  # pyright: ignore[reportArgumentType]
    try:
        yield
    finally:
        unet.set_attn_processor(before)


@dataclass(frozen=True, slots=True)
class _PlainReferenceAttention:
    """Own tokens and the reference's states as keys and values; without them, where it must be."""

    states: Float[Tensor, "batch tokens c"]
    level: int
    positions: bool

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: None = None,
        attention_mask: None = None,
        *,
        halves: int,
        latent_size: Sequence[int],
    ) -> Tensor:
        del encoder_hidden_states, attention_mask
        height, width = (-(-side // 2**self.level) for side in latent_size)
        frames = len(hidden_states) // (halves * len(self.states))
        states = torch.cat([self.states.repeat_interleave(frames, 0)] * halves)
        places = None
        if self.positions:
            places = sincos_positions(height, width, states.shape[-1], like=states)
        out = _attend(attn, hidden_states, torch.cat([hidden_states, states], dim=1), places)
        if halves == 2:
            bare = hidden_states[: len(hidden_states) // 2]
            out[: len(bare)] = _attend(attn, bare, bare, places)
        return out


@dataclass(frozen=True, slots=True)
class _PlainImageAttention:
    """Attention to one token, as to any number of them."""

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor,
        attention_mask: None = None,
        *,
        halves: int,
        latent_size: Sequence[int],
    ) -> Tensor:
        del halves, latent_size
        return AttnProcessor2_0()(attn, hidden_states, encoder_hidden_states, attention_mask)


def _attend(attn: Attention, queries: Tensor, others: Tensor, places: Tensor | None) -> Tensor:
    assert attn.to_k is not None
    assert attn.to_v is not None
    assert attn.to_out is not None
    query, key, value = attn.to_q(queries), attn.to_k(others), attn.to_v(others)
    if places is not None:
        query = query + places
        key = key + places.repeat(key.shape[1] // len(places), 1)
    split = (part.unflatten(-1, (attn.heads, -1)).transpose(1, 2) for part in (query, key, value))
    return attn.to_out[0](scaled_dot_product_attention(*split).transpose(1, 2).flatten(2))

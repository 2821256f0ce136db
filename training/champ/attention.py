"""Reference attention: what the reference net notes down, and how the denoiser looks at it.

Both U-Nets keep diffusers' attention layers; only their processors differ. State travels through
``cross_attention_kwargs``, so a call leaves nothing behind in the modules and may be recomputed by
gradient checkpointing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from diffusers.models.attention_processor import Attention, AttnProcessor2_0
from jaxtyping import Bool, Float
from torch import Tensor, nn

from training.champ.positions import sincos_positions

ReferenceFeatures = dict[str, Tensor]
"""Name of a self-attention layer -> the reference's states there after ``norm1``:
(batch, tokens, channels)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceKeysValues:
    """The reference as the denoiser's own projections see it; serves all frames and all steps."""

    keys: dict[str, Tensor]  # per layer (batch, tokens, channels)
    values: dict[str, Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceContext:
    """What one call of the denoiser hands to its self-attention layers.

    ``kept`` is False for the samples that must not see the reference; None keeps all.
    ``latent_size`` is (height, width) of the latents.
    """

    latent_size: tuple[int, int]
    seen: ReferenceKeysValues | None
    kept: Bool[Tensor, " batch"] | None = None


class CapturingSelfAttention:
    """The reference net's self-attention: notes its input in ``capture``, then attends as usual."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.attend = AttnProcessor2_0()

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        *,
        capture: ReferenceFeatures,
    ) -> Tensor:
        # A recomputation by gradient checkpointing comes by a second time: the first one counts.
        capture.setdefault(self.name, hidden_states)
        return self.attend(attn, hidden_states, encoder_hidden_states, attention_mask)


class ReferenceSelfAttention:
    """The denoiser's self-attention over its own tokens and the reference's (paper, section 3.3).

    Args:
        name: The layer's name, the same in both U-Nets.
        level: How many times the latents have been halved where the layer works.
        positions: Add sine-cosine positions to queries and keys after projection.
    """

    def __init__(self, name: str, *, level: int, positions: bool) -> None:
        self.name = name
        self.level = level
        self.positions = positions

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        *,
        reference: ReferenceContext,
    ) -> Tensor:
        del encoder_hidden_states, attention_mask  # there are none in self-attention
        query, (key, value) = attn.to_q(hidden_states), project(attn, hidden_states)
        places = self._places(reference.latent_size, query) if self.positions else None
        if places is not None:
            query, key = query + places, key + places
        mask = None
        if reference.seen is not None:
            seen_key, seen_value = self._seen(reference.seen, places)
            frames = len(key) // len(seen_key)
            key = torch.cat([key, seen_key.repeat_interleave(frames, 0)], dim=1)
            value = torch.cat([value, seen_value.repeat_interleave(frames, 0)], dim=1)
            mask = self._mask(reference.kept, frames, query.shape[1], key.shape[1])
        return _project_out(attn, _attend(query, key, value, heads=attn.heads, mask=mask))

    def _places(self, latent_size: tuple[int, int], like: Tensor) -> Float[Tensor, "tokens c"]:
        height, width = latent_size
        for _ in range(self.level):  # a convolution of stride 2 rounds up
            height, width = -(-height // 2), -(-width // 2)
        return sincos_positions(height, width, like.shape[-1], like=like)

    def _seen(
        self, seen: ReferenceKeysValues, places: Tensor | None
    ) -> tuple[Float[Tensor, "batch tokens c"], Float[Tensor, "batch tokens c"]]:
        key, value = seen.keys[self.name], seen.values[self.name]
        if places is None:
            return key, value
        if key.shape[1] != len(places):
            raise ValueError(
                "with reference_positions the reference must have the frames' size: layer "
                f"{self.name} has {len(places)} tokens, the reference {key.shape[1]}"
            )
        return key + places, value

    @staticmethod
    def _mask(
        kept: Tensor | None, frames: int, own: int, total: int
    ) -> Bool[Tensor, "batch_frames 1 1 tokens"] | None:
        if kept is None:
            return None
        visible = kept.new_ones((len(kept), total), dtype=torch.bool)
        visible[:, own:] = kept[:, None]
        return visible.repeat_interleave(frames, 0)[:, None, None]


class ImageTokenAttention:
    """Cross-attention to the image token, in both U-Nets.

    All of a softmax over one token goes to that token, so without gradients the token's projection
    is the answer for every query. With gradients the full attention runs, so that every parameter
    stays part of the graph.
    """

    def __init__(self) -> None:
        self.attend = AttnProcessor2_0()

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        *,
        reference: ReferenceContext | None = None,  # diffusers hands both to every attention
        capture: ReferenceFeatures | None = None,
    ) -> Tensor:
        del reference, capture
        if encoder_hidden_states.shape[1] == 1 and not torch.is_grad_enabled():
            answer = _project_out(attn, project(attn, encoder_hidden_states)[1])
            return answer.expand(-1, hidden_states.shape[1], -1)
        return self.attend(attn, hidden_states, encoder_hidden_states, attention_mask)


def spatial_attentions(unet: nn.Module, which: str) -> Iterator[tuple[str, Attention]]:
    """Names and layers of a U-Net's spatial ``attn1`` (self) or ``attn2`` (image token)."""
    for name, module in unet.named_modules():
        if ".attentions." in name and name.endswith(f".{which}"):
            assert isinstance(module, Attention)
            yield name, module


def install_processors(unet: nn.Module, self_attention: Callable[[str], object]) -> None:
    """Give every spatial self-attention the processor made for its name, and the others theirs."""
    for name, attention in spatial_attentions(unet, "attn1"):
        attention.set_processor(self_attention(name))  # pyright: ignore[reportArgumentType]
    for _, attention in spatial_attentions(unet, "attn2"):
        attention.set_processor(ImageTokenAttention())  # pyright: ignore[reportArgumentType]


def project(attn: Attention, states: Tensor) -> tuple[Tensor, Tensor]:
    """Keys and values of an attention layer, heads side by side on the last axis."""
    assert attn.to_k is not None
    assert attn.to_v is not None
    return attn.to_k(states), attn.to_v(states)


def _project_out(attn: Attention, states: Tensor) -> Tensor:
    assert attn.to_out is not None
    return attn.to_out[1](attn.to_out[0](states))  # a linear layer and its dropout


def _attend(
    query: Tensor, key: Tensor, value: Tensor, *, heads: int, mask: Tensor | None
) -> Tensor:
    split = (part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in (query, key, value))
    return (
        nn.functional.scaled_dot_product_attention(*split, attn_mask=mask)
        .transpose(1, 2)
        .flatten(2)
    )

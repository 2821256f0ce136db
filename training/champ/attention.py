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
class ReferenceConstants:
    """All that the denoiser's layers take from the reference picture, by name of the layer.

    The same for all frames, noise levels and windows. ``keys`` and ``values`` of the
    self-attentions: (batch, tokens, channels); none where no reference is seen. ``image`` holds the
    answers of the cross-attentions: all of a softmax over one token goes to that token, so every
    query gets its projection, (batch, 1, channels).
    """

    keys: dict[str, Tensor]
    values: dict[str, Tensor]
    image: dict[str, Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceContext:
    """What one call of the denoiser hands to its attention layers.

    ``latent_size`` is (height, width) of the latents. ``kept`` is False for the samples that must
    not see the reference; None keeps all.
    """

    latent_size: tuple[int, int]
    constants: ReferenceConstants
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
        if self.name in reference.constants.keys:
            seen_key, seen_value = self._seen(reference.constants, places)
            frames = len(key) // len(seen_key)
            key, value = _joined(key, seen_key), _joined(value, seen_value)
            mask = self._mask(reference.kept, frames, query.shape[1], key.shape[1])
        return _project_out(attn, _attend(query, key, value, heads=attn.heads, mask=mask))

    def _places(self, latent_size: tuple[int, int], like: Tensor) -> Float[Tensor, "tokens c"]:
        height, width = latent_size
        for _ in range(self.level):  # a convolution of stride 2 rounds up
            height, width = -(-height // 2), -(-width // 2)
        return sincos_positions(height, width, like.shape[-1], like=like)

    def _seen(
        self, seen: ReferenceConstants, places: Tensor | None
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

    The denoiser's answers are constants when they were computed beforehand (``image_answers``).
    Else the full attention runs, so that in training every parameter is part of the graph.
    """

    def __init__(self, name: str) -> None:
        self.name = name
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
        del capture
        if reference is None or self.name not in reference.constants.image:
            return self.attend(attn, hidden_states, encoder_hidden_states, attention_mask)
        answer = reference.constants.image[self.name]
        return answer.repeat_interleave(len(hidden_states) // len(answer), 0)  # of every query


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
    for name, attention in spatial_attentions(unet, "attn2"):
        attention.set_processor(ImageTokenAttention(name))  # pyright: ignore[reportArgumentType]


def project(attn: Attention, states: Tensor) -> tuple[Tensor, Tensor]:
    """Keys and values of an attention layer, heads side by side on the last axis."""
    assert attn.to_k is not None
    assert attn.to_v is not None
    return attn.to_k(states), attn.to_v(states)


def image_answer(attn: Attention, token: Float[Tensor, "batch 1 dim"]) -> Tensor:
    """What a cross-attention to one token answers to every query: (batch, 1, channels)."""
    return _project_out(attn, project(attn, token)[1])


def _joined(
    own: Float[Tensor, "batch_frames tokens c"], seen: Float[Tensor, "batch seen c"]
) -> Float[Tensor, "batch_frames both c"]:
    """The tokens of every frame, then the reference's; one copy, no repeated reference before."""
    own = own.unflatten(0, (len(seen), -1))
    seen = seen[:, None].expand(-1, own.shape[1], -1, -1)
    return torch.cat([own, seen], dim=2).flatten(0, 1)


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

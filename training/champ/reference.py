"""The reference net: a U-Net that reads the reference picture once, for the denoiser to look at."""

from __future__ import annotations

from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from diffusers.models.unets.unet_2d_blocks import CrossAttnUpBlock2D
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import nn

from training.champ.attention import (
    CapturingSelfAttention,
    install_processors,
)
from training.champ.settings import NetworkSettings


def build_reference_net(settings: NetworkSettings) -> UNet2DConditionModel:
    """A reference net with new weights; it has no output convolution, nobody reads its output."""
    unet = UNet2DConditionModel(
        in_channels=settings.latent_channels,
        out_channels=settings.latent_channels,
        down_block_types=tuple(
            "CrossAttnDownBlock2D" if has else "DownBlock2D" for has in settings.attention_levels
        ),
        up_block_types=tuple(
            "CrossAttnUpBlock2D" if has else "UpBlock2D"
            for has in reversed(settings.attention_levels)
        ),
        block_out_channels=settings.block_out_channels,
        layers_per_block=settings.layers_per_block,
        norm_num_groups=settings.norm_num_groups,
        cross_attention_dim=settings.cross_attention_dim,
        attention_head_dim=settings.num_attention_heads,  # diffusers' old name: a number of heads
    )
    unet.conv_norm_out = None
    unet.conv_out = nn.Identity()  # pyright: ignore[reportAttributeAccessIssue]
    install_processors(unet, CapturingSelfAttention)
    return unet


def freeze_reference_tail(unet: UNet2DConditionModel, *, whole_block: bool = True) -> None:
    """Stop training what comes last in the reference net.

    Nothing after ``norm1`` of the last self-attention is ever read, so those parameters get no
    gradient. The official training freezes the whole last up block (conventions: Noise schedule,
    training, sampling).

    Args:
        whole_block: False freezes only the parameters that can get no gradient.
    """
    if whole_block:
        unet.up_blocks[-1].requires_grad_(False)
        return
    for block in reversed(unet.up_blocks):
        if isinstance(block, CrossAttnUpBlock2D):
            _freeze_after_last_norm1(block)
            return
        block.requires_grad_(False)


def _freeze_after_last_norm1(block: CrossAttnUpBlock2D) -> None:
    last = block.attentions[-1]
    assert isinstance(last, Transformer2DModel)
    inner = last.transformer_blocks[-1]
    assert isinstance(inner, BasicTransformerBlock)
    last.proj_out.requires_grad_(False)
    inner.requires_grad_(False)
    inner.norm1.requires_grad_(True)
    if block.upsamplers is not None:
        block.upsamplers.requires_grad_(False)

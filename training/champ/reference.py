"""The reference net: a U-Net that reads the reference picture once, for the denoiser to look at."""

from __future__ import annotations

from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from diffusers.models.unets.unet_2d_blocks import CrossAttnUpBlock2D
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor, nn

from training.champ.attention import (
    CapturingSelfAttention,
    ReferenceFeatures,
    install_processors,
)
from training.champ.settings import NetworkSettings


class LastBlock(nn.Module):
    """The reference net's last transformer block, made of diffusers' (same parameter names).

    Nobody reads the reference net's output, so all that counts here is the state after ``norm1``.
    What would follow is not computed and has no graph, though its weights stay in checkpoints.
    """

    def __init__(self, block: BasicTransformerBlock, name: str) -> None:
        super().__init__()
        self.name = name
        self.norm1, self.attn1 = block.norm1, block.attn1
        self.norm2, self.attn2 = block.norm2, block.attn2
        self.norm3, self.ff = block.norm3, block.ff

    def forward(
        self,
        hidden_states: Tensor,
        attention_mask: None = None,  # checkpointing passes these by position
        encoder_hidden_states: Tensor | None = None,
        encoder_attention_mask: None = None,
        timestep: None = None,
        cross_attention_kwargs: dict[str, ReferenceFeatures] | None = None,
        class_labels: None = None,
    ) -> Tensor:
        del attention_mask, encoder_hidden_states, encoder_attention_mask, timestep, class_labels
        assert cross_attention_kwargs is not None
        cross_attention_kwargs["capture"].setdefault(self.name, self.norm1(hidden_states))
        return hidden_states.detach()


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
    last, name = _last_attention(unet)
    inner = last.transformer_blocks[-1]
    assert isinstance(inner, BasicTransformerBlock)
    inside = f"{name}.transformer_blocks.{len(last.transformer_blocks) - 1}"
    last.transformer_blocks[-1] = LastBlock(inner, f"{inside}.attn1")
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
            if block.upsamplers is not None:
                block.upsamplers.requires_grad_(False)
            break
        block.requires_grad_(False)
    last, _ = _last_attention(unet)
    inner = last.transformer_blocks[-1]
    assert isinstance(inner, LastBlock)
    last.proj_out.requires_grad_(False)
    inner.requires_grad_(False)
    inner.norm1.requires_grad_(True)


def _last_attention(unet: UNet2DConditionModel) -> tuple[Transformer2DModel, str]:
    """What attends last in the reference net, and its name."""
    for index, block in reversed(list(enumerate(unet.up_blocks))):
        if isinstance(block, CrossAttnUpBlock2D):
            last = block.attentions[-1]
            assert isinstance(last, Transformer2DModel)
            return last, f"up_blocks.{index}.attentions.{len(block.attentions) - 1}"
    raise ValueError("the reference net has no attention in its up blocks")

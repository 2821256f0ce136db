"""The denoising U-Net: diffusers' motion U-Net with guidance, reference attention and motion."""

from __future__ import annotations

from diffusers.models.unets.unet_motion_model import CrossAttnDownBlockMotion, UNetMotionModel
from jaxtyping import Float
from torch import Tensor, nn

from training.champ.attention import (
    ReferenceSelfAttention,
    install_processors,
)
from training.champ.motion import install_motion
from training.champ.settings import NetworkSettings


class GuidedConv(nn.Conv2d):
    """The first convolution: takes latents and guidance on one channel axis, adds the guidance.

    The sum is where Champ puts it, ``conv_in(latents) + guidance``; the parameters and their names
    are those of the plain convolution.
    """

    def forward(self, input: Float[Tensor, "n both h w"]) -> Float[Tensor, "n c h w"]:
        latents, guidance = input.split([self.in_channels, self.out_channels], dim=1)
        return super().forward(latents) + guidance


def build_denoiser(settings: NetworkSettings, *, motion: bool) -> UNetMotionModel:
    """A denoiser with new weights; ``motion`` False passes the motion modules through (stage 1)."""
    unet = UNetMotionModel(
        in_channels=settings.latent_channels,
        out_channels=settings.latent_channels,
        down_block_types=tuple(
            "CrossAttnDownBlockMotion" if has else "DownBlockMotion"
            for has in settings.attention_levels
        ),
        up_block_types=tuple(
            "CrossAttnUpBlockMotion" if has else "UpBlockMotion"
            for has in reversed(settings.attention_levels)
        ),
        block_out_channels=settings.block_out_channels,
        layers_per_block=settings.layers_per_block,
        norm_num_groups=settings.norm_num_groups,
        cross_attention_dim=settings.cross_attention_dim,
        num_attention_heads=settings.num_attention_heads,
        motion_num_attention_heads=settings.motion_num_attention_heads,
        motion_max_seq_length=settings.motion_max_seq_length,
        use_motion_mid_block=True,
    )
    unet.conv_in = GuidedConv(settings.latent_channels, settings.embed_dim, 3, padding=1)
    install_motion(unet, settings, motion=motion)
    install_processors(
        unet,
        lambda name: ReferenceSelfAttention(
            name,
            level=_level(name, levels=len(settings.block_out_channels)),
            positions=settings.reference_positions,
        ),
    )
    return unet


def before_attention(unet: UNetMotionModel) -> dict[str, nn.Module]:
    """What runs before the first attention has spoken, by name: it sees no reference, no token.

    The first attention's projections of its own tokens are the last of it. Modules inside another
    of these are not named.
    """
    names = ["conv_in", "time_embedding"]
    for index, block in enumerate(unet.down_blocks):
        place = f"down_blocks.{index}"
        if not isinstance(block, CrossAttnDownBlockMotion):
            names.append(place)
            continue
        first = f"{place}.attentions.0"
        inner = f"{first}.transformer_blocks.0"
        names += [f"{place}.resnets.0", f"{first}.norm", f"{first}.proj_in", f"{inner}.norm1"]
        names += [f"{inner}.attn1.to_{part}" for part in "qkv"]
        break
    return {name: unet.get_submodule(name) for name in names}


def _level(name: str, *, levels: int) -> int:
    """How often the latents were halved at a layer, from its name."""
    block, index, *_ = name.split(".")
    if block == "mid_block":
        return levels - 1
    return int(index) if block == "down_blocks" else levels - 1 - int(index)

"""A Champ network's sizes and noise: the defaults are Stable Diffusion 1.5's, as released."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from dataset.records import MAP_NAMES
from dataset.settings import Settings


class NetworkSettings(Settings):
    """What a ``ChampNetwork`` is built from (conventions: Network).

    A small network for a laptop is this class with other numbers, never another class. Sizes that
    do not fit together are refused with a ``ValueError`` when the settings are made.
    """

    block_out_channels: tuple[int, ...] = Field(
        default=(320, 640, 1280, 1280),
        description="Channels of both U-Nets, one number per resolution.",
    )
    attention_levels: tuple[bool, ...] = Field(
        default=(True, True, True, False),
        description="Which resolutions have spatial attention; the middle block always has.",
    )
    layers_per_block: int = Field(default=2, ge=1, description="Residual layers of a down block.")
    num_attention_heads: int = Field(
        default=8, ge=1, description="Heads of every spatial attention."
    )
    cross_attention_dim: int = Field(default=768, ge=1, description="Size of the image token.")
    norm_num_groups: int = Field(
        default=32, ge=1, description="Groups of every GroupNorm of the U-Nets."
    )
    latent_channels: int = Field(
        default=4, ge=1, description="Channels of the autoencoder's latents."
    )

    maps: tuple[str, ...] = Field(
        default=MAP_NAMES,
        min_length=1,
        description="The guidance maps the network sees, in its order.",
    )
    guidance_channels: tuple[int, ...] = Field(
        default=(16, 32, 96, 256),
        min_length=2,
        description="Channels of a guidance encoder; each step after the first halves the size.",
    )
    guidance_num_attention_heads: int = Field(
        default=8, ge=1, description="Heads of a guidance encoder's self-attention."
    )
    guidance_norm_num_groups: int = Field(
        default=32, ge=1, description="Groups of the GroupNorm before that attention."
    )

    motion_levels: tuple[bool, ...] = Field(
        default=(True, True, True, True), description="Which resolutions have motion modules."
    )
    motion_middle: bool = Field(
        default=True, description="Whether the middle block has a motion module."
    )
    motion_num_attention_heads: int = Field(
        default=8, ge=1, description="Heads of every temporal attention."
    )
    motion_max_seq_length: int = Field(
        default=32,
        ge=1,
        description="The most frames of one call: motion modules have that many positions.",
    )

    reference_positions: bool = Field(
        default=False,
        description="Add sine-cosine positions to queries and keys of the denoiser's reference "
        "attention, after projection. Champ has none; a small network trained from nothing finds "
        "no correspondence without them.",
    )

    @property
    def guidance_stride(self) -> int:
        """How much smaller the guidance features are than the maps: the autoencoder's factor."""
        return 2 ** (len(self.guidance_channels) - 1)

    @property
    def embed_dim(self) -> int:
        """Channels after the denoiser's first convolution, where guidance is added."""
        return self.block_out_channels[0]

    @model_validator(mode="after")
    def _sizes_fit(self) -> NetworkSettings:
        levels = len(self.block_out_channels)
        for name in ("attention_levels", "motion_levels"):
            found = len(getattr(self, name))
            if found != levels:
                raise ValueError(
                    f"{name} must have one entry per resolution: block_out_channels has {levels}, "
                    f"{name} has {found}"
                )
        if not any(self.attention_levels):
            raise ValueError("attention_levels must have a True: the reference is seen there")
        divisors = {
            "num_attention_heads": self.num_attention_heads,
            "norm_num_groups": self.norm_num_groups,
            "motion_num_attention_heads": self.motion_num_attention_heads,
        }
        for channels in self.block_out_channels:
            _check_divides(divisors, channels, "block_out_channels")
        divisors = {
            "guidance_num_attention_heads": self.guidance_num_attention_heads,
            "guidance_norm_num_groups": self.guidance_norm_num_groups,
        }
        _check_divides(divisors, self.guidance_channels[-1], "the last of guidance_channels")
        if len(set(self.maps)) != len(self.maps):
            raise ValueError(f"maps must be different, got {self.maps}")
        if self.reference_positions and any(c % 4 for c in self.block_out_channels):
            raise ValueError(
                "reference_positions needs block_out_channels divisible by 4, "
                f"got {self.block_out_channels}"
            )
        return self


class ScheduleSettings(Settings):
    """Champ's noise schedule (conventions: Noise schedule, training, sampling)."""

    train_timesteps: int = Field(default=1000, ge=2, description="Noise levels.")
    beta_start: float = Field(
        default=0.00085, gt=0, lt=1, description="Variance of the first step."
    )
    beta_end: float = Field(default=0.012, gt=0, lt=1, description="Variance of the last step.")
    beta_schedule: Literal["scaled_linear", "linear"] = Field(
        default="scaled_linear",
        description="How the variances grow; the official sampler slips to `linear`.",
    )
    zero_terminal_snr: bool = Field(default=True, description="The last level is noise alone.")
    prediction_type: Literal["v_prediction", "epsilon"] = Field(
        default="v_prediction", description="What the network predicts."
    )
    timestep_spacing: Literal["trailing", "leading", "linspace"] = Field(
        default="trailing", description="Which levels few steps use; `trailing` starts at the last."
    )


class VaeSettings(Settings):
    """The sizes of an autoencoder that is trained here; the defaults are Stable Diffusion's."""

    block_out_channels: tuple[int, ...] = Field(
        default=(128, 256, 512, 512),
        min_length=1,
        description="Channels per resolution; each after the first halves the size.",
    )
    layers_per_block: int = Field(default=2, ge=1, description="Residual layers of a block.")
    latent_channels: int = Field(default=4, ge=1, description="Channels of the latents.")
    norm_num_groups: int = Field(default=32, ge=1, description="Groups of every GroupNorm.")


class ImageEncoderSettings(Settings):
    """The sizes of the image encoder that stands in where there are no trained weights."""

    hidden_size: int = Field(default=64, ge=1, description="Channels of the transformer.")
    layers: int = Field(default=2, ge=1, description="Its layers.")
    heads: int = Field(default=4, ge=1, description="Heads of its attention.")
    image_size: int = Field(default=64, ge=1, description="Side of the picture it sees.")
    patch_size: int = Field(default=16, ge=1, description="Side of one of its patches.")
    projection_dim: int = Field(
        default=64, ge=1, description="Size of the image token: the network's cross_attention_dim."
    )


def _check_divides(divisors: dict[str, int], channels: int, what: str) -> None:
    for name, divisor in divisors.items():
        if channels % divisor:
            raise ValueError(
                f"{name} must divide {what}: {channels} is not a multiple of {divisor}"
            )

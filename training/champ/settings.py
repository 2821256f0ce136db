"""The sizes of a Champ network: the defaults are Stable Diffusion 1.5's, as released."""

from __future__ import annotations

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


def _check_divides(divisors: dict[str, int], channels: int, what: str) -> None:
    for name, divisor in divisors.items():
        if channels % divisor:
            raise ValueError(
                f"{name} must divide {what}: {channels} is not a multiple of {divisor}"
            )

"""The motion modules' weights by themselves: new ones, and which of a network's they are."""

from __future__ import annotations

from collections.abc import Mapping

from diffusers.models.unets.unet_motion_model import MotionAdapter
from torch import Tensor, nn

from training.champ.settings import NetworkSettings

DENOISER = "denoising_unet."


def is_motion(name: str) -> bool:
    """Whether a name of ``ChampNetwork.state_dict`` belongs to a motion module."""
    return name.startswith(DENOISER) and ".motion_modules." in name


def new_adapter(settings: NetworkSettings) -> MotionAdapter:
    """diffusers' container of motion modules: new ones on all levels, which change nothing yet."""
    adapter = MotionAdapter(
        block_out_channels=settings.block_out_channels,
        motion_layers_per_block=settings.layers_per_block,
        motion_num_attention_heads=settings.motion_num_attention_heads,
        motion_norm_num_groups=settings.norm_num_groups,
        motion_max_seq_length=settings.motion_max_seq_length,
        use_motion_mid_block=settings.motion_middle,
    )
    for name, parameter in adapter.named_parameters():
        if is_projection_out(name):
            nn.init.zeros_(parameter)
    return adapter


def is_projection_out(name: str) -> bool:
    """Whether a motion module whose weight of this name is zero changes nothing."""
    return name.rpartition(".")[0].endswith(".proj_out")


def new_motion_weights(
    expected: Mapping[str, Tensor], settings: NetworkSettings
) -> dict[str, Tensor]:
    """New weights, by our names, for the motion modules among ``expected``."""
    new = {f"{DENOISER}{n}": w for n, w in new_adapter(settings).state_dict().items()}
    return {name: new[name] for name in expected if is_motion(name)}

"""Motion modules: attention along time, where the denoiser has it and where it has not."""

from __future__ import annotations

import torch
from diffusers.models.unets.unet_motion_model import AnimateDiffTransformer3D, UNetMotionModel
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from training.champ.settings import NetworkSettings

LARGEST_BATCH = 65535
"""Batch times heads that one launch of CUDA's attention kernels takes (their grid's limit)."""


class PassThrough(nn.Module):
    """Stands where a motion module would and changes nothing.

    diffusers' blocks walk through residual layers and motion modules in step, so the place cannot
    be left empty. One frame through real motion modules is not the same as none.
    """

    def forward(self, hidden_states: Tensor, *_: object, num_frames: int = 1) -> Tensor:
        del num_frames
        return hidden_states


class MotionModule(nn.Module):
    """AnimateDiff's temporal transformer, made of the parts of diffusers' (same parameter names).

    It differs in three things: every frame is normalised by itself, as Champ's weights expect
    (diffusers normalises over all frames at once, an error of 0.4 in the output); positions are
    attended in portions that CUDA's kernels take; and it can be checkpointed, which diffusers does
    not do in down and up blocks. The projection out starts at zero: a new module changes nothing.
    """

    def __init__(self, parts: AnimateDiffTransformer3D) -> None:
        super().__init__()
        self.norm = parts.norm
        self.proj_in = parts.proj_in
        self.transformer_blocks = parts.transformer_blocks
        self.proj_out = parts.proj_out
        nn.init.zeros_(self.proj_out.weight)
        nn.init.zeros_(self.proj_out.bias)
        self.portion = LARGEST_BATCH // parts.num_attention_heads
        self.checkpointed = False

    def forward(
        self,
        hidden_states: Float[Tensor, "batch_frames channels h w"],
        encoder_hidden_states: None = None,  # the middle block passes these by position
        timestep: None = None,
        class_labels: None = None,
        num_frames: int = 1,
        cross_attention_kwargs: None = None,
    ) -> Float[Tensor, "batch_frames channels h w"]:
        del encoder_hidden_states, timestep, class_labels, cross_attention_kwargs
        if self.checkpointed and torch.is_grad_enabled():
            out = checkpoint(self._along_time, hidden_states, num_frames, use_reentrant=False)
            assert isinstance(out, Tensor)
            return out
        return self._along_time(hidden_states, num_frames)

    def _along_time(self, hidden_states: Tensor, frames: int) -> Tensor:
        _, _, height, width = hidden_states.shape
        states = self.norm(hidden_states).unflatten(0, (-1, frames))
        states = states.permute(0, 3, 4, 1, 2).flatten(0, 2)  # (batch h w, frames, channels)
        states = torch.cat([self._transform(part) for part in states.split(self.portion)])
        states = states.unflatten(0, (-1, height, width)).permute(0, 3, 4, 1, 2)
        return hidden_states + states.flatten(0, 1)

    def _transform(self, states: Float[Tensor, "positions frames c"]) -> Tensor:
        states = self.proj_in(states)
        for block in self.transformer_blocks:
            states = block(states)
        return self.proj_out(states)


def install_motion(unet: UNetMotionModel, settings: NetworkSettings, *, motion: bool) -> None:
    """Put a ``MotionModule`` or a ``PassThrough`` in every place for one.

    Args:
        motion: False leaves all out (stage 1); True follows ``settings.motion_levels`` and
            ``settings.motion_middle``.
    """
    levels = settings.motion_levels
    places = [
        *zip(unet.down_blocks, levels, strict=True),
        *zip(unet.up_blocks, reversed(levels), strict=True),
        (unet.mid_block, settings.motion_middle),
    ]
    for block, wanted in places:
        block.motion_modules = nn.ModuleList(
            MotionModule(parts) if motion and wanted else PassThrough()
            for parts in block.motion_modules
        )


def motion_modules(unet: UNetMotionModel) -> list[MotionModule]:
    """The motion modules of a denoiser that are not passed through."""
    return [module for module in unet.modules() if isinstance(module, MotionModule)]


def checkpoint_motion(unet: UNetMotionModel, enabled: bool) -> None:
    """Switch gradient checkpointing of the motion modules.

    The middle block's is left alone: diffusers checkpoints that one itself.
    """
    for name, module in unet.named_modules():
        if isinstance(module, MotionModule) and not name.startswith("mid_block."):
            module.checkpointed = enabled

"""One training step's loss, written from the conventions alone, one sample at a time, in float64.

Nothing is shared with the package but the weights: the U-Nets are diffusers' own with the formulas
of ``plain_layers`` in place of attention and motion. Nothing here is fast: no batches, no keys and
values kept, no fused attention.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.models.unets.unet_motion_model import UNetMotionModel
from torch import Tensor, nn

from tests.unit.training.plain_layers import (
    NoMotion,
    Parts,
    PlainGuidance,
    PlainMotion,
    PlainSelfAttention,
    plain_attention,
    transformer_blocks,
)
from training.champ.network import ChampNetwork

STEPS, FIRST_BETA, LAST_BETA, SNR_GAMMA = 1000, 0.00085, 0.012, 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """The step of the conventions; each field also has the values of a likely mistake."""

    drop: Literal["sample", "batch", "never"] = "sample"
    dropped_see: Literal["nothing", "reference", "image token"] = "nothing"
    dropped_guidance: bool = True
    target: Literal["v", "epsilon"] = "v"
    min_snr: Literal["shifted", "plain", "off"] = "shifted"
    zero_terminal_snr: bool = True
    beta_schedule: Literal["scaled_linear", "linear"] = "scaled_linear"
    noise_offset: float = 0.05
    offset_shared_by: Literal["clip", "nobody"] = "clip"
    mask_weight: float = 1.0
    motion_norm: Literal["frame", "clip"] = "frame"
    motion_positions: Literal["both", "first"] = "both"


def alphas_cumprod(definition: Definition) -> Tensor:
    """The share of signal power at each level, float64."""
    if definition.beta_schedule == "scaled_linear":
        betas = torch.linspace(FIRST_BETA**0.5, LAST_BETA**0.5, STEPS, dtype=torch.float64) ** 2
    else:
        betas = torch.linspace(FIRST_BETA, LAST_BETA, STEPS, dtype=torch.float64)
    amplitudes = (1 - betas).cumprod(0).sqrt()
    if definition.zero_terminal_snr:
        first, last = amplitudes[0].item(), amplitudes[-1].item()
        amplitudes = (amplitudes - last) * first / (first - last)
    return amplitudes**2


class PlainNetwork(nn.Module):
    """The weights of ``network`` in float64, under the names they have there."""

    def __init__(self, network: ChampNetwork, definition: Definition) -> None:
        super().__init__()
        self.definition = definition
        self.maps = network.settings.maps
        self.reference_unet = _reference_unet(network)
        self.denoising_unet = _denoising_unet(network, definition)
        self.guidance_encoders = nn.ModuleDict(
            {name: PlainGuidance(network, name) for name in self.maps}
        )
        self.captured: dict[str, Tensor] = {}
        self.attentions: dict[str, PlainSelfAttention] = {}
        for name, block in transformer_blocks(self.reference_unet):
            plain_attention(block)
            block.norm1.register_forward_hook(self._capture(name))
        for name, block in transformer_blocks(self.denoising_unet):
            self.attentions[name] = plain_attention(block)
        self.double()
        for copy, parameter in zip(self.parameters(), self._originals(network), strict=True):
            assert torch.equal(copy, parameter.double())

    def loss(self, batch: dict[str, Tensor]) -> Tensor:
        """The step's loss: a mean over the samples.

        ``batch`` is what ``StageRecipe.batch`` gives, but ``noise`` is without its offset, which
        stands beside it as ``offset`` (batch, c), standard normal.
        """
        losses = []
        for index in range(len(batch["latents"])):
            sample = {name: values[index] for name, values in batch.items()}
            kept = {
                "sample": bool(sample["conditional"]),
                "batch": bool(batch["conditional"].all()),
                "never": True,
            }[self.definition.drop]
            losses.append(self._sample_loss(sample, kept=kept))
        return sum(losses, start=torch.zeros((), dtype=torch.float64)) / len(losses)

    def _sample_loss(self, sample: dict[str, Tensor], *, kept: bool) -> Tensor:
        definition = self.definition
        alpha = alphas_cumprod(definition)[int(sample["timesteps"])]
        latents = sample["latents"].double()
        noise = _noise(sample, definition)
        noisy = alpha.sqrt() * latents + (1 - alpha).sqrt() * noise
        velocity = alpha.sqrt() * noise - (1 - alpha).sqrt() * latents
        target = velocity if definition.target == "v" else noise
        error = self._predict(noisy, sample, kept=kept) - target
        return _snr_weight(alpha, definition) * _error(error, sample["mask"], definition)

    def _predict(self, noisy: Tensor, sample: dict[str, Tensor], *, kept: bool) -> Tensor:
        """What the denoiser says of a clip (c, frames, h, w)."""
        see = self.definition.dropped_see
        token = sample["image_embeds"].double()
        seen = self._reference(sample["reference_latents"].double(), token)
        for name, attention in self.attentions.items():
            attention.reference = seen[name] if kept or see == "reference" else None
        frames = noisy.shape[1]
        guidance = self._guidance(sample["maps"].double() / 255)
        guidance = guidance if kept or self.definition.dropped_guidance else 0 * guidance
        token = token if kept or see == "image token" else torch.zeros_like(token)
        hook = self.denoising_unet.conv_in.register_forward_hook(lambda *call: call[-1] + guidance)
        predicted = self.denoising_unet(
            noisy[None],
            sample["timesteps"][None],
            encoder_hidden_states=torch.stack([token] * frames),
            return_dict=False,
        )[0][0]
        hook.remove()
        return predicted

    def _reference(self, latents: Tensor, token: Tensor) -> dict[str, Tensor]:
        """The reference's states after ``norm1`` of every transformer block: (tokens, c)."""
        self.captured.clear()
        self.reference_unet(latents[None], 0, encoder_hidden_states=token[None])
        return dict(self.captured)

    def _guidance(self, maps: Tensor) -> Tensor:
        """The sum over the encoders, from (maps, 3, frames, height, width): (frames, c, h, w)."""
        frames = []
        for frame in range(maps.shape[2]):
            parts = [
                self.guidance_encoders[name](maps[i, :, frame]) for i, name in enumerate(self.maps)
            ]
            frames.append(sum(parts[1:], start=parts[0]))
        return torch.stack(frames)

    def _capture(self, name: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: object, output: Tensor) -> None:
            self.captured[name] = output[0]

        return hook

    def _originals(self, network: ChampNetwork) -> list[Tensor]:
        theirs = dict(network.named_parameters())
        return [theirs[name] for name, _ in self.named_parameters()]


def _reference_unet(network: ChampNetwork) -> Parts:
    unet: Parts = UNet2DConditionModel.from_config(network.reference_unet.config)
    unet.conv_norm_out, unet.conv_out = None, nn.Identity()
    unet.load_state_dict(network.reference_unet.state_dict())
    return unet


def _denoising_unet(network: ChampNetwork, definition: Definition) -> Parts:
    unet: Parts = UNetMotionModel.from_config(network.denoising_unet.config)
    for block in (*unet.down_blocks, unet.mid_block, *unet.up_blocks):
        block.motion_modules = nn.ModuleList(
            PlainMotion(parts, definition.motion_norm, definition.motion_positions)
            if network.motion
            else NoMotion()
            for parts in block.motion_modules
        )
    unet.load_state_dict(network.denoising_unet.state_dict())
    return unet


def _noise(sample: dict[str, Tensor], definition: Definition) -> Tensor:
    noise, offset = sample["noise"].double(), sample["offset"].double()
    if definition.offset_shared_by == "clip":
        return noise + definition.noise_offset * offset[:, None, None, None]
    signs = (-1.0) ** torch.arange(noise.shape[1])  # another offset in every other frame
    return noise + definition.noise_offset * offset[:, None, None, None] * signs[:, None, None]


def _snr_weight(alpha: Tensor, definition: Definition) -> Tensor | float:
    snr = alpha / (1 - alpha)
    if definition.min_snr == "shifted":
        return min(snr + 1, torch.tensor(SNR_GAMMA)) / (snr + 1)
    return 1.0 if definition.min_snr == "off" else min(snr, torch.tensor(SNR_GAMMA)) / (snr + 1)


def _error(error: Tensor, mask: Tensor, definition: Definition) -> Tensor:
    """Mean square of (c, frames, h, w), latents weighted by the mask's share in their block."""
    _, frames, height, width = error.shape
    step_y, step_x = mask.shape[1] // height, mask.shape[2] // width
    weights = torch.ones(frames, height, width, dtype=torch.float64)
    for frame, row, column in torch.cartesian_prod(*map(torch.arange, weights.shape)).tolist():
        y, x = row * step_y, column * step_x
        covered = mask[frame, y : y + step_y, x : x + step_x].double().mean()
        weights[frame, row, column] = 1 + (definition.mask_weight - 1) * covered
    return (error.square() * weights / weights.mean()).mean()

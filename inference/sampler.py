"""From noise to the latents of a clip: DDIM over overlapping windows, with guidance."""

from __future__ import annotations

from collections.abc import Callable

import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler, DDIMSchedulerOutput
from jaxtyping import Float, UInt8
from torch import Tensor

from inference.settings import SampleSettings
from inference.windows import windows
from training.champ.attention import ReferenceKeysValues
from training.champ.network import ChampNetwork

Maps = Float[Tensor, "1 maps 3 frames height width"] | UInt8[Tensor, "1 maps 3 frames height width"]


@torch.no_grad()
def sample(
    network: ChampNetwork,
    scheduler: DDIMScheduler,
    *,
    reference_latents: Float[Tensor, "1 c h w"],
    image_embeds: Float[Tensor, "1 tokens dim"],
    maps: Maps,
    settings: SampleSettings,
    seed: int = 0,
    noise: Float[Tensor, "1 c frames h w"] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Float[Tensor, "frames c h w"]:
    """Sample the normalised latents of a clip that shows the reference following the maps.

    The same arguments on the same machine give the same latents. What is constant is computed once:
    the reference's keys and values, and each frame's guidance.

    Args:
        scheduler: Of ``make_scheduler(settings.schedule)``; its timesteps are set here.
        reference_latents: Of the reference picture, as the autoencoder gives them.
        image_embeds: The reference picture's image token.
        maps: In the network's order, in [0, 1], or uint8 to save memory; on any device.
        seed: Of the initial noise.
        noise: The initial noise itself, instead of a seed.
        progress: Called after every step with steps done and steps in all.

    Raises:
        ValueError: Shapes that do not fit the network, or an overlap as large as the window.
    """
    guidance = _encode_guidance(network, maps, settings.window_frames)
    features = network.reference_features(
        reference_latents.to(network.device), image_embeds.to(network.device)
    )
    seen = network.reference_keys_values(features)
    if noise is None:
        noise = initial_noise(network, guidance, seed=seed, shared=settings.shared_noise)
    latents = noise.to(network.device, torch.float32)
    parts = windows(
        guidance.shape[2],
        settings.window_frames,
        settings.window_overlap,
        closed_loop=settings.closed_loop,
    )
    predict = _Prediction(network, image_embeds.to(network.device), guidance, seen)
    scheduler.set_timesteps(settings.steps)
    for step, timestep in enumerate(scheduler.timesteps):
        prediction = predict.averaged(latents, timestep, parts, settings.guidance_scale)
        output = scheduler.step(prediction, int(timestep), latents, eta=0.0)
        assert isinstance(output, DDIMSchedulerOutput)
        latents = output.prev_sample
        if progress is not None:
            progress(step + 1, settings.steps)
    return latents[0].transpose(0, 1)


def initial_noise(
    network: ChampNetwork,
    guidance: Float[Tensor, "1 g frames h w"],
    *,
    seed: int,
    shared: bool,
) -> Float[Tensor, "1 c frames h w"]:
    """Normal noise of the clip's size, drawn on the CPU so that every device gets the same."""
    _, _, frames, height, width = guidance.shape
    generator = torch.Generator().manual_seed(seed)
    drawn = 1 if shared else frames
    channels = network.settings.latent_channels
    noise = torch.randn(1, channels, drawn, height, width, generator=generator)
    return noise.expand(-1, -1, frames, -1, -1)


def _encode_guidance(
    network: ChampNetwork, maps: Maps, portion: int
) -> Float[Tensor, "1 g frames h w"]:
    """Guidance features of all frames, on the CPU: only a window's worth is ever needed at once."""
    if maps.ndim != 6 or maps.shape[0] != 1:
        raise ValueError(
            f"maps must be (1, maps, 3, frames, height, width), got {tuple(maps.shape)}"
        )
    encoded = []
    for part in maps.split(portion, dim=3):
        unit = part.to(network.device, network.dtype)
        unit = unit / 255 if part.dtype == torch.uint8 else unit
        encoded.append(network.encode_guidance(unit).cpu())
    return torch.cat(encoded, dim=2)


class _Prediction:
    """What the network predicts of one clip; holds what does not change from step to step."""

    def __init__(
        self,
        network: ChampNetwork,
        image_embeds: Tensor,
        guidance: Tensor,
        seen: ReferenceKeysValues,
    ) -> None:
        self.network, self.image_embeds = network, image_embeds
        self.guidance, self.seen = guidance, seen

    def averaged(
        self, latents: Tensor, timestep: Tensor, parts: list[list[int]], scale: float
    ) -> Float[Tensor, "1 c frames h w"]:
        """The guided prediction; a frame that lies in several windows gets their mean."""
        total = torch.zeros_like(latents)
        count = latents.new_zeros(latents.shape[2])
        for part in parts:
            total[:, :, part] += self._guided(latents[:, :, part], timestep, part, scale).float()
            count[part] += 1
        return total / count[:, None, None]

    def _guided(self, latents: Tensor, timestep: Tensor, part: list[int], scale: float) -> Tensor:
        network, token = self.network, self.image_embeds
        guidance = self.guidance[:, :, part].to(network.device)
        timesteps = timestep.to(network.device)[None]
        conditional = network(latents, timesteps, token, guidance, self.seen)
        if scale == 1:
            return conditional
        unconditional = network(latents, timesteps, torch.zeros_like(token), guidance, None)
        return unconditional + scale * (conditional - unconditional)

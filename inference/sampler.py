"""From noise to the latents of a clip: overlapping windows, with classifier-free guidance."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from inference.guidance_features import GuidanceFeatures
from inference.guided_denoiser import GuidedDenoiser
from inference.map_frames import MapFrames, Maps, held_maps
from inference.settings import SampleSettings
from inference.solvers import make_solver
from inference.windows import windows
from training.champ.network import ChampNetwork


@torch.no_grad()
def sample(
    network: ChampNetwork,
    *,
    reference_latents: Float[Tensor, "batch c h w"],
    image_embeds: Float[Tensor, "batch 1 dim"],
    maps: Maps | MapFrames,
    settings: SampleSettings,
    seed: int = 0,
    noise: Float[Tensor, "batch c frames h w"] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Float[Tensor, "batch c frames h w"]:
    """Sample the normalised latents of clips that show the references following the maps.

    The same arguments on the same machine give the same latents. What is constant is computed once
    (``GuidedDenoiser``, ``GuidanceFeatures``). Memory beyond ``settings.memory_gib`` does not grow
    with the number of frames, but for the latents themselves.

    Args:
        reference_latents: Of the reference pictures, as the autoencoder gives them.
        image_embeds: The reference pictures' image tokens.
        maps: In the network's order, in [0, 1] or as bytes, or where to get them from.
        settings: Of the sampler.
        seed: Of the initial noise; drawn on the CPU, so that every device gets the same.
        noise: The initial noise itself, instead of a seed.
        progress: Called after every window with windows done and windows in all steps.

    Returns:
        In float32, on the network's device, or on the host where they are too many for it.

    Raises:
        ValueError: Shapes that do not fit the network, or an overlap as large as the window.
    """
    source = maps if isinstance(maps, MapFrames) else held_maps(maps)
    guidance = GuidanceFeatures(network, source, host_bytes=int(settings.memory_gib * 2**30))
    denoiser = GuidedDenoiser(
        network,
        reference_latents,
        image_embeds,
        guidance_scale=settings.guidance_scale,
        reuse_every=settings.reuse_every,
    )
    if noise is None:
        noise = initial_noise(network, guidance.shape, seed=seed, shared=settings.shared_noise)
    try:
        with denoiser.active():
            return _denoise(denoiser, guidance, noise, settings, progress)
    finally:
        guidance.close()


def initial_noise(
    network: ChampNetwork,
    guidance_shape: tuple[int, int, int, int, int],
    *,
    seed: int,
    shared: bool,
) -> Float[Tensor, "batch c frames h w"]:
    """Normal noise for guidance of a shape (batch, g, frames, h, w).

    Every clip of a batch gets the noise it would get alone.
    """
    batch, _, frames, height, width = guidance_shape
    generator = torch.Generator().manual_seed(seed)
    drawn = 1 if shared else frames
    channels = network.settings.latent_channels
    noise = torch.randn(1, channels, drawn, height, width, generator=generator)
    return noise.expand(batch, -1, frames, -1, -1)


def _denoise(
    denoiser: GuidedDenoiser,
    guidance: GuidanceFeatures,
    noise: Tensor,
    settings: SampleSettings,
    progress: Callable[[int, int], None] | None,
) -> Tensor:
    """All steps over all windows."""
    parts = windows(
        noise.shape[2],
        settings.window_frames,
        settings.window_overlap,
        closed_loop=settings.closed_loop,
        merging=settings.merging,
    )
    solver = make_solver(settings.solver, settings.schedule, settings.steps)
    fits = noise.numel() * 4 <= settings.memory_gib * 2**30
    latents = noise.to(denoiser.network.device if fits else "cpu", torch.float32)
    latents = latents * solver.init_noise_sigma
    done = 0
    for step, timestep in enumerate(solver.timesteps):
        scaled = solver.scale_model_input(latents, timestep)
        prediction = torch.zeros_like(latents)
        for index, part in enumerate(parts):
            frames = list(part.frames)
            predicted = denoiser(
                scaled[:, :, frames].to(denoiser.network.device),
                timestep,
                guidance.of(frames),
                step=step,
                window=index,
            )
            shares = latents.new_tensor(part.weights)[:, None, None]
            prediction[:, :, frames] += predicted.to(latents.device) * shares
            done += 1
            if progress is not None:
                progress(done, settings.steps * len(parts))
        latents = solver.step(prediction, timestep, latents, return_dict=False)[0]
    return latents

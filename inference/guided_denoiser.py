"""The denoiser with classifier-free guidance, for one reference: constants once, halves shared."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor

from inference.deep_reuse import DeepReuse
from inference.recall import SharedByHalves, answered
from training.champ.denoiser import before_attention
from training.champ.network import ChampNetwork


class GuidedDenoiser:
    """Predicts v for any frames of a clip at any noise level.

    The reference net runs once, here; what the denoiser's layers make of the reference and of the
    image token is projected once. The unconditional half sees neither (conventions: Network), and
    is left out where the scale is 1.

    Args:
        network: In evaluation mode.
        reference_latents: Of the reference pictures, as the autoencoder gives them.
        image_embeds: The reference pictures' image tokens.
        guidance_scale: Weight of the conditional half over the unconditional one.
        reuse_every: Steps from one run of the deep blocks to the next; more than 1 is an
            approximation.
    """

    @torch.no_grad()
    def __init__(
        self,
        network: ChampNetwork,
        reference_latents: Float[Tensor, "batch c h w"],
        image_embeds: Float[Tensor, "batch 1 dim"],
        *,
        guidance_scale: float,
        reuse_every: int = 1,
    ) -> None:
        token = image_embeds.to(network.device)
        features = network.reference_features(reference_latents.to(network.device), token)
        self.network = network
        self.guidance_scale = guidance_scale
        self._token = token
        self._shared = SharedByHalves()
        self._reuse = DeepReuse(network, every=reuse_every)
        self._halves = [network.reference_constants(features, token)]
        if guidance_scale != 1:
            self._halves.append(network.reference_constants(None, torch.zeros_like(token)))

    @contextmanager
    def active(self) -> Iterator[None]:
        """Within the block the halves share what precedes the first attention (which is exact)."""
        shares = len(self._halves) > 1
        stem = before_attention(self.network.denoising_unet) if shares else {}
        with answered("halves", stem, self._shared.decide), self._reuse.active():
            yield

    @torch.no_grad()
    def __call__(
        self,
        latents: Float[Tensor, "batch c frames h w"],
        timestep: Tensor,
        guidance: Float[Tensor, "batch g frames h w"],
        *,
        step: int = 0,
        window: int = 0,
    ) -> Float[Tensor, "batch c frames h w"]:
        """The guided prediction in float32; ``step`` and ``window`` tell whose it is."""
        self._shared.forget()
        timesteps = timestep.to(self.network.device).expand(len(latents))
        predicted = []
        for half, constants in enumerate(self._halves):
            self._reuse.at(step, (window, half))
            output = self.network(latents, timesteps, self._token, guidance, constants)
            predicted.append(output.float())
        if len(predicted) == 1:
            return predicted[0]
        conditional, unconditional = predicted
        return unconditional + self.guidance_scale * (conditional - unconditional)

"""The whole network: reference net, denoiser and guidance encoders under one roof."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from training.champ.attention import (
    ReferenceConstants,
    ReferenceContext,
    ReferenceFeatures,
    image_answer,
    project,
    spatial_attentions,
)
from training.champ.denoiser import build_denoiser
from training.champ.guidance import GuidanceEncoder
from training.champ.motion import checkpoint_motion
from training.champ.reference import build_reference_net
from training.champ.settings import NetworkSettings


class ChampNetwork(nn.Module):
    """Champ's network of diffusers' classes (paper, figure 2; conventions: Network).

    Args:
        settings: Its sizes.
        motion: False passes the motion modules through: stage 1, single frames.
    """

    def __init__(self, settings: NetworkSettings, *, motion: bool) -> None:
        super().__init__()
        self.settings = settings
        self.motion = motion
        self.reference_unet = build_reference_net(settings)
        self.denoising_unet = build_denoiser(settings, motion=motion)
        self.guidance_encoders = nn.ModuleDict(
            {name: GuidanceEncoder(settings) for name in settings.maps}
        )

    @property
    def dtype(self) -> torch.dtype:
        """The floating point type of the weights; inputs are cast to it."""
        return self.denoising_unet.conv_in.weight.dtype

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.denoising_unet.conv_in.weight.device

    def encode_guidance(
        self, maps: Float[Tensor, "batch maps 3 frames height width"]
    ) -> Float[Tensor, "batch c frames h w"]:
        """The sum of what the encoders make of their maps.

        ``maps`` are in [0, 1], in the order of ``settings.maps``.

        Raises:
            ValueError: Another number of maps, or a size that is no multiple of the stride.
        """
        names, stride = self.settings.maps, self.settings.guidance_stride
        if maps.ndim != 6 or maps.shape[1:3] != (len(names), 3):
            raise ValueError(
                f"maps must be (batch, {len(names)}, 3, frames, height, width) for {names}, "
                f"got {tuple(maps.shape)}"
            )
        if maps.shape[-2] % stride or maps.shape[-1] % stride:
            raise ValueError(
                f"height and width of the maps must be multiples of {stride}, "
                f"got {tuple(maps.shape[-2:])}"
            )
        maps = maps.to(self.dtype)
        parts = (self.guidance_encoders[name](maps[:, i]) for i, name in enumerate(names))
        return torch.stack(list(parts)).sum(0)

    def reference_features(
        self,
        reference_latents: Float[Tensor, "batch c h w"],
        image_embeds: Float[Tensor, "batch tokens dim"],
    ) -> ReferenceFeatures:
        """What the reference net, at timestep 0, notes at each of its self-attention layers."""
        captured: ReferenceFeatures = {}
        self.reference_unet(
            reference_latents.to(self.dtype),
            0,
            encoder_hidden_states=image_embeds.to(self.dtype),
            cross_attention_kwargs={"capture": captured},
            return_dict=False,
        )
        return dict(captured)

    def reference_constants(
        self, features: ReferenceFeatures | None, image_embeds: Float[Tensor, "batch 1 dim"]
    ) -> ReferenceConstants:
        """The denoiser's projections of the reference, for a call without gradients.

        Args:
            features: From ``reference_features``; None shows no reference.
            image_embeds: The image token, one a sample; zeros are the unconditional one.

        Raises:
            ValueError: Features of other layers than the denoiser's, or several tokens.
        """
        if image_embeds.shape[1] != 1:
            raise ValueError(f"there must be one image token, got {tuple(image_embeds.shape)}")
        token = image_embeds.to(self.dtype)
        answers = {
            name: image_answer(layer, token)
            for name, layer in spatial_attentions(self.denoising_unet, "attn2")
        }
        keys, values = self._keys_values(features)
        return ReferenceConstants(keys=keys, values=values, image=answers)

    def forward(
        self,
        latents: Float[Tensor, "batch c frames h w"],
        timesteps: Int[Tensor, " batch"],
        image_embeds: Float[Tensor, "batch tokens dim"],
        guidance: Float[Tensor, "batch g frames h w"],
        reference: ReferenceFeatures | ReferenceConstants | None,
        *,
        reference_kept: Bool[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch c frames h w"]:
        """Predict v for noisy latents.

        Args:
            latents: Noisy, normalised as the autoencoder gives them.
            image_embeds: The image token; zeros are the unconditional one.
            guidance: From ``encode_guidance``.
            reference: From ``reference_features`` (or, projected once and for all and with the
                image token's answers, from ``reference_constants``); None shows no sample a
                reference.
            reference_kept: False for the samples that are unconditional: they see neither the
                reference nor the image token, but keep their guidance. None keeps all. Not with
                constants, which know already who sees what.

        Raises:
            ValueError: Shapes that do not fit, or more frames than motion modules have positions.
        """
        self._check(latents, image_embeds, guidance)
        frames = latents.shape[2]
        if reference_kept is not None:
            image_embeds = image_embeds * reference_kept[:, None, None].to(image_embeds.dtype)
        if not isinstance(reference, ReferenceConstants):
            keys, values = self._keys_values(reference)
            reference = ReferenceConstants(keys=keys, values=values, image={})
        height, width = latents.shape[-2:]
        context = ReferenceContext(
            latent_size=(height, width), constants=reference, kept=reference_kept
        )
        return self.denoising_unet(
            torch.cat([latents.to(self.dtype), guidance.to(self.dtype)], dim=1),
            timesteps,
            encoder_hidden_states=image_embeds.to(self.dtype).repeat_interleave(frames, 0),
            cross_attention_kwargs={"reference": context},
            return_dict=False,
        )[0]

    def _keys_values(
        self, features: ReferenceFeatures | None
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The denoiser's projections of the reference, layer by layer."""
        if features is None:
            return {}, {}
        layers = dict(spatial_attentions(self.denoising_unet, "attn1"))
        if features.keys() != layers.keys():
            raise ValueError(
                f"reference features must have the {len(layers)} layers of the denoiser, "
                f"they differ in {sorted(features.keys() ^ layers.keys())}"
            )
        projected = {name: project(layer, features[name]) for name, layer in layers.items()}
        return (
            {name: key for name, (key, _) in projected.items()},
            {name: value for name, (_, value) in projected.items()},
        )

    def enable_gradient_checkpointing(self, enabled: bool = True) -> None:
        """Trade time for memory: both U-Nets, the motion modules and the guidance encoders."""
        for unet in (self.reference_unet, self.denoising_unet):
            if enabled:
                unet.enable_gradient_checkpointing()
            else:
                unet.disable_gradient_checkpointing()
        checkpoint_motion(self.denoising_unet, enabled)
        for module in self.guidance_encoders.modules():
            if isinstance(module, GuidanceEncoder):
                module.checkpointed = enabled

    def _check(self, latents: Tensor, image_embeds: Tensor, guidance: Tensor) -> None:
        settings = self.settings
        if latents.ndim != 5 or latents.shape[1] != settings.latent_channels:
            raise ValueError(
                f"latents must be (batch, {settings.latent_channels}, frames, h, w), "
                f"got {tuple(latents.shape)}"
            )
        if image_embeds.ndim != 3 or image_embeds.shape[-1] != settings.cross_attention_dim:
            raise ValueError(
                f"image_embeds must be (batch, tokens, {settings.cross_attention_dim}) "
                f"(cross_attention_dim), got {tuple(image_embeds.shape)}"
            )
        expected = (len(latents), settings.embed_dim, *latents.shape[2:])
        if tuple(guidance.shape) != expected:
            raise ValueError(f"guidance must be {expected}, got {tuple(guidance.shape)}")
        if self.motion and latents.shape[2] > settings.motion_max_seq_length:
            raise ValueError(
                f"one call takes at most {settings.motion_max_seq_length} frames "
                f"(motion_max_seq_length), got {latents.shape[2]}: sample in windows"
            )

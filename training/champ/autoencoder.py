"""Frames to latents and back, by diffusers' AutoencoderKL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from training.champ.library_folders import check_loaded, library_weights, save_library_model
from training.champ.settings import VaeSettings

FRAMES_AT_ONCE = 8  # bounds memory: a 768 x 768 frame takes about a gigabyte on its way


class Autoencoder:
    """An AutoencoderKL together with how its latents are normalised.

    Latents are ``(mean - latents_mean) / latents_std`` per channel when the model's configuration
    has those two, else ``mean * scaling_factor``; ``mean`` is that of the posterior.
    """

    def __init__(self, model: AutoencoderKL) -> None:
        self.model = model

    @classmethod
    def create(cls, settings: VaeSettings) -> Autoencoder:
        """One with new weights, to be trained."""
        levels = len(settings.block_out_channels)
        model = AutoencoderKL(  # its annotations ask for tuples of one
            down_block_types=("DownEncoderBlock2D",) * levels,  # pyright: ignore[reportArgumentType]
            up_block_types=("UpDecoderBlock2D",) * levels,  # pyright: ignore[reportArgumentType]
            block_out_channels=settings.block_out_channels,  # pyright: ignore[reportArgumentType]
            layers_per_block=settings.layers_per_block,
            latent_channels=settings.latent_channels,
            norm_num_groups=settings.norm_num_groups,
        )
        return cls(model)

    @classmethod
    def load(cls, folder: Path) -> Autoencoder:
        """Read a folder in diffusers' format: ``config.json``, safetensors weights or ``.bin``.

        Attention layers may have their old names, as in the released sd-vae-ft-mse.

        Raises:
            ValueError: There is no such folder, or its weights are damaged or not all there.
        """
        weights = library_weights(folder, "autoencoder")
        loaded: Any = AutoencoderKL.from_pretrained(
            str(folder),
            use_safetensors=weights.suffix == ".safetensors",
            low_cpu_mem_usage=False,
            local_files_only=True,
            output_loading_info=True,
        )
        model, told = loaded
        check_loaded(folder, told)
        return cls(model.eval().requires_grad_(False))

    def save(self, folder: Path) -> None:
        """Write a folder that ``load`` and diffusers read; each file is whole or absent."""
        save_library_model(self.model, folder)

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> Autoencoder:
        """Move the model, in place."""
        nn.Module.to(self.model, device=device, dtype=dtype)  # the library's own warns in vain
        return self

    @property
    def stride(self) -> int:
        """How much smaller the latents are than the frames."""
        return 2 ** (len(self.model.config["block_out_channels"]) - 1)

    @property
    def latent_channels(self) -> int:
        """Channels of the latents."""
        return self.model.config["latent_channels"]

    @torch.no_grad()
    def encode(
        self, frames: UInt8[np.ndarray, "frames height width 3"]
    ) -> Float[Tensor, "frames c h w"]:
        """Normalised latents in float32, on the model's device.

        Raises:
            ValueError: Height or width is no multiple of ``stride``.
        """
        return self.normalize(self._posterior_means(frames))

    @torch.no_grad()
    def decode(
        self, latents: Float[Tensor, "frames c h w"]
    ) -> UInt8[np.ndarray, "frames height width 3"]:
        """Frames of normalised latents."""
        return np.concatenate([pixels_to_frames(part) for part in self.decode_portions(latents)])

    @torch.no_grad()
    def decode_portions(
        self, latents: Float[Tensor, "frames c h w"]
    ) -> Iterator[Float[Tensor, "portion 3 height width"]]:
        """Pictures in [0, 1], ``FRAMES_AT_ONCE`` at a time, each decoded when it is asked for."""
        for part in latents.split(FRAMES_AT_ONCE):
            yield self.decode_pixels(part)

    def decode_pixels(
        self, latents: Float[Tensor, "frames c h w"]
    ) -> Float[Tensor, "frames 3 height width"]:
        """What ``decode`` rounds: pictures in [0, 1], all frames at once, on the model's device."""
        raw = self.denormalize(latents.to(self.model.device, torch.float32))
        pictures = self.model.decode(
            raw.to(self.model.dtype),  # pyright: ignore[reportArgumentType]
            return_dict=False,
        )[0]
        return (pictures.float() / 2 + 0.5).clamp(0, 1)

    def normalize(self, means: Float[Tensor, "frames c h w"]) -> Float[Tensor, "frames c h w"]:
        """Posterior means as the denoiser sees them."""
        mean, std = self._statistics(means)
        return (means - mean) / std

    def denormalize(self, latents: Float[Tensor, "frames c h w"]) -> Float[Tensor, "frames c h w"]:
        """The inverse of ``normalize``."""
        mean, std = self._statistics(latents)
        return latents * std + mean

    def measure_statistics(self, frames: UInt8[np.ndarray, "frames height width 3"]) -> None:
        """Set ``latents_mean`` and ``latents_std`` so that these frames' latents are standard."""
        means = self._posterior_means(frames)
        self.model.register_to_config(
            latents_mean=means.mean((0, 2, 3)).tolist(),
            latents_std=means.std((0, 2, 3)).clamp(min=1e-6).tolist(),
        )

    @torch.no_grad()
    def _posterior_means(self, frames: np.ndarray) -> Float[Tensor, "frames c h w"]:
        height, width = frames.shape[1:3]
        if height % self.stride or width % self.stride:
            raise ValueError(
                f"height and width of frames must be multiples of {self.stride}, "
                f"got {height} x {width}"
            )
        means = []
        for start in range(0, len(frames), FRAMES_AT_ONCE):
            pixels = frames_to_pixels(frames[start : start + FRAMES_AT_ONCE])
            pixels = pixels.to(self.model.device, self.model.dtype)
            means.append(self.model.encode(pixels, return_dict=False)[0].mean.float())
        return torch.cat(means)

    def _statistics(self, like: Tensor) -> tuple[Tensor, Tensor]:
        config = self.model.config
        mean, std = config["latents_mean"], config["latents_std"]
        if mean is None or std is None:
            mean, std = [0.0], [1 / config["scaling_factor"]]
        shape = (1, -1, 1, 1)
        return like.new_tensor(mean).reshape(shape), like.new_tensor(std).reshape(shape)


def frames_to_pixels(
    frames: UInt8[np.ndarray, "frames height width 3"],
) -> Float[Tensor, "frames 3 height width"]:
    """Frames as an AutoencoderKL takes them: float32 in [-1, 1]."""
    pixels = torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2)
    return pixels.to(torch.float32) / 127.5 - 1


def pixels_to_frames(
    pixels: Float[Tensor, "frames 3 height width"],
) -> UInt8[np.ndarray, "frames height width 3"]:
    """Pictures in [0, 1] rounded to 8 bits."""
    return pixels.mul(255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()

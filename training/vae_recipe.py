"""Training of a small autoencoder on the clips' own frames, before anything is encoded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from jaxtyping import Float
from torch import Tensor, nn

from dataset.fingerprint import fingerprint
from dataset.storage import Location
from training.champ.autoencoder import Autoencoder, frames_to_pixels
from training.champ.settings import VaeSettings
from training.clips import ClipStore, rendered_clips
from training.data import plan_sample, seen_frames, usable_clips
from training.settings import EncodeSettings, TrainSettings

STATISTICS_FRAMES = 512  # enough for a mean and a deviation per channel


class VaeRecipe:
    """An AutoencoderKL from new weights: L1, an edge loss and a whiff of KL.

    After training the mean and deviation of every latent channel over the frames it has seen are
    written into its configuration (``latents_mean``, ``latents_std``), so that the denoiser's
    latents are standard.

    Args:
        root: The dataset root; its ``guidance`` table names the clips.
        settings: Of all trainings; its ``vae`` section is used.
        autoencoder: Sizes.
        encode: The crop and the size that the clips will be encoded with.
        guidance_recipe: Which rows of ``guidance``; None takes the newest.

    Raises:
        ValueError: There is no clip.
    """

    name = "vae"

    def __init__(
        self,
        root: Location,
        *,
        settings: TrainSettings,
        autoencoder: VaeSettings,
        encode: EncodeSettings,
        guidance_recipe: str | None = None,
    ) -> None:
        self.settings = settings
        self.section = settings.vae
        self.optimizer = settings.vae.optimizer
        self.autoencoder = autoencoder
        self.encode = encode
        self.store = ClipStore(root, capacity_bytes=int(settings.cache_gib * 2**30))
        clips = rendered_clips(
            root, size=encode.size, margin=encode.crop_margin, recipe=guidance_recipe
        )
        self.clips = usable_clips(clips, frames=1, train_fraction=settings.train_fraction)

    def fingerprint(self) -> str:
        described = {
            "seed": self.settings.seed,
            "train_fraction": self.settings.train_fraction,
            "precision": self.settings.loop.precision,
            "section": self.section.model_dump(mode="json"),
            "autoencoder": self.autoencoder.model_dump(mode="json"),
            "size": self.encode.size,
            "crop_margin": self.encode.crop_margin,
            "clips": [[clip.clip_id, clip.guidance_recipe] for clip in self.clips],
        }
        return fingerprint(self.name, 1, described)

    def build(self) -> AutoencoderKL:
        return Autoencoder.create(self.autoencoder).model

    def batch(self, step: int, indices: Sequence[int]) -> dict[str, Tensor]:
        frames, noise = [], []
        for index in indices:
            plan = plan_sample(
                self.clips,
                seed=self.settings.seed,
                step=step,
                index=index,
                train_fraction=self.settings.train_fraction,
            )
            frames.append(self.store.frames(plan.clip, "rgb", plan.frame_indices))
            noise.append(self._noise(step, index))
        return {"pixels": frames_to_pixels(np.concatenate(frames)), "noise": torch.stack(noise)}

    def loss(self, module: nn.Module, batch: dict[str, Tensor]) -> Float[Tensor, ""]:
        assert isinstance(module, AutoencoderKL)
        pixels = batch["pixels"]
        posterior = module.encode(pixels, return_dict=False)[0]
        latents = posterior.mean + posterior.std * batch["noise"]
        drawn = module.decode(latents, return_dict=False)[0].float()  # pyright: ignore[reportArgumentType]
        return (
            (drawn - pixels).abs().mean()
            + self.section.gradient_loss_weight * edge_loss(drawn, pixels)
            + self.section.kl_loss_weight * posterior.kl().mean()
        )

    def export(self, module: nn.Module, folder: Path) -> None:
        assert isinstance(module, AutoencoderKL)
        autoencoder = Autoencoder(module.eval())
        autoencoder.measure_statistics(self._statistics_frames())
        autoencoder.save(folder)

    def _noise(self, step: int, index: int) -> Float[Tensor, "c h w"]:
        side = self.encode.size // 2 ** (len(self.autoencoder.block_out_channels) - 1)
        random = np.random.default_rng([self.settings.seed, step, index])
        values = random.standard_normal((self.autoencoder.latent_channels, side, side), np.float32)
        return torch.from_numpy(values)

    def _statistics_frames(self) -> np.ndarray:
        """Frames spread evenly over all that training has seen."""
        fraction = self.settings.train_fraction
        places = [
            (clip, index) for clip in self.clips for index in range(seen_frames(clip, fraction))
        ]
        chosen = places[:: -(-len(places) // STATISTICS_FRAMES)]
        return np.concatenate([self.store.frames(clip, "rgb", [i]) for clip, i in chosen])


def edge_loss(drawn: Float[Tensor, "n c h w"], true: Float[Tensor, "n c h w"]) -> Float[Tensor, ""]:
    """Mean absolute error of the differences between neighbouring pixels, both directions added."""
    down = (drawn.diff(dim=2) - true.diff(dim=2)).abs().mean()
    right = (drawn.diff(dim=3) - true.diff(dim=3)).abs().mean()
    return down + right

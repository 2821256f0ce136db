"""The image token: one vector that says what the reference picture shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor, nn
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from training.champ.library_folders import check_loaded, library_weights, save_library_model
from training.champ.settings import ImageEncoderSettings

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
FRAMES_AT_ONCE = 32
SEED = 0  # an encoder without trained weights must be the same wherever one is made


class ImageEncoder:
    """CLIP's vision tower with its projection (conventions: Network).

    ``trained`` is False for one whose weights are random: results made with it must say so.
    """

    def __init__(self, model: CLIPVisionModelWithProjection, *, trained: bool) -> None:
        self.model = model.eval().requires_grad_(False)
        self.trained = trained

    @classmethod
    def load(
        cls, folder: Path | None, settings: ImageEncoderSettings | None = None
    ) -> ImageEncoder:
        """Read a folder in transformers' format; None makes a small one with fixed random weights.

        Args:
            folder: Holds ``config.json``, and safetensors weights or ``pytorch_model.bin``.
            settings: Sizes of the small one; of no effect where there is a folder.

        Raises:
            ValueError: There is no such folder, or its weights are damaged or not all there.
        """
        if folder is None:
            return cls(_random_model(settings or ImageEncoderSettings()), trained=False)
        weights = library_weights(folder, "image encoder")
        loaded: Any = CLIPVisionModelWithProjection.from_pretrained(
            str(folder),
            use_safetensors=weights.suffix == ".safetensors",
            local_files_only=True,
            output_loading_info=True,
        )
        model, told = loaded
        check_loaded(folder, told)
        return cls(model, trained=True)

    def save(self, folder: Path) -> None:
        """Write a folder that ``load`` and transformers read; each file is whole or absent."""
        save_library_model(self.model, folder)

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> ImageEncoder:
        """Move the model, in place."""
        nn.Module.to(self.model, device=device, dtype=dtype)  # the library's own warns in vain
        return self

    @property
    def dim(self) -> int:
        """Size of the image token."""
        return self.model.config.projection_dim

    @torch.no_grad()
    def embed(
        self, frames: UInt8[np.ndarray, "frames height width 3"]
    ) -> Float[Tensor, "frames 1 dim"]:
        """The image token of each frame, float32, on the model's device.

        A frame is squeezed to the encoder's square (bicubic) as the official code does, whatever
        its own shape.
        """
        tokens = []
        for start in range(0, len(frames), FRAMES_AT_ONCE):
            pixels = self._pixels(frames[start : start + FRAMES_AT_ONCE])
            pixels = pixels.to(self.model.device, self.model.dtype)
            tokens.append(self.model(pixel_values=pixels).image_embeds.float())
        return torch.cat(tokens)[:, None]

    def _pixels(self, frames: np.ndarray) -> Float[Tensor, "frames 3 side side"]:
        side = self.model.config.image_size
        assert isinstance(side, int)
        squares = [
            Image.fromarray(frame).resize((side, side), Image.Resampling.BICUBIC)
            for frame in frames
        ]
        scaled = np.stack([np.asarray(square, np.float32) for square in squares]) / 255
        normalized = (scaled - np.asarray(CLIP_MEAN, np.float32)) / np.asarray(CLIP_STD, np.float32)
        return torch.from_numpy(normalized).permute(0, 3, 1, 2)


def _random_model(settings: ImageEncoderSettings) -> CLIPVisionModelWithProjection:
    config = CLIPVisionConfig(
        hidden_size=settings.hidden_size,
        intermediate_size=4 * settings.hidden_size,
        num_hidden_layers=settings.layers,
        num_attention_heads=settings.heads,
        image_size=settings.image_size,
        patch_size=settings.patch_size,
        projection_dim=settings.projection_dim,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        return CLIPVisionModelWithProjection(config)

"""The encode job: frames of a clip to VAE latents and image tokens, so that training reads both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch

from dataset.storage import Location
from dataset.tables import read_row
from training.champ.autoencoder import Autoencoder
from training.champ.image_encoder import ImageEncoder
from training.champ.settings import ImageEncoderSettings
from training.clips import TrainingClip, boxes_crop, read_frames_cut
from training.settings import ENCODE_VERSION, EncodeSettings
from training.tensors import pack_tensor

FRAMES_AT_ONCE = 32  # bounds memory: a clip is never held at full size as a whole


class EncodeStage:
    """A row of ``guidance`` to a row of ``latents``.

    Args:
        settings: The crop, the size.
        root: The dataset root.
        autoencoder: Folder of an AutoencoderKL in diffusers' format.
        image_encoder: Folder of a CLIP vision model with projection; None takes a small one with
            random weights, and ``image_encoder_trained`` in the row says so.
        image_encoder_settings: Sizes of that small one.
        gpus: What a worker asks for; 0 runs on the CPU.
    """

    name = "encode"
    version = ENCODE_VERSION
    cpus = 1.0

    def __init__(
        self,
        settings: EncodeSettings,
        root: Location,
        *,
        autoencoder: Path,
        image_encoder: Path | None = None,
        image_encoder_settings: ImageEncoderSettings | None = None,
        gpus: float = 0.0,
    ) -> None:
        self.settings = settings
        self.root = root
        self.autoencoder_folder = autoencoder
        self.image_encoder_folder = image_encoder
        self.image_encoder_settings = image_encoder_settings
        self.gpus = gpus

    def load(self) -> None:
        """Read both models; raises ``ValueError`` where a folder is not one."""
        device = "cuda" if torch.cuda.is_available() else "cpu"
        self._autoencoder = Autoencoder.load(self.autoencoder_folder).to(device)
        self._image_encoder = ImageEncoder.load(
            self.image_encoder_folder, self.image_encoder_settings
        ).to(device)
        if self.settings.size % self._autoencoder.stride:
            raise ValueError(
                f"encode.size must be a multiple of {self._autoencoder.stride}, the autoencoder's "
                f"stride; got {self.settings.size}"
            )

    def process(self, item: Mapping[str, object]) -> Iterator[dict[str, object]]:
        """Yield the ``latents`` row of a ``guidance`` row, named by ``clip_id`` and ``recipe``.

        Raises:
            ItemError: ``stream.damaged``, ``encode.not_finite``.
        """
        clip = self._clip(str(item["clip_id"]), str(item["recipe"]))
        latents, embeds = self._encode(clip)
        latents_bytes, latents_shape = pack_tensor(latents)
        embeds_bytes, embeds_shape = pack_tensor(embeds)
        yield {
            "clip_id": clip.clip_id,
            "guidance_recipe": clip.guidance_recipe,
            "frames": clip.frames,
            "size": clip.size,
            "crop": clip.crop.as_list(),
            "latents": latents_bytes,
            "latents_shape": latents_shape,
            "image_embeds": embeds_bytes,
            "image_embeds_shape": embeds_shape,
            "image_encoder_trained": self._image_encoder.trained,
        }

    def _clip(self, clip_id: str, recipe: str) -> TrainingClip:
        row = read_row(self.root, "guidance", clip_id, recipe=recipe, columns=["frames", "boxes"])
        frames, boxes = row["frames"], row["boxes"]
        assert isinstance(frames, int)
        assert isinstance(boxes, list)
        return TrainingClip(
            clip_id=clip_id,
            frames=frames,
            size=self.settings.size,
            crop=boxes_crop(boxes, margin=self.settings.crop_margin),
            guidance_recipe=recipe,
        )

    def _encode(self, clip: TrainingClip) -> tuple[np.ndarray, np.ndarray]:
        """Latents (frames, c, h, w) and image tokens (frames or 1, tokens, dim)."""
        latents, embeds = [], []
        per_frame = self.settings.image_embeds == "frame"
        for start in range(0, clip.frames, FRAMES_AT_ONCE):
            indices = range(start, min(clip.frames, start + FRAMES_AT_ONCE))
            frames = read_frames_cut(self.root, clip, "rgb", indices)
            latents.append(self._autoencoder.encode(frames).cpu().numpy())
            if per_frame or start == 0:
                shown = frames if per_frame else frames[:1]
                embeds.append(self._image_encoder.embed(shown).cpu().numpy())
        return np.concatenate(latents), np.concatenate(embeds)

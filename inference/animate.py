"""The animate stage: a manifest row in, a video out."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from curation.people.settings import PeopleSettings
from dataset.denied import read_denied
from dataset.fingerprint import file_sha256
from dataset.storage import Location
from inference.animation_files import write_animation
from inference.execution import precision_on, prepare, running
from inference.framing import Framing
from inference.manifest import AnimationRow, map_folder_of
from inference.map_folder import known_files
from inference.map_source import framed_maps
from inference.progress import SpacedProgress
from inference.sampler import sample
from inference.scenes import Scene, SceneMaker
from inference.settings import ANIMATE_VERSION, AnimateSettings
from rendering.settings import RenderSettings
from training.champ.autoencoder import Autoencoder
from training.champ.checkpoints import load
from training.champ.image_encoder import ImageEncoder
from training.champ.settings import ImageEncoderSettings

UNTRAINED_IMAGE_ENCODER = "image encoder without trained weights"


class AnimateStage:
    """Animates one manifest row: fits and aligns (or reads maps), samples, writes the video.

    Frames pass through one portion after the other, from drawing to the written files: beyond the
    latents and the compressed video memory does not grow with their number.
    """

    name = "animate"
    version = ANIMATE_VERSION
    cpus = 1.0

    def __init__(
        self,
        settings: AnimateSettings,
        render: RenderSettings,
        people: PeopleSettings,
        *,
        root: Location,
        checkpoint: Path,
        vae: Path,
        image_encoder: Path | None,
        image_encoder_sizes: ImageEncoderSettings,
        guidance_recipe: str | None,
        recipe: str,
        gpus: float = 0.0,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self.settings, self.render, self.people = settings, render, people
        self.root, self.recipe = root, recipe
        self.gpus = gpus
        self.checkpoint, self.vae = checkpoint, vae
        self.image_encoder, self.image_encoder_sizes = image_encoder, image_encoder_sizes
        self.guidance_recipe = guidance_recipe
        self.tell = tell

    def load(self) -> None:
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._denied = read_denied(self.root)
        network = load(self.checkpoint, maps=self.settings.maps)
        self._network = prepare(network, self._device, self.settings.execution)
        dtype = precision_on(self._device, self.settings.execution.precision)
        self._vae = Autoencoder.load(self.vae).to(self._device, dtype)
        self._embedder = ImageEncoder.load(self.image_encoder, self.image_encoder_sizes).to(
            self._device, dtype
        )
        self._scenes = SceneMaker(
            self.settings,
            self.render,
            self.people,
            root=self.root,
            guidance_recipe=self.guidance_recipe,
            maps=self._network.settings.maps,
        )

    def process(self, item: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Animate one row.

        Raises:
            ItemError: The reference or the motion cannot be read, shows nobody, or was taken down
                (``source.denied``).
        """
        started = time.monotonic()
        row = AnimationRow.model_validate(item)
        self._check_allowed(row)
        scene = self._scenes.scene(row)
        framing = scene.framing
        frames = self._frames(self._sample(scene, row), framing)
        place = f"outputs/{self.recipe}/{row.animation_id}"
        video, lossless = write_animation(self.root, place, frames, fps=scene.fps)
        yield {
            **row.model_dump(exclude={"end_frame"}),
            "frames": scene.maps.frames,
            "size": self.settings.size,
            "crop": None if framing.crop is None else framing.crop.as_list(),
            "width": framing.width,
            "height": framing.height,
            "video_path": video,
            "frames_path": lossless,
            "checkpoint": self.checkpoint.name,
            "alignment_iou": scene.alignment_iou,
            "seconds": time.monotonic() - started,
            "notes": "" if self._embedder.trained else UNTRAINED_IMAGE_ENCODER,
        }

    def _check_allowed(self, row: AnimationRow) -> None:
        """Neither a clip of a source that was taken down, nor its content under another name."""
        if not self._denied.reasons:  # nothing to compare with
            return
        for name in (row.reference, row.reference.rpartition("#")[0], row.motion):
            contents = [file_sha256(path) for path in _files_of(name)]
            self._denied.check(name, Path(name).name, *contents)

    @torch.no_grad()
    def _sample(self, scene: Scene, row: AnimationRow) -> Float[Tensor, "frames c h w"]:
        order = np.arange(scene.maps.frames)
        if row.frame_order == "shuffled":
            order = np.random.default_rng(row.seed).permutation(len(order))
        reference_latents = self._vae.encode(scene.framing.reference(scene.picture))
        image_embeds = self._embedder.embed(scene.framing.seen(scene.picture))
        with running(self._device, self.settings.execution):
            latents = sample(
                self._network,
                reference_latents=reference_latents,
                image_embeds=image_embeds,
                maps=framed_maps(scene.maps, scene.framing, order.tolist()),
                settings=self.settings.sample,
                seed=row.seed,
                progress=None if self.tell is None else SpacedProgress(row.animation_id, self.tell),
            )
        return latents[0].transpose(0, 1)

    def _frames(
        self, latents: Float[Tensor, "frames c h w"], framing: Framing
    ) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
        """The video's frames, a few decoded at a time."""
        for pixels in self._vae.decode_portions(latents):
            yield from framing.frames(pixels)


def _files_of(name: str) -> list[Path]:
    """What the content of a reference or motion is: a file, or the maps of a folder."""
    folder = map_folder_of(name) if name else None
    if folder is not None:
        return known_files(folder)
    return [Path(name)] if os.path.isfile(name) else []

"""The animate stage: a manifest row in, a video out."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from pydantic import Field

from curation.people.mediapipe import MediaPipeDetector, PeopleSettings
from dataset.crop import Crop, crop_frames, person_crop
from dataset.errors import ItemError
from dataset.records import MAP_NAMES, GuidanceMaps
from dataset.settings import Settings
from dataset.streams import encode_stream
from dataset.video import write_playable
from inference.manifest import AnimationRow, own_frame
from inference.motion import BodyReader, Motion, Reference, select_frames
from inference.sampler import SampleSettings, sample
from rendering.alignment import align
from rendering.body_model import BodyModel
from rendering.fitting import KeypointFitter
from rendering.maps import draw_maps
from rendering.point_transfer import transfer_points
from rendering.rasterizer import open_rasterizer
from rendering.render import RenderSettings
from training.champ.autoencoder import Autoencoder
from training.champ.checkpoints import load
from training.champ.image_encoder import ImageEncoder, ImageEncoderSettings
from training.champ.schedule import make_scheduler

UNTRAINED_IMAGE_ENCODER = "image encoder without trained weights"


class AnimateSettings(Settings):
    """From aligned bodies to videos."""

    size: int = Field(
        default=768, ge=8, multiple_of=8, description="Side of the square video, in pixels"
    )
    margin: float = Field(
        default=0.1, ge=0, description="Around the person, as a share of the crop"
    )
    placement: Literal["relative", "constant"] = Field(
        default="relative",
        description="relative: the reference's place plus the motion's path scaled by body height; "
        "constant: the reference's place, as the official code does",
    )
    fps: float = Field(default=30.0, gt=0, description="Frame rate at which motion videos are read")
    sample: SampleSettings = Field(default=SampleSettings(), description="The sampler")


class AnimateStage:
    """Animates one manifest row: fits, aligns, draws maps, samples, writes the video."""

    name = "animate"
    version = 1
    cpus = 1.0

    def __init__(
        self,
        settings: AnimateSettings,
        render: RenderSettings,
        people: PeopleSettings,
        *,
        root: Path,
        checkpoint: Path,
        vae: Path,
        image_encoder: Path | None,
        image_encoder_sizes: ImageEncoderSettings,
        guidance_recipe: str | None,
        recipe: str,
        gpus: float = 0.0,
    ) -> None:
        self.settings, self.render, self.people = settings, render, people
        self.root, self.recipe = root, recipe
        self.gpus = gpus
        self.checkpoint, self.vae = checkpoint, vae
        self.image_encoder, self.image_encoder_sizes = image_encoder, image_encoder_sizes
        self.guidance_recipe = guidance_recipe

    def load(self) -> None:
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._network = load(self.checkpoint).to(self._device).eval()
        self._vae = Autoencoder.load(self.vae).to(self._device)
        self._embedder = ImageEncoder.load(self.image_encoder, self.image_encoder_sizes).to(
            self._device
        )
        self._scheduler = make_scheduler(self.settings.sample.schedule)
        self._body = BodyModel.load(self.render.body_model)
        self._rasterizer = open_rasterizer(self.render.backend)
        self._bodies = BodyReader(
            root=self.root,
            guidance_recipe=self.guidance_recipe,
            detector=MediaPipeDetector(self.people),
            fitter=KeypointFitter(self._body, self.render.fit),
            max_side=self.render.max_side,
            fps=self.settings.fps,
        )

    def process(self, item: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Animate one row.

        Raises:
            ItemError: The reference or the motion cannot be read, or shows nobody.
        """
        started = time.monotonic()
        row = AnimationRow.model_validate(item)
        reference = self._bodies.reference(row.reference)
        motion = self._bodies.motion(row.motion)
        frames = _span(row, motion.track.frames)
        maps = self._draw(reference, motion, frames, start=own_frame(row.reference, row.motion))
        crop = _crop(reference, maps, self.settings.margin)
        drawn = self._sample(reference, maps, crop, row)
        video, lossless = self._write(drawn, row.animation_id, motion.fps)
        yield {
            **row.model_dump(exclude={"end_frame"}),
            "frames": len(drawn),
            "size": self.settings.size,
            "crop": crop.as_list(),
            "video_path": video,
            "frames_path": lossless,
            "checkpoint": self.checkpoint.name,
            "seconds": time.monotonic() - started,
            "notes": "" if self._embedder.trained else UNTRAINED_IMAGE_ENCODER,
        }

    def _draw(
        self, reference: Reference, motion: Motion, frames: range, start: int | None
    ) -> GuidanceMaps:
        """The frames of a motion made by the reference's body, as large as the reference is.

        The path begins at the reference's place: in the first frame, or, where the reference is a
        frame ``start`` of the same clip, in that one.
        """
        first = frames[0] if start is None else start
        moving = select_frames(motion.track, [first, *frames])
        placed = align(moving, reference.track, self._body, placement=self.settings.placement)
        aligned = select_frames(placed, range(1, placed.frames))
        source = select_frames(motion.track, frames)
        points = transfer_points(
            motion.points[list(frames)],
            self._body.joints(source),
            motion.track.camera,
            self._body.joints(aligned),
            aligned.camera,
        )
        vertices = self._body.vertices(aligned)
        return draw_maps(self._rasterizer, self._body.mesh, vertices, points, aligned.camera)

    @torch.no_grad()
    def _sample(
        self, reference: Reference, maps: GuidanceMaps, crop: Crop, row: AnimationRow
    ) -> UInt8[np.ndarray, "frames size size 3"]:
        size = self.settings.size
        picture = crop_frames(reference.picture[None], crop, size)
        conditions = torch.from_numpy(stack_maps(maps, crop, size))
        if row.frame_order == "shuffled":
            order = np.random.default_rng(row.seed).permutation(conditions.shape[1])
            conditions = conditions[:, order]
        latents = sample(
            self._network,
            self._scheduler,
            reference_latents=self._vae.encode(picture),
            image_embeds=self._embedder.embed(picture),
            maps=conditions.permute(0, 4, 1, 2, 3)[None].to(self._device),
            settings=self.settings.sample,
            seed=row.seed,
        )
        return self._vae.decode(latents)

    def _write(
        self, frames: UInt8[np.ndarray, "frames size size 3"], name: str, fps: float
    ) -> tuple[str, str]:
        """A file to be played, and one with the exact pixels for evaluation."""
        folder = Path("outputs") / self.recipe
        (self.root / folder).mkdir(parents=True, exist_ok=True)
        video, lossless = folder / f"{name}.mp4", folder / f"{name}.frames.mp4"
        write_playable(self.root / video, frames, fps=fps)
        temporary = self.root / f"{lossless}.{os.getpid()}.tmp"
        temporary.write_bytes(encode_stream(frames, name="rgb", fps=fps))
        temporary.replace(self.root / lossless)
        return str(video), str(lossless)


def stack_maps(
    maps: GuidanceMaps, crop: Crop, size: int
) -> Float32[np.ndarray, "maps frames size size 3"]:
    """The maps as the network sees them: its order, three channels each, in [0, 1], cropped."""
    stacked = []
    for name in MAP_NAMES:
        square = crop_frames(getattr(maps, name), crop, size, fill_black=True)
        stacked.append(np.broadcast_to(square, (*square.shape[:3], 3)))
    return np.stack(stacked).astype(np.float32) / 255.0


def _span(row: AnimationRow, frames: int) -> range:
    """The frames of the motion that are to be drawn."""
    span = range(frames)[row.start_frame : row.end_frame]
    if not span:
        raise ItemError(
            "animate.span",
            f"{row.animation_id}: frames {row.start_frame} to {row.end_frame} leave nothing of a "
            f"motion of {frames} frames",
        )
    return span


def _crop(reference: Reference, maps: GuidanceMaps, margin: float) -> Crop:
    """Around the person: a clip's own boxes, or the picture's and all that the body will cover."""
    if len(reference.boxes) > 1:
        return person_crop(reference.boxes, margin=margin)
    rows = np.flatnonzero(maps.mask.any((0, 2, 3)))
    columns = np.flatnonzero(maps.mask.any((0, 1, 3)))
    if not len(rows):
        return person_crop(reference.boxes, margin=margin)
    drawn = np.array([[columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]], np.float32)
    return person_crop(np.concatenate([reference.boxes, drawn]), margin=margin)

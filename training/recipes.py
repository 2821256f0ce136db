"""What is trained, on what, towards what: stage 1 and stage 2 of the diffusion network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import interpolate

from dataset.fingerprint import fingerprint
from dataset.storage import Location
from training.champ import checkpoints
from training.champ.network import ChampNetwork
from training.champ.reference import freeze_reference_tail
from training.champ.schedule import loss_weights, make_scheduler
from training.champ.settings import NetworkSettings, ScheduleSettings
from training.clips import ClipStore, TrainingClip, encoded_clips
from training.data import collate, draw_noise, plan_sample, read_sample, usable_clips
from training.settings import OptimizerSettings, StageSettings, TrainSettings

Batch = dict[str, Tensor]


class Recipe(Protocol):
    """What the loop asks of a training: everything but how the steps are carried out."""

    name: str
    optimizer: OptimizerSettings

    def fingerprint(self) -> str:
        """Changes when anything does that decides the result."""
        ...

    def build(self) -> nn.Module:
        """The module in float32, ``requires_grad`` set on what is to be trained."""
        ...

    def batch(self, step: int, indices: Sequence[int]) -> Batch:
        """The samples ``indices`` of the step's whole batch."""
        ...

    def loss(self, module: nn.Module, batch: Batch) -> Float[Tensor, ""]:
        """What is to become small: a mean over the batch's samples."""
        ...

    def export(self, module: nn.Module, folder: Path) -> None:
        """Write the trained weights for others to load."""
        ...


class StageRecipe:
    """Stage 1 (single frames: denoiser, reference net, guidance encoders) or stage 2 (motion).

    Champ's training (conventions: Noise schedule, training, sampling; paper, section 3.4).

    Args:
        root: The dataset root; its ``latents`` table names the clips.
        stage: 1 or 2.
        settings: Of all trainings; this stage's section is used.
        network: Sizes; stage 2 takes them from ``start_from``.
        schedule: Of the noise.
        start_from: Folder of a saved network. Stage 2 begins with stage 1's result; stage 1 with
            new weights when it is None.
        motion_from: Folder of a saved network whose motion modules stage 2 begins with
            (AnimateDiff's, as the official training); None gives it new ones.
        latents_recipe: Which rows of ``latents``; None takes the newest.

    Raises:
        ValueError: Stage 2 without ``start_from``, stage 1 with ``motion_from``, or no clip is long
            enough.
    """

    def __init__(
        self,
        root: Location,
        *,
        stage: Literal[1, 2],
        settings: TrainSettings,
        network: NetworkSettings,
        schedule: ScheduleSettings,
        start_from: Path | None = None,
        motion_from: Path | None = None,
        latents_recipe: str | None = None,
    ) -> None:
        if stage == 2 and start_from is None:
            raise ValueError("stage 2 begins with the weights of stage 1: start_from is missing")
        if stage == 1 and motion_from is not None:
            raise ValueError("stage 1 has no motion modules: motion_from is for stage 2")
        self.name = f"stage{stage}"
        self.stage = stage
        self.settings = settings
        self.section: StageSettings = settings.stage1 if stage == 1 else settings.stage2
        self.optimizer = self.section.optimizer
        self.network = network
        self.schedule = schedule
        self.start_from = start_from
        self.motion_from = motion_from
        self.scheduler = make_scheduler(schedule)
        self.store = ClipStore(root, capacity_bytes=int(settings.cache_gib * 2**30))
        self.clips: list[TrainingClip] = usable_clips(
            encoded_clips(root, recipe=latents_recipe),
            frames=self.section.frames,
            train_fraction=settings.train_fraction,
        )

    def fingerprint(self) -> str:
        weights = sorted(self.start_from.glob("*.safetensors")) if self.start_from else []
        described = {
            "seed": self.settings.seed,
            "train_fraction": self.settings.train_fraction,
            "precision": self.settings.loop.precision,
            "section": self.section.model_dump(mode="json"),
            "network": self.network.model_dump(mode="json"),
            "schedule": self.schedule.model_dump(mode="json"),
            "clips": [[clip.clip_id, clip.latents_recipe] for clip in self.clips],
        }
        if self.motion_from:
            motion = sorted(self.motion_from.glob("*.safetensors"))
            described["motion_from"] = fingerprint("motion", 1, {}, motion)
        return fingerprint(self.name, 1, described, weights)

    def build(self) -> ChampNetwork:
        motion = self.stage == 2
        if self.start_from is None:
            network = ChampNetwork(self.network, motion=motion)
        else:
            network = checkpoints.load(self.start_from, motion=motion)
            if network.settings != self.network:
                raise ValueError(f"{self.start_from} has other sizes than the network settings")
        if self.motion_from is not None:
            checkpoints.load_motion(network, self.motion_from)
        choose_trained(network, self.stage, self.section)
        if self.section.gradient_checkpointing:
            network.enable_gradient_checkpointing()
        return network

    def batch(self, step: int, indices: Sequence[int]) -> Batch:
        section = self.section
        plans = [
            plan_sample(
                self.clips,
                seed=self.settings.seed,
                step=step,
                index=index,
                frames=section.frames,
                frame_stride=section.frame_stride,
                reference_gap=section.reference_gap,
                train_fraction=self.settings.train_fraction,
            )
            for index in indices
        ]
        batch = collate([read_sample(self.store, plan, self.network.maps) for plan in plans])
        drawn = draw_noise(
            batch["latents"].shape[1:],
            seed=self.settings.seed,
            step=step,
            indices=indices,
            timesteps=self.schedule.train_timesteps,
            noise_offset=section.noise_offset,
            unconditional_share=section.unconditional_share,
        )
        return batch | drawn

    def loss(self, module: nn.Module, batch: Batch) -> Float[Tensor, ""]:
        assert isinstance(module, ChampNetwork)
        latents, noise, timesteps = batch["latents"], batch["noise"], batch["timesteps"]
        with _graph_if_trained(module.guidance_encoders):
            guidance = module.encode_guidance(batch["maps"].to(latents.dtype) / 255)
        with _graph_if_trained(module.reference_unet):
            reference = module.reference_features(batch["reference_latents"], batch["image_embeds"])
        predicted = module(
            self.scheduler.add_noise(latents, noise, timesteps),  # pyright: ignore[reportArgumentType]
            timesteps,
            batch["image_embeds"],
            guidance,
            reference,
            reference_kept=batch["conditional"],
        )
        target = self.scheduler.get_velocity(latents, noise, timesteps)  # pyright: ignore[reportArgumentType]
        error = predicted.to(target.dtype) - target
        errors = weighted_error(error, batch["mask"], self.section.mask_loss_weight)
        weights = loss_weights(self.scheduler, timesteps, gamma=self.section.snr_gamma)
        return (errors * weights).mean()

    def export(self, module: nn.Module, folder: Path) -> None:
        assert isinstance(module, ChampNetwork)
        checkpoints.save(module, folder)


def choose_trained(network: ChampNetwork, stage: int, section: StageSettings) -> None:
    """Set ``requires_grad``: stage 1 trains all but the reference net's tail, stage 2 the motion
    modules alone."""
    if stage == 1:
        network.requires_grad_(True)
        freeze_reference_tail(
            network.reference_unet, whole_block=section.freeze_reference_tail == "block"
        )
        return
    network.requires_grad_(False)
    for name, parameter in network.denoising_unet.named_parameters():
        parameter.requires_grad_("motion_modules" in name)


def weighted_error(
    error: Float[Tensor, "batch c frames h w"],
    mask: Bool[Tensor, "batch frames height width"],
    mask_weight: float,
) -> Float[Tensor, " batch"]:
    """Mean squared error of each sample, where a latent counts ``mask_weight`` inside the mask.

    At the silhouette a latent counts by its covered share; the weights of a sample have mean 1.
    """
    squared = error.square()
    if mask_weight != 1:
        covered = interpolate(mask.to(error.dtype), size=error.shape[-2:], mode="area")
        weight = 1 + (mask_weight - 1) * covered
        weight = weight / weight.mean((1, 2, 3), keepdim=True)
        squared = squared * weight[:, None]
    return squared.mean((1, 2, 3, 4))


def _graph_if_trained(part: nn.Module) -> torch.set_grad_enabled:
    """A context in which a part of which nothing is trained builds no graph and keeps nothing."""
    trained = any(parameter.requires_grad for parameter in part.parameters())
    return torch.set_grad_enabled(torch.is_grad_enabled() and trained)

"""What encoding and training can be told: the defaults are the official hyper-parameters."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from dataset.settings import Settings

ENCODE_VERSION = 1
"""Of the stage's code, a part of its recipe: other rows of the same settings, another version."""


class OptimizerSettings(Settings):
    """How the weights move (conventions: Noise schedule, training, sampling)."""

    steps: int = Field(default=60_000, ge=1, description="Optimizer steps.")
    batch: int = Field(default=32, ge=1, description="Samples per step, over all processes.")
    micro_batch: int | None = Field(
        default=None,
        ge=1,
        description="Samples a process takes at once; gradients add up over the rest of its "
        "share. None takes the whole share.",
    )
    learning_rate: float = Field(default=1e-5, gt=0, description="Of AdamW, after the warm-up.")
    learning_rate_schedule: Literal["constant", "cosine"] = Field(
        default="constant", description="`cosine` falls to 0 at the last step."
    )
    warmup_steps: int = Field(
        default=0, ge=0, description="Steps over which the rate rises from 0."
    )
    betas: tuple[float, float] = Field(default=(0.9, 0.999), description="Of AdamW.")
    weight_decay: float = Field(default=0.01, ge=0, description="Of AdamW.")
    gradient_clip: float = Field(
        default=1.0, ge=0, description="Largest norm of the gradient; 0 is off."
    )
    ema_decay: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="Export a running average of the weights with this decay; None exports the "
        "weights themselves.",
    )


class StageSettings(Settings):
    """One stage of the diffusion network's training: what it sees and what its loss weighs."""

    optimizer: OptimizerSettings = OptimizerSettings()
    frames: int = Field(default=1, ge=1, description="Frames to be drawn per sample.")
    frame_stride: int = Field(
        default=1,
        ge=1,
        description="Take every n-th frame; smaller where a clip is too short for it.",
    )
    reference_gap: int = Field(
        default=30,
        ge=0,
        description="Frames between the reference and the nearest frame to be drawn, at least, "
        "where the clip allows; 0 lets any frame be the reference.",
    )
    unconditional_share: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="Share of samples that see neither reference nor image token.",
    )
    noise_offset: float = Field(
        default=0.05,
        ge=0,
        description="Noise added per channel, the same for all pixels and frames.",
    )
    snr_gamma: float = Field(
        default=5.0, gt=0, description="Loss weight min(snr + 1, gamma) / (snr + 1)."
    )
    mask_loss_weight: float = Field(
        default=1.0, gt=0, description="Weight of the error inside the body mask; 1 is off."
    )
    freeze_reference_tail: Literal["block", "unused"] = Field(
        default="block",
        description="What of the reference net stays as it is: its last up block, or only the "
        "parameters in it that nothing reads.",
    )
    gradient_checkpointing: bool = Field(
        default=False,
        description="Compute activations twice instead of keeping them: saves memory.",
    )


class VaeTrainSettings(Settings):
    """Training of a small autoencoder on the clips' own frames (Champ proper takes a ready one)."""

    optimizer: OptimizerSettings = OptimizerSettings(
        steps=1000, batch=2, learning_rate=3e-3, learning_rate_schedule="cosine"
    )
    gradient_loss_weight: float = Field(
        default=0.2,
        ge=0,
        description="Of the error of neighbouring pixels' differences, beside L1.",
    )
    kl_loss_weight: float = Field(default=1e-7, ge=0, description="Of the latents' divergence.")


class LoopSettings(Settings):
    """How a run is carried out; nothing here changes what is learned, except for rounding."""

    zero_stage: Literal[0, 1, 2] = Field(
        default=2, description="DeepSpeed ZeRO stage: 2 shares optimizer state and gradients."
    )
    precision: Literal["float32", "bfloat16"] = Field(
        default="bfloat16", description="Of the arithmetic (autocast); the weights stay float32."
    )
    checkpoint_every: int = Field(default=1000, ge=1, description="Steps between checkpoints.")
    keep_checkpoints: int = Field(default=2, ge=1, description="Older checkpoints are removed.")


class TrainSettings(Settings):
    """Everything `champ train` is told, apart from the network's own sizes."""

    seed: int = Field(
        default=0, ge=0, description="Decides weights, samples, noise: the whole run."
    )
    train_fraction: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="Only this first share of every clip's frames is used, by every stage; the "
        "rest is never seen.",
    )
    cache_gib: float = Field(
        default=2.0, gt=0, description="Memory for decoded frames, per process."
    )
    loop: LoopSettings = LoopSettings()
    stage1: StageSettings = StageSettings()
    stage2: StageSettings = StageSettings(
        optimizer=OptimizerSettings(steps=20_000, batch=8),
        frames=24,
        frame_stride=4,
        reference_gap=0,
        gradient_checkpointing=True,  # else a sample keeps 87 GiB: benchmarks/training_memory.py
    )
    vae: VaeTrainSettings = VaeTrainSettings()

    @model_validator(mode="after")
    def _stage_1_sees_pictures(self) -> TrainSettings:
        if self.stage1.frames != 1:
            raise ValueError(
                f"stage1.frames must be 1 (no motion modules there), got {self.stage1.frames}"
            )
        return self


class EncodeSettings(Settings):
    """What the network sees of a clip: the square around the person, and its size."""

    size: int = Field(
        default=768, ge=8, description="Height and width of the square frames, pixels."
    )
    crop_margin: float = Field(
        default=0.1,
        ge=0,
        description="Around the person's boxes in the clip, as a share of their extent.",
    )
    image_embeds: Literal["frame", "clip"] = Field(
        default="frame",
        description="An image token of every frame, or of the clip's first frame alone.",
    )

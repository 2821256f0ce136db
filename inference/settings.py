"""Animating: what a configuration can say of it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from curation.people.settings import SubjectRule
from dataset.settings import Settings
from inference.windows import Merging
from training.champ.settings import ScheduleSettings

SkeletonSource = Literal["transferred", "body"]

SolverName = Literal["ddim", "dpm_solver", "unipc", "euler"]

Precision = Literal["auto", "float32", "bfloat16", "float16"]

FramingName = Literal["person", "stretched"]

ANIMATE_VERSION = 2
"""Of the stage's code, a part of its recipe: other rows of the same settings, another version."""

EVALUATE_VERSION = 1
"""Of the stage's code, a part of its recipe: other rows of the same settings, another version."""


class SampleSettings(Settings):
    """How latents are sampled (conventions: Noise schedule, training, sampling)."""

    solver: SolverName = Field(
        default="ddim",
        description="Who walks from noise to latents; others than ddim need fewer steps for a "
        "result that is close, not equal.",
    )
    steps: int = Field(default=20, ge=1, description="Steps of the solver.")
    reuse_every: int = Field(
        default=1,
        ge=1,
        description="Run the deep blocks every so many steps alone and reuse what they said: an "
        "approximation; 1 is exact.",
    )
    guidance_scale: float = Field(
        default=3.5,
        ge=1,
        description="Weight of classifier-free guidance; 1 runs the conditional half alone.",
    )
    window_frames: int = Field(default=24, ge=1, description="Frames denoised together.")
    window_overlap: int = Field(default=4, ge=0, description="Frames two windows share.")
    closed_loop: bool = Field(
        default=False, description="Windows wrap round to the first frames, as the official ones."
    )
    merging: Merging = Field(
        default="uniform",
        description="How windows that share a frame are merged: uniform averages them, as the "
        "official code does; tapered lets each fade in and out.",
    )
    shared_noise: bool = Field(
        default=False, description="All frames start from one noise; small networks flicker less."
    )
    memory_gib: float = Field(
        default=2.0,
        ge=0,
        description="What guidance features, and latents on a GPU, may take in memory; beyond it "
        "features go to a scratch file and latents to the host, whatever the clip's length",
    )
    schedule: ScheduleSettings = Field(
        default=ScheduleSettings(), description="The noise schedule the network was trained with."
    )


class ExecutionSettings(Settings):
    """How the networks are run; results agree but for rounding."""

    precision: Precision = Field(
        default="auto",
        description="Of matrix products and convolutions and of their weights; sums and norms stay "
        "float32. auto: float16 on a GPU, float32 on a CPU",
    )
    channels_last: bool = Field(
        default=False, description="Keep a pixel's channels side by side in memory"
    )
    compile: bool = Field(
        default=False,
        description="Compile the denoiser (torch.compile): takes minutes at the start of every "
        "worker and for every size of window and picture",
    )


class AnimateSettings(Settings):
    """From aligned bodies to videos."""

    size: int = Field(
        default=768,
        ge=8,
        multiple_of=8,
        description="Side of the square that the network makes, in pixels",
    )
    framing: FramingName = Field(
        default="person",
        description="person: the square around the person is the video; stretched: the whole "
        "picture and whole maps are squeezed to the square and the video is stretched back to the "
        "picture's own size, as the official script does",
    )
    margin: float = Field(
        default=0.1, ge=0, description="Around the person, as a share of the crop"
    )
    maps: tuple[str, ...] | None = Field(
        default=None,
        min_length=1,
        description="The guidance maps that are used, of those the checkpoint has; none: all",
    )
    placement: Literal["relative", "constant"] = Field(
        default="relative",
        description="relative: the reference's place plus the motion's path scaled by body height; "
        "constant: the reference's place, as the official code does",
    )
    skeleton: SkeletonSource = Field(
        default="transferred",
        description="Whose points the dwpose map shows; transferred: those seen on the motion, "
        "carried onto the aligned body; body: the aligned body's joints, for a network that was "
        "trained with render.skeleton=body",
    )
    fps: float = Field(
        default=30.0,
        gt=0,
        description="Frame rate at which motion videos are read, and of folders of maps",
    )
    subject: SubjectRule = Field(
        # Whoever films somebody to be animated fills the picture with them.
        default="largest",
        description="Whose motion or picture it is where a file shows several people: the largest, "
        "the most central, or who is there longest",
    )
    sample: SampleSettings = Field(default=SampleSettings(), description="The sampler")
    execution: ExecutionSettings = Field(
        default=ExecutionSettings(), description="Precision, memory layout, compilation"
    )

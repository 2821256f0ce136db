"""Which frames a step sees: a pure function of seed, step and index, whatever the world size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dataset.records import MAP_NAMES, Sample
from training.clips import ClipStore, TrainingClip

_FRAMES, _NOISE = 0, 1  # independent random streams of one sample


@dataclass(frozen=True, slots=True, kw_only=True)
class FramePlan:
    """The frames of a sample, by number within its clip."""

    clip: TrainingClip
    frame_indices: tuple[int, ...]
    reference_index: int


def seen_frames(clip: TrainingClip, train_fraction: float) -> int:
    """How many of a clip's first frames training may use; at least one."""
    return max(1, int(clip.frames * train_fraction))


def usable_clips(
    clips: Sequence[TrainingClip], *, frames: int, train_fraction: float
) -> list[TrainingClip]:
    """The clips that are long enough for a sample of ``frames`` frames.

    Raises:
        ValueError: None is.
    """
    usable = [clip for clip in clips if seen_frames(clip, train_fraction) >= frames]
    if not usable:
        longest = max((seen_frames(clip, train_fraction) for clip in clips), default=0)
        raise ValueError(
            f"no clip has {frames} frames to train on: there are {len(clips)} clips, the longest "
            f"with {longest} frames within train_fraction {train_fraction}; render more or longer "
            "clips, or ask for fewer frames"
        )
    return usable


def plan_sample(
    clips: Sequence[TrainingClip],
    *,
    seed: int,
    step: int,
    index: int,
    frames: int = 1,
    frame_stride: int = 1,
    reference_gap: int = 0,
    train_fraction: float = 1.0,
) -> FramePlan:
    """The frames of sample ``index`` of a step (conventions: Noise schedule, training, sampling).

    Args:
        clips: From ``usable_clips``; each is equally likely.
        seed: Of the run.
        step: Optimizer step.
        index: Place in the step's whole batch.
        frames: How many frames are to be drawn.
        frame_stride: Every n-th frame; reduced where the clip is too short for it.
        reference_gap: The reference is at least that far from every frame to be drawn, where the
            clip has such a frame; else it is any frame.
        train_fraction: Only this first share of the clip counts.
    """
    random = _random(seed, step, index, _FRAMES)
    clip = clips[int(random.integers(len(clips)))]
    length = seen_frames(clip, train_fraction)
    stride = min(frame_stride, (length - 1) // (frames - 1)) if frames > 1 else 1
    span = (frames - 1) * stride + 1
    first = int(random.integers(length - span + 1))
    last = first + span - 1
    everywhere = np.arange(length)
    apart = (everywhere <= first - reference_gap) | (everywhere >= last + reference_gap)
    candidates = everywhere[apart] if reference_gap and apart.any() else everywhere
    return FramePlan(
        clip=clip,
        frame_indices=tuple(range(first, last + 1, stride)),
        reference_index=int(random.choice(candidates)),
    )


def read_sample(store: ClipStore, plan: FramePlan, maps: Sequence[str] = MAP_NAMES) -> Sample:
    """What the network is shown for a plan, under the clip's one crop."""
    clip, indices = plan.clip, plan.frame_indices
    streams = [store.frames(clip, name, indices) for name in maps]
    colour = [np.repeat(frames, 3, -1) if frames.shape[-1] == 1 else frames for frames in streams]
    return Sample(
        clip_id=clip.clip_id,
        frame_indices=indices,
        reference_index=plan.reference_index,
        latents=store.latents(clip, indices),
        reference_latents=store.latents(clip, [plan.reference_index])[0],
        image_embeds=store.image_embeds(clip, plan.reference_index),
        maps=np.stack(colour),
        mask=store.frames(clip, "mask", indices)[..., 0] > 127,
    )


def collate(samples: Sequence[Sample]) -> dict[str, Tensor]:
    """Samples as one batch of tensors, laid out as ``ChampNetwork`` takes them.

    ``latents`` (batch, c, frames, h, w), ``reference_latents`` (batch, c, h, w), ``image_embeds``
    (batch, tokens, dim), ``maps`` (batch, maps, 3, frames, height, width) still uint8, ``mask``
    (batch, frames, height, width) bool.
    """
    columns = ("latents", "reference_latents", "image_embeds", "maps", "mask")
    batch = {
        name: torch.from_numpy(np.stack([getattr(sample, name) for sample in samples]))
        for name in columns
    }
    batch["latents"] = batch["latents"].transpose(1, 2)
    batch["maps"] = batch["maps"].permute(0, 1, 5, 2, 3, 4)
    return batch


def draw_noise(
    shape: Sequence[int],
    *,
    seed: int,
    step: int,
    indices: Sequence[int],
    timesteps: int,
    noise_offset: float,
    unconditional_share: float,
) -> dict[str, Tensor]:
    """What training draws at random for the samples ``indices`` of a step.

    ``noise`` (batch, c, frames, h, w) with an offset per channel that all frames share,
    ``timesteps`` (batch,) in [0, timesteps), ``conditional`` (batch,) False for the samples that
    see neither reference nor image token.
    """
    drawn: dict[str, list[Tensor]] = {"noise": [], "timesteps": [], "conditional": []}
    for index in indices:
        state = _random(seed, step, index, _NOISE).integers(2**63 - 1)
        generator = torch.Generator().manual_seed(int(state))
        noise = torch.randn(tuple(shape), generator=generator)
        offset = torch.randn((shape[0], 1, 1, 1), generator=generator)
        drawn["noise"].append(noise + noise_offset * offset)
        drawn["timesteps"].append(torch.randint(timesteps, (), generator=generator))
        chance = torch.rand((), generator=generator)
        drawn["conditional"].append(chance >= unconditional_share)
    return {name: torch.stack(values) for name, values in drawn.items()}


def _random(seed: int, step: int, index: int, stream: int) -> np.random.Generator:
    return np.random.default_rng([seed, step, index, stream])

"""The noise schedule, and what each of its levels weighs in the loss."""

from __future__ import annotations

from typing import Literal

from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from dataset.settings import Settings


class ScheduleSettings(Settings):
    """Champ's noise schedule (conventions: Noise schedule, training, sampling)."""

    train_timesteps: int = Field(default=1000, ge=2, description="Noise levels.")
    beta_start: float = Field(
        default=0.00085, gt=0, lt=1, description="Variance of the first step."
    )
    beta_end: float = Field(default=0.012, gt=0, lt=1, description="Variance of the last step.")
    beta_schedule: Literal["scaled_linear", "linear"] = Field(
        default="scaled_linear",
        description="How the variances grow; the official sampler slips to `linear`.",
    )
    zero_terminal_snr: bool = Field(default=True, description="The last level is noise alone.")
    prediction_type: Literal["v_prediction", "epsilon"] = Field(
        default="v_prediction", description="What the network predicts."
    )
    timestep_spacing: Literal["trailing", "leading", "linspace"] = Field(
        default="trailing", description="Which levels few steps use; `trailing` starts at the last."
    )


def make_scheduler(settings: ScheduleSettings) -> DDIMScheduler:
    """The scheduler of training (``add_noise``, ``get_velocity``) and of sampling (``step``)."""
    return DDIMScheduler(
        num_train_timesteps=settings.train_timesteps,
        beta_start=settings.beta_start,
        beta_end=settings.beta_end,
        beta_schedule=settings.beta_schedule,
        rescale_betas_zero_snr=settings.zero_terminal_snr,
        prediction_type=settings.prediction_type,
        timestep_spacing=settings.timestep_spacing,
        clip_sample=False,
    )


def signal_to_noise(
    scheduler: DDIMScheduler, timesteps: Int[Tensor, " batch"]
) -> Float[Tensor, " batch"]:
    """Power of signal over noise at the given levels; 0 at the last one of a zero-SNR schedule."""
    alphas = scheduler.alphas_cumprod.to(timesteps.device)[timesteps]
    return alphas / (1 - alphas)


def loss_weights(
    scheduler: DDIMScheduler, timesteps: Int[Tensor, " batch"], *, gamma: float = 5.0
) -> Float[Tensor, " batch"]:
    """min(snr + 1, gamma) / (snr + 1): min-SNR weights for the error of v.

    Source: "Efficient Diffusion Training via Min-SNR Weighting Strategy" with the shift by one that
    v-prediction asks for, as the official training does.
    """
    shifted = signal_to_noise(scheduler, timesteps) + 1
    return shifted.clamp(max=gamma) / shifted

"""The noise schedule, and what each of its levels weighs in the loss."""

from __future__ import annotations

from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from jaxtyping import Float, Int
from torch import Tensor

from training.champ.settings import ScheduleSettings


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

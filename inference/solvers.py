"""Who walks from noise to latents: DDIM, as the official sampler, or one that needs fewer steps.

The others approximate what DDIM with many steps gives; docs/experiments.md says how closely.
"""

from __future__ import annotations

import warnings
from typing import Literal, Protocol

from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler
from diffusers.schedulers.scheduling_euler_discrete import EulerDiscreteScheduler
from diffusers.schedulers.scheduling_unipc_multistep import UniPCMultistepScheduler
from torch import Tensor

from inference.settings import SolverName
from training.champ.schedule import make_scheduler
from training.champ.settings import ScheduleSettings


class Solver(Protocol):
    """What the sampler asks of a scheduler of diffusers."""

    timesteps: Tensor

    @property
    def init_noise_sigma(self) -> float | Tensor:
        """What the initial noise is multiplied by."""
        ...

    def scale_model_input(self, sample: Tensor, timestep: Tensor) -> Tensor:
        """The latents as the network takes them."""
        ...

    def step(
        self, model_output: Tensor, timestep: Tensor, sample: Tensor, *, return_dict: bool
    ) -> tuple[Tensor, ...]:
        """The latents at the next level."""
        ...


def make_solver(name: SolverName, schedule: ScheduleSettings, steps: int) -> Solver:
    """A solver over a noise schedule with its levels chosen; nothing in it is random."""
    solver = make_scheduler(schedule) if name == "ddim" else _other(name, schedule)
    with warnings.catch_warnings():  # diffusers hands tensors to numpy 2 in its old way
        warnings.filterwarnings("ignore", ".*__array__.*copy keyword", DeprecationWarning)
        solver.set_timesteps(steps)
    return solver  # pyright: ignore[reportReturnType]


def _other(
    name: Literal["dpm_solver", "unipc", "euler"], schedule: ScheduleSettings
) -> DPMSolverMultistepScheduler | UniPCMultistepScheduler | EulerDiscreteScheduler:
    kinds = {
        "dpm_solver": DPMSolverMultistepScheduler,
        "unipc": UniPCMultistepScheduler,
        "euler": EulerDiscreteScheduler,
    }
    return kinds[name](
        num_train_timesteps=schedule.train_timesteps,
        beta_start=schedule.beta_start,
        beta_end=schedule.beta_end,
        beta_schedule=schedule.beta_schedule,
        rescale_betas_zero_snr=schedule.zero_terminal_snr,
        prediction_type=schedule.prediction_type,
        timestep_spacing=schedule.timestep_spacing,
    )

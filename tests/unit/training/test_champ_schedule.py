"""The noise schedule is the one Champ was trained with."""

from __future__ import annotations

from typing import cast

import pytest
import torch
from torch import IntTensor

from training.champ.schedule import loss_weights, make_scheduler, signal_to_noise
from training.champ.settings import ScheduleSettings


def test_last_level_is_noise_alone() -> None:
    """Zero terminal SNR: at the last level nothing of the latents is left, and v is -latents."""
    scheduler = make_scheduler(ScheduleSettings())
    latents, noise = torch.randn(1, 4, 2, 3, 3), torch.randn(1, 4, 2, 3, 3)
    last = cast(IntTensor, torch.tensor([999]))
    torch.testing.assert_close(scheduler.add_noise(latents, noise, last), noise)
    torch.testing.assert_close(scheduler.get_velocity(latents, noise, last), -latents)


@pytest.mark.parametrize(
    ("schedule", "expected"), [("scaled_linear", 0.99915), ("linear", 0.99915)]
)
def test_first_level_keeps_its_variance(schedule: str, expected: float) -> None:
    """Rescaling to zero SNR leaves the first level, 1 - beta_start, where it was."""
    settings = ScheduleSettings.model_validate({"beta_schedule": schedule})
    alphas = make_scheduler(settings).alphas_cumprod
    assert alphas[0].item() == pytest.approx(expected, abs=1e-6)
    assert bool((alphas.diff() < 0).all())


def test_schedules_differ_in_between() -> None:
    """Scaled-linear variances keep more of the signal half way than linear ones."""
    middle = [
        make_scheduler(ScheduleSettings.model_validate({"beta_schedule": name})).alphas_cumprod[500]
        for name in ("scaled_linear", "linear")
    ]
    assert middle[0] > middle[1]


def test_few_steps_start_at_the_last_level() -> None:
    """Trailing spacing: twenty steps are at 999, 949, ... 49."""
    scheduler = make_scheduler(ScheduleSettings())
    scheduler.set_timesteps(20)
    assert scheduler.timesteps.tolist() == list(range(999, 0, -50))


def test_loss_weights_against_the_formula() -> None:
    """min(snr + 1, 5) / (snr + 1): 1 for noisy levels, less than 1 where snr exceeds 4."""
    scheduler = make_scheduler(ScheduleSettings())
    timesteps = torch.tensor([0, 100, 500, 999])
    snr = signal_to_noise(scheduler, timesteps)
    expected = [min(s + 1, 5.0) / (s + 1) for s in snr.tolist()]
    assert loss_weights(scheduler, timesteps).tolist() == pytest.approx(expected)
    assert expected[0] < 0.01
    assert expected[-2:] == [1, 1]
    assert snr[-1] == 0

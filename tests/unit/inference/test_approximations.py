"""Options that approximate: off by default, exact where nothing is left out, near elsewhere."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch import Tensor

from inference.sampler import sample
from inference.settings import SampleSettings, SolverName
from inference.solvers import make_solver
from tests.unit.inference.networks import FOUR_LEVELS, make_clips, make_network
from training.champ.schedule import make_scheduler
from training.champ.settings import ScheduleSettings

CLIP = {"frames": 7, "size": (16, 16), "stride": 8}
WINDOWS = {"guidance_scale": 2.0, "window_frames": 4, "window_overlap": 1}


def run(**changed: object) -> Tensor:
    settings = SampleSettings.model_validate(WINDOWS | changed)
    return sample(make_network(FOUR_LEVELS), **make_clips(**CLIP), settings=settings, seed=2)


def error(latents: Tensor, exact: Tensor) -> float:
    return ((latents - exact).norm() / exact.norm()).item()


def test_nothing_is_approximated_by_default() -> None:
    """DDIM, and every block in every step."""
    assert SampleSettings().solver == "ddim"
    assert SampleSettings().reuse_every == 1


@pytest.mark.parametrize("solver", ["ddim", "dpm_solver", "unipc", "euler"])
def test_solvers_reach_the_answer_of_a_linear_problem(solver: SolverName) -> None:
    """Where the true latents are known at every level (v of one fixed picture), all solvers end at
    the picture."""
    schedule = ScheduleSettings()
    alphas = make_scheduler(schedule).alphas_cumprod
    picture = torch.randn(1, 4, 2, 3, 3, generator=torch.Generator().manual_seed(0))
    walker = make_solver(solver, schedule, 10)
    noise = torch.randn(picture.shape, generator=torch.Generator().manual_seed(1))
    latents = noise * walker.init_noise_sigma
    for timestep in walker.timesteps:
        seen = walker.scale_model_input(latents, timestep)
        alpha = alphas[int(timestep)]
        direction = (seen - alpha.sqrt() * picture) / (1 - alpha).sqrt()
        v = alpha.sqrt() * direction - (1 - alpha).sqrt() * picture
        latents = walker.step(v, timestep, latents, return_dict=False)[0]
    torch.testing.assert_close(latents, picture, atol=2e-2, rtol=2e-2)


def test_solvers_go_where_ddim_goes() -> None:
    """Eight steps of any solver end within a quarter of where DDIM's many steps lead."""
    exact = run(steps=24)
    for solver in ("ddim", "dpm_solver", "unipc", "euler"):
        assert error(run(steps=8, solver=solver), exact) < 0.25, solver


def test_deep_blocks_run_every_second_step() -> None:
    """With reuse_every 2 the deep blocks run in half of the steps, the others in all; the latents
    move, but little."""
    network = make_network(FOUR_LEVELS).denoising_unet
    places = ("down_blocks.0.resnets.0", "down_blocks.1.resnets.0", "mid_block.resnets.0")
    places += ("up_blocks.2.resnets.0", "up_blocks.3.resnets.0")
    calls: Counter[str] = Counter()
    handles = [
        network.get_submodule(name).norm1.register_forward_hook(
            lambda *_, name=name: calls.update([name])
        )
        for name in places
    ]
    exact = run(steps=6)
    always = dict(calls)
    calls.clear()
    reused = run(steps=6, reuse_every=2)
    for handle in handles:
        handle.remove()
    assert calls["down_blocks.0.resnets.0"] == always["down_blocks.0.resnets.0"]
    assert calls["up_blocks.3.resnets.0"] == always["up_blocks.3.resnets.0"]
    for deep in places[1:4]:
        assert calls[deep] * 2 == always[deep]
    assert 0 < error(reused, exact) < 0.2


def test_a_first_step_reuses_nothing() -> None:
    """One step with any reuse is the exact step, and odd sizes pass."""
    assert torch.equal(run(steps=1, reuse_every=3), run(steps=1))
    clip = make_clips(frames=2, size=(9, 11), stride=8)
    settings = SampleSettings(steps=2, reuse_every=2)
    latents = sample(make_network(FOUR_LEVELS), **clip, settings=settings)
    assert latents.isfinite().all()

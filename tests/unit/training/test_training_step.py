"""The loss and the gradients of one training step against their definition."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.unit.training.plain_training import PlainNetwork, alphas_cumprod
from tests.unit.training.small_steps import (
    DEFINITION,
    Step,
    is_trained,
    make_recipe,
    make_step,
    write_dataset,
)

Result = tuple[float, dict[str, Tensor | None]]  # a loss and the gradients by parameter


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dataset")
    write_dataset(path)
    return path


def test_the_schedule_is_the_formula(root: Path) -> None:
    """The recipe's noise levels are the rescaled scaled-linear ones to float32's precision."""
    found = make_recipe(root, 1).scheduler.alphas_cumprod
    torch.testing.assert_close(found.double(), alphas_cumprod(DEFINITION), rtol=1e-4, atol=1e-6)


@pytest.fixture(scope="module")
def definition(root: Path) -> dict[int, Result]:
    """Per stage the loss and the gradients of the plain computation."""
    found = {}
    for stage in (1, 2):
        step = make_step(root, stage, torch.float32)
        plain = PlainNetwork(step.network, DEFINITION)
        loss = plain.loss(step.plain_batch)
        loss.backward()
        gradients = {n: p.grad for n, p in plain.named_parameters() if is_trained(n, stage)}
        found[stage] = (loss.item(), gradients)
    return found


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-4)], ids=["f64", "f32"]
)
@pytest.mark.parametrize("stage", [1, 2])
def test_loss_and_gradients_are_those_of_the_definition(
    root: Path,
    definition: dict[int, Result],
    stage: int,
    dtype: torch.dtype,
    tolerance: float,
    checkpointing: bool,
) -> None:
    """The loss of a batch in which some samples are dropped, and the gradient of every trained
    parameter, are what the plain computation gives; no other parameter has a gradient.

    A gradient's error counts against its own norm, with a floor of 1 % of the mean norm (where a
    softmax over one token makes a gradient zero, only rounding is left).
    """
    step = make_step(root, stage, dtype, gradient_checkpointing=checkpointing)
    loss = step.recipe.loss(step.network, step.batch)
    loss.backward()
    expected, theirs = definition[stage]
    assert loss.item() == pytest.approx(expected, rel=tolerance)
    gradients = {n: p.grad for n, p in step.network.named_parameters() if p.grad is not None}
    assert gradients.keys() == theirs.keys()
    norms = {name: torch.zeros(()) if g is None else g.norm() for name, g in theirs.items()}
    floor = 0.01 * sum(norm.item() for norm in norms.values()) / len(norms)
    assert floor > 1e-6
    for name, gradient in gradients.items():
        wanted = theirs[name]
        assert wanted is not None, f"{name} has a gradient that the definition does not give"
        error = (gradient.double() - wanted).norm().item()
        assert error <= tolerance * max(norms[name].item(), floor), name


MISTAKES: list[dict[str, object]] = [
    {"drop": "batch"},
    {"drop": "never"},
    {"dropped_see": "reference"},
    {"dropped_see": "image token"},
    {"dropped_guidance": False},
    {"target": "epsilon"},
    {"min_snr": "plain"},
    {"min_snr": "off"},
    {"zero_terminal_snr": False},
    {"beta_schedule": "linear"},
    {"noise_offset": 0.0},
    {"offset_shared_by": "nobody"},
    {"mask_weight": 1.0},
    {"motion_norm": "clip"},
    {"motion_positions": "first"},
]


@pytest.fixture(scope="module")
def stage2_step(root: Path) -> Step:
    return make_step(root, 2, torch.float64)


@torch.no_grad()
@pytest.mark.parametrize("mistake", MISTAKES, ids=str)
def test_a_likely_mistake_is_another_loss(
    stage2_step: Step,
    definition: dict[int, Result],
    mistake: dict[str, object],
) -> None:
    """Each of the mistakes one could make in the definition moves the loss by at least 1e-4 of it,
    while the recipe's loss is off by less than 1e-12: none of them can be in the recipe."""
    step, (right, _) = stage2_step, definition[2]
    loss = step.recipe.loss(step.network, step.batch).item()
    plain = PlainNetwork(step.network, replace(DEFINITION, **mistake))
    wrong = plain.loss(step.plain_batch).item()
    assert loss == pytest.approx(right, rel=1e-12)
    assert abs(wrong - right) > 1e-4 * right


@pytest.fixture(scope="module", params=[1, 2], ids=["stage1", "stage2"])
def one_step(root: Path, request: pytest.FixtureRequest) -> Step:
    return make_step(root, request.param, torch.float64)


SAMPLE = st.tuples(
    st.integers(0, 999), st.booleans(), st.integers(0, 31), st.integers(0, 31), st.integers(0, 7)
)


@torch.no_grad()
@settings(max_examples=10, deadline=None)
@given(samples=st.lists(SAMPLE, min_size=1, max_size=4))
def test_a_batch_costs_the_mean_of_its_samples(
    one_step: Step, samples: list[tuple[int, bool, int, int, int]]
) -> None:
    """Whatever levels, masks and drops come together in a batch: its loss is the mean of what its
    samples cost alone."""
    batch = {name: values[: len(samples)].clone() for name, values in one_step.batch.items()}
    batch["timesteps"] = torch.tensor([level for level, *_ in samples])
    batch["conditional"] = torch.tensor([kept for _, kept, *_ in samples])
    for mask, (*_, top, left, size) in zip(batch["mask"], samples, strict=True):
        mask.zero_()[:, top : top + size, left : left + size] = True
    alone = [
        one_step.recipe.loss(one_step.network, {n: v[i : i + 1] for n, v in batch.items()})
        for i in range(len(samples))
    ]
    together = one_step.recipe.loss(one_step.network, batch)
    torch.testing.assert_close(together, torch.stack(alone).mean(), rtol=1e-11, atol=0)

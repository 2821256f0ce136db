"""Precision, memory layout and compilation change latents by rounding alone."""

from __future__ import annotations

import copy
import shutil

import pytest
import torch
from torch import Tensor, nn

from inference.execution import precision_on, prepare, running
from inference.sampler import sample
from inference.settings import ExecutionSettings, SampleSettings
from tests.unit.inference.networks import FOUR_LEVELS, make_clips, make_network

CPU = torch.device("cpu")
FEW = SampleSettings(steps=2, guidance_scale=2.0, window_frames=4, window_overlap=1)


def run(execution: ExecutionSettings, *, size: int = 16) -> Tensor:
    network = prepare(copy.deepcopy(make_network(FOUR_LEVELS)), CPU, execution)
    clip = make_clips(frames=5, size=(size, size), stride=8)
    with running(CPU, execution):
        return sample(network, **clip, settings=FEW, seed=2)


@pytest.fixture(scope="module")
def exact() -> Tensor:
    return run(ExecutionSettings())


@pytest.mark.parametrize(
    ("changed", "bound"),
    [
        ({"channels_last": True}, 1e-4),
        ({"precision": "float16"}, 2e-2),
        ({"precision": "bfloat16"}, 1e-1),
    ],
    ids=str,
)
def test_latents_agree_but_for_rounding(
    exact: Tensor, changed: dict[str, object], bound: float
) -> None:
    """Relative to their size, latents in another layout or precision differ by its rounding."""
    latents = run(ExecutionSettings.model_validate(changed))
    error = ((latents - exact).norm() / exact.norm()).item()
    assert latents.dtype == torch.float32
    assert 0 < error < bound


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_products_are_halved_and_norms_are_not(precision: str) -> None:
    """Weights of linear layers and convolutions take the asked type, all others stay float32."""
    execution = ExecutionSettings.model_validate({"precision": precision})
    network = prepare(copy.deepcopy(make_network()), CPU, execution)
    wanted = precision_on(CPU, execution.precision)
    for module in network.modules():
        types = {parameter.dtype for parameter in module.parameters(recurse=False)}
        products = isinstance(module, (nn.Linear, nn.Conv2d))
        assert types <= {wanted if products else torch.float32}


def test_auto_is_half_on_a_gpu_alone() -> None:
    """float32 on a CPU, float16 on a GPU, and what is asked for anywhere."""
    assert precision_on(CPU, "auto") == torch.float32
    assert precision_on(torch.device("cuda"), "auto") == torch.float16
    assert precision_on(torch.device("cuda"), "float32") == torch.float32


def test_the_denoiser_is_captured_whole() -> None:
    """The compiler takes a guided call as one graph for each half, with what they share."""
    from torch._dynamo.utils import counters

    torch._dynamo.reset()
    counters.clear()
    network = copy.deepcopy(make_network())
    clip = make_clips(frames=3)
    expected = sample(network, **clip, settings=FEW, seed=2)
    network.denoising_unet.compile(backend="eager")
    assert torch.equal(sample(network, **clip, settings=FEW, seed=2), expected)
    assert not counters["graph_break"]
    assert counters["stats"]["unique_graphs"] == 2
    torch._dynamo.reset()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="compiling needs g++")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compiled_latents_agree(exact: Tensor) -> None:
    """What the compiler makes of the denoiser gives the same latents but for rounding."""
    latents = run(ExecutionSettings(compile=True))
    torch.testing.assert_close(latents, exact, atol=1e-3, rtol=1e-3)

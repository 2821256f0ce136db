"""The denoiser with guidance computes each thing once."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.sampler import count_flops, make_network
from inference.guided_denoiser import GuidedDenoiser
from inference.recall import SharedByHalves
from tests.unit.inference.networks import FOUR_LEVELS, TINY, make_clips
from tests.unit.inference.networks import make_network as make_small
from training.champ.denoiser import before_attention
from training.champ.network import ChampNetwork
from training.champ.settings import NetworkSettings

LATE = TINY.model_copy(update={"attention_levels": (False, True)})


def denoiser_of(network: ChampNetwork, *, scale: float = 2.0) -> GuidedDenoiser:
    clip = make_clips()
    return GuidedDenoiser(
        network, clip["reference_latents"], clip["image_embeds"], guidance_scale=scale
    )


def predict(denoiser: GuidedDenoiser, *, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    latents = torch.randn(1, 4, 3, 4, 4, generator=generator)
    guidance = torch.randn(1, 16, 3, 4, 4, generator=generator)
    return denoiser(latents, torch.tensor(500), guidance)


@pytest.mark.parametrize("settings", [TINY, LATE], ids=["early", "late"])
def test_sharing_changes_no_bit(settings: NetworkSettings) -> None:
    """What the halves share is the same tensor that each would compute, call after call."""
    denoiser = denoiser_of(make_small(settings))
    alone = [predict(denoiser, seed=seed) for seed in (0, 1)]
    with denoiser.active():
        assert torch.equal(predict(denoiser, seed=0), alone[0])
        assert torch.equal(predict(denoiser, seed=1), alone[1])
    assert not torch.equal(alone[0], alone[1])


@pytest.mark.parametrize(
    ("settings", "once", "twice"),
    [
        (
            FOUR_LEVELS,
            ["down_blocks.0.resnets.0.conv1", "time_embedding.linear_1"],
            ["down_blocks.0.attentions.0.transformer_blocks.0.norm2", "conv_out"],
        ),
        (
            LATE,
            ["down_blocks.0.resnets.0.conv1", "down_blocks.0.motion_modules.0.norm"],
            ["down_blocks.1.attentions.0.transformer_blocks.0.norm2", "conv_out"],
        ),
    ],
    ids=["early", "late"],
)
def test_what_precedes_attention_runs_once(
    settings: NetworkSettings, once: list[str], twice: list[str]
) -> None:
    """Per pair of halves the stem runs once, the rest twice; at scale 1 all runs once."""
    network = make_small(settings)
    calls: Counter[str] = Counter()
    handles = [
        network.denoising_unet.get_submodule(name).register_forward_hook(
            lambda *_, name=name: calls.update([name])
        )
        for name in once + twice
    ]
    for scale, halves in ((2.0, 2), (1.0, 1)):
        calls.clear()
        denoiser = denoiser_of(network, scale=scale)
        with denoiser.active():
            predict(denoiser)
        assert calls == dict.fromkeys(once, 1) | dict.fromkeys(twice, halves)
    for handle in handles:
        handle.remove()


def test_the_stem_knows_nothing_of_the_reference() -> None:
    """Every module of the stem answers the same with and without reference and image token."""
    network = make_small(FOUR_LEVELS)
    denoiser = denoiser_of(network)
    told: dict[str, list[torch.Tensor]] = {}
    handles = [
        module.register_forward_hook(
            lambda _, __, out, name=name: told.setdefault(name, []).append(out)
        )
        for name, module in before_attention(network.denoising_unet).items()
    ]
    predict(denoiser)
    for handle in handles:
        handle.remove()
    assert all(torch.equal(*answers) for answers in told.values())
    assert len(told) == 2 + 4 + 3


def test_an_answer_serves_a_pair_and_is_forgotten() -> None:
    """The second call gets the first one's answer, the third computes again."""
    shared, computed = SharedByHalves(), iter(range(9))
    told = [shared.decide("a", lambda: next(computed)) for _ in range(3)]
    assert told == [0, 0, 1]
    shared.forget()
    assert shared.decide("a", lambda: next(computed)) == 2


def test_flops_are_fewer_than_the_plain_sampler_takes() -> None:
    """At full width and 32, 64, 96 latents a plain step takes 1.10, 1.17, 1.25 times ours or more,
    by torch's counter."""
    network = make_network("full", "meta")
    for side, goal in ((32, 1.10), (64, 1.17), (96, 1.25)):
        assert count_flops(network, side, 8)["step_ratio"] > goal


def test_the_image_token_costs_nothing_in_a_step() -> None:
    """No product of a step belongs to a cross-attention: its answer is a constant."""
    with torch.device("meta"):
        network = ChampNetwork(TINY, motion=True)
        clip = [torch.empty(1, 4, 4, 4), torch.empty(1, 1, 12)]
        denoiser = GuidedDenoiser(network, *clip, guidance_scale=2.0)
        given = torch.empty(1, 4, 3, 4, 4), torch.tensor(1.0), torch.empty(1, 16, 3, 4, 4)
        with FlopCounterMode(display=False, depth=None) as counter:
            denoiser(*given)
    counted = {name for name, flops in counter.get_flop_counts().items() if sum(flops.values())}
    spatial = {name for name in counted if ".attentions." in name}
    assert any(name.endswith(".attn1") for name in spatial)
    assert not any(".attn2" in name for name in spatial)

"""The sampler computes what a plain loop over steps, windows and halves computes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from inference.sampler import initial_noise, sample
from inference.settings import SampleSettings
from training.champ.network import ChampNetwork
from training.champ.schedule import make_scheduler
from training.champ.settings import NetworkSettings

TINY = NetworkSettings(
    block_out_channels=(16, 32),
    attention_levels=(True, False),
    motion_levels=(True, True),
    layers_per_block=1,
    num_attention_heads=2,
    cross_attention_dim=12,
    norm_num_groups=4,
    latent_channels=4,
    guidance_channels=(4, 8, 16),
    guidance_num_attention_heads=2,
    guidance_norm_num_groups=4,
    motion_num_attention_heads=2,
    motion_max_seq_length=6,
)
FRAMES = 10
FEW = SampleSettings(steps=3, guidance_scale=2.0, window_frames=6, window_overlap=2)


@pytest.fixture(scope="module")
def network() -> ChampNetwork:
    """A network without a zero in it."""
    torch.manual_seed(0)
    network = ChampNetwork(TINY, motion=True).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
    return network


@pytest.fixture(scope="module")
def given() -> dict[str, Tensor]:
    """Reference and maps of a clip of ten frames."""
    generator = torch.Generator().manual_seed(1)
    maps = torch.randint(0, 256, (1, 4, 3, FRAMES, 16, 16), generator=generator, dtype=torch.uint8)
    return {
        "reference_latents": torch.randn(1, 4, 4, 4, generator=generator),
        "image_embeds": torch.randn(1, 1, 12, generator=generator),
        "maps": maps,
    }


def run(
    network: ChampNetwork, given: dict[str, Tensor], settings: SampleSettings, **more
) -> Tensor:
    return sample(network, **given, settings=settings, **more)[0].transpose(0, 1)


@torch.no_grad()
def plain_loop(network: ChampNetwork, given: dict[str, Tensor], parts: list[list[int]]) -> Tensor:
    """DDIM by the formulas of v-prediction, every window and half by itself, nothing reused."""
    alphas = make_scheduler(FEW.schedule).alphas_cumprod
    guidance = network.encode_guidance(given["maps"] / 255)
    latents = initial_noise(network, tuple(guidance.shape), seed=5, shared=False)
    token = given["image_embeds"]
    for timestep in (999, 666, 332):
        here = alphas[timestep]
        there = alphas[timestep - 333] if timestep >= 333 else torch.tensor(1.0)
        total, count = torch.zeros_like(latents), torch.zeros(FRAMES)
        for part in parts:
            both = []
            for kept in (True, False):
                reference = network.reference_features(given["reference_latents"], token)
                both.append(
                    network(
                        latents[:, :, part],
                        torch.tensor([timestep]),
                        token,
                        guidance[:, :, part],
                        reference,
                        reference_kept=torch.tensor([kept]),
                    )
                )
            total[:, :, part] += both[1] + FEW.guidance_scale * (both[0] - both[1])
            count[part] += 1
        v = total / count[:, None, None]
        clean = here.sqrt() * latents - (1 - here).sqrt() * v
        noise = here.sqrt() * v + (1 - here).sqrt() * latents
        latents = there.sqrt() * clean + (1 - there).sqrt() * noise
    return latents[0].transpose(0, 1)


@pytest.mark.parametrize("closed_loop", [False, True])
def test_sampler_is_the_plain_loop(
    network: ChampNetwork, given: dict[str, Tensor], closed_loop: bool
) -> None:
    """Reusing what is constant changes nothing: open and wrapped windows, both halves."""
    last = [8, 9, 0, 1, 2, 3] if closed_loop else [4, 5, 6, 7, 8, 9]
    parts = [[0, 1, 2, 3, 4, 5], last]
    if closed_loop:
        parts.insert(1, [4, 5, 6, 7, 8, 9])
    settings = FEW.model_copy(update={"closed_loop": closed_loop})
    latents = run(network, given, settings, seed=5)
    expected = plain_loop(network, given, parts)
    assert latents.shape == (FRAMES, 4, 4, 4)
    torch.testing.assert_close(latents, expected, atol=1e-4, rtol=1e-4)


def test_same_seed_same_latents(network: ChampNetwork, given: dict[str, Tensor]) -> None:
    """A seed decides the latents to the bit, and another gives others."""
    first = run(network, given, FEW, seed=1)
    assert torch.equal(first, run(network, given, FEW, seed=1))
    assert not torch.equal(first, run(network, given, FEW, seed=2))


def test_float_maps_are_those_in_bytes(network: ChampNetwork, given: dict[str, Tensor]) -> None:
    """Maps in [0, 1] and the same maps in 0 to 255 are one."""
    floats = given | {"maps": given["maps"].float() / 255}
    torch.testing.assert_close(run(network, given, FEW), run(network, floats, FEW))


@pytest.mark.parametrize(("scale", "halves"), [(1.0, 1), (2.0, 2)])
def test_scale_1_never_asks_the_unconditional_half(
    network: ChampNetwork, given: dict[str, Tensor], scale: float, halves: int
) -> None:
    """At scale 1 the denoiser runs once per window and step, at any other twice."""
    calls: list[int] = []
    handle = network.denoising_unet.register_forward_hook(lambda *_: calls.append(1))
    run(network, given, FEW.model_copy(update={"guidance_scale": scale}))
    handle.remove()
    assert len(calls) == halves * 2 * FEW.steps


def test_constants_are_computed_once(network: ChampNetwork, given: dict[str, Tensor]) -> None:
    """One call of the reference net a clip; each frame passes a guidance encoder once."""
    references: list[int] = []
    encoded: list[int] = []
    handles = [
        network.reference_unet.register_forward_hook(lambda *_: references.append(1)),
        network.guidance_encoders["depth"].register_forward_hook(
            lambda _, inputs, __: encoded.append(inputs[0].shape[2])
        ),
    ]
    run(network, given, FEW)
    for handle in handles:
        handle.remove()
    assert len(references) == 1
    assert sum(encoded) == FRAMES


def test_shared_noise_is_one_for_all_frames(network: ChampNetwork) -> None:
    """With shared noise all frames start equal; without, no two do."""
    guidance = (1, 16, FRAMES, 4, 4)
    shared = initial_noise(network, guidance, seed=0, shared=True)
    assert shared.shape == (1, 4, FRAMES, 4, 4)
    assert all(torch.equal(shared[:, :, i], shared[:, :, 0]) for i in range(FRAMES))
    own = initial_noise(network, guidance, seed=0, shared=False)
    assert not torch.equal(own[:, :, 1], own[:, :, 0])


def test_progress_counts_the_steps(network: ChampNetwork, given: dict[str, Tensor]) -> None:
    """The callback hears of every window of every step."""
    heard: list[tuple[int, int]] = []
    run(network, given, FEW, progress=lambda done, total: heard.append((done, total)))
    assert heard == [(i, 6) for i in range(1, 7)]


def test_maps_of_another_shape_are_refused(network: ChampNetwork, given: dict[str, Tensor]) -> None:
    """Maps without a batch axis are a ValueError with the shape."""
    with pytest.raises(ValueError, match=r"maps must be \(batch, maps, 3, frames, height, width\)"):
        run(network, given | {"maps": given["maps"][0]}, FEW)

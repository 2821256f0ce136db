"""The sampler computes what plain loops over steps, windows and halves compute."""

from __future__ import annotations

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from benchmarks.plain_sampler import plain_sample
from inference.map_frames import MapFrames
from inference.sampler import initial_noise, sample
from inference.settings import SampleSettings
from tests.unit.inference.networks import FOUR_LEVELS, TINY, make_clips, make_network
from training.champ.network import ChampNetwork
from training.champ.schedule import make_scheduler

FRAMES = 10
FEW = SampleSettings(steps=3, guidance_scale=2.0, window_frames=6, window_overlap=2)


@pytest.fixture(scope="module")
def network() -> ChampNetwork:
    return make_network()


@pytest.fixture(scope="module")
def clip() -> dict[str, Tensor]:
    return make_clips()


def run(network: ChampNetwork, clip: dict[str, Tensor], settings: SampleSettings, **more) -> Tensor:
    return sample(network, **clip, settings=settings, **more)[0].transpose(0, 1)


@torch.no_grad()
def plain_loop(network: ChampNetwork, clip: dict[str, Tensor], parts: list[list[int]]) -> Tensor:
    """DDIM by the formulas of v-prediction, every window and half by itself, nothing reused."""
    alphas = make_scheduler(FEW.schedule).alphas_cumprod
    guidance = network.encode_guidance(clip["maps"] / 255)
    latents = initial_noise(network, tuple(guidance.shape), seed=5, shared=False)
    token = clip["image_embeds"]
    for timestep in (999, 666, 332):
        here = alphas[timestep]
        there = alphas[timestep - 333] if timestep >= 333 else torch.tensor(1.0)
        total, count = torch.zeros_like(latents), torch.zeros(FRAMES)
        for part in parts:
            both = []
            for kept in (True, False):
                reference = network.reference_features(clip["reference_latents"], token)
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
    network: ChampNetwork, clip: dict[str, Tensor], closed_loop: bool
) -> None:
    """Reusing what is constant changes nothing: open and wrapped windows, both halves."""
    last = [8, 9, 0, 1, 2, 3] if closed_loop else [4, 5, 6, 7, 8, 9]
    parts = [[0, 1, 2, 3, 4, 5], last]
    if closed_loop:
        parts.insert(1, [4, 5, 6, 7, 8, 9])
    settings = FEW.model_copy(update={"closed_loop": closed_loop})
    latents = run(network, clip, settings, seed=5)
    expected = plain_loop(network, clip, parts)
    assert latents.shape == (FRAMES, 4, 4, 4)
    torch.testing.assert_close(latents, expected, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def agree(
    network: ChampNetwork, clip: dict[str, Tensor], settings: SampleSettings, *, atol: float = 1e-4
) -> None:
    """Ours and the plain sampler's latents from one noise."""
    shape = (len(clip["maps"]), 0, clip["maps"].shape[3], *clip["reference_latents"].shape[2:])
    noise = torch.cat(
        [initial_noise(network, (1, *shape[1:]), seed=i, shared=False) for i in range(shape[0])]
    )
    ours = sample(network, **clip, settings=settings, noise=noise)
    plain = plain_sample(network, **clip, settings=settings, noise=noise)
    torch.testing.assert_close(ours, plain, atol=atol, rtol=1e-4)


WINDOWS = st.integers(2, 6).flatmap(lambda size: st.tuples(st.just(size), st.integers(0, size - 1)))


@settings(max_examples=10, deadline=None)
@example(1, (6, 2), False, 2.0, 1)
@example(13, (6, 2), True, 2.0, 2)
@given(st.integers(1, 14), WINDOWS, st.booleans(), st.sampled_from([1.0, 2.0]), st.integers(1, 2))
def test_any_clip_is_sampled_as_by_definition(
    frames: int, window: tuple[int, int], closed_loop: bool, scale: float, batch: int
) -> None:
    """Any number of frames from 1, windows, loop, scale and batch: the plain sampler's latents."""
    chosen = SampleSettings(
        steps=2,
        guidance_scale=scale,
        window_frames=window[0],
        window_overlap=window[1],
        closed_loop=closed_loop,
    )
    agree(make_network(), make_clips(frames=frames, batch=batch), chosen)


@pytest.mark.parametrize("size", [(20, 15), (15, 20), (9, 11)], ids=str)
def test_sizes_that_are_odd_at_some_level(size: tuple[int, int]) -> None:
    """160 x 120 pixels and the like: latents that halve to odd sizes are sampled by definition."""
    agree(make_network(FOUR_LEVELS), make_clips(frames=3, size=size, stride=8), FEW)


@pytest.mark.parametrize(
    "change",
    [
        {"maps": ("dwpose",)},
        {"maps": ("normal", "depth")},
        {"reference_positions": True},
        {"attention_levels": (False, True)},
        {"motion_levels": (False, True), "motion_middle": False},
    ],
    ids=str,
)
def test_other_networks(change: dict[str, object]) -> None:
    """Any subset of maps, positions, attention that begins late, less motion: by definition."""
    network = make_network(TINY.model_copy(update=change))
    agree(network, make_clips(maps=len(network.settings.maps)), FEW)


def test_clips_of_a_batch_do_not_mix(network: ChampNetwork) -> None:
    """A batch gives each clip what it gives it alone."""
    both = make_clips(batch=2)
    together = sample(network, **both, settings=FEW, seed=3)
    for i in range(2):
        alone = sample(network, **{n: t[i : i + 1] for n, t in both.items()}, settings=FEW, seed=3)
        torch.testing.assert_close(together[i : i + 1], alone, atol=1e-4, rtol=1e-4)


def test_maps_may_be_drawn_when_asked_for(network: ChampNetwork, clip: dict[str, Tensor]) -> None:
    """A source of maps is asked for each frame once, a few at a time."""
    asked: list[tuple[int, int]] = []

    def read(start: int, stop: int) -> Tensor:
        asked.append((start, stop))
        return clip["maps"][:, :, :, start:stop]

    drawn = run(network, clip | {"maps": MapFrames(frames=FRAMES, read=read)}, FEW)
    assert torch.equal(drawn, run(network, clip, FEW))
    assert asked == [(0, 4), (4, 8), (8, 10)]


def test_what_memory_does_not_hold_gives_the_same(
    network: ChampNetwork, clip: dict[str, Tensor]
) -> None:
    """Features in a scratch file are the features."""
    spilled = FEW.model_copy(update={"memory_gib": 0})
    assert torch.equal(run(network, clip, spilled), run(network, clip, FEW))


def test_sampling_leaves_the_network_as_it_was(
    network: ChampNetwork, clip: dict[str, Tensor]
) -> None:
    """Also when it breaks off: no module answers from memory afterwards."""

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    expected = run(network, clip, FEW)
    with pytest.raises(KeyboardInterrupt):
        run(network, clip, FEW, progress=stop)
    assert torch.equal(run(network, clip, FEW), expected)
    for module in network.modules():
        registry = getattr(module, "_diffusers_hook", None)
        assert registry is None or not registry.hooks


def test_tapered_windows_change_shared_frames_alone(
    network: ChampNetwork, clip: dict[str, Tensor]
) -> None:
    """After one step, frames of one window are those of uniform merging; shared ones are not."""
    once = FEW.model_copy(update={"steps": 1})
    uniform = run(network, clip, once)
    tapered = run(network, clip, once.model_copy(update={"merging": "tapered"}))
    same = [torch.allclose(a, b, atol=1e-5) for a, b in zip(uniform, tapered, strict=True)]
    assert same == [True] * 4 + [False] * 2 + [True] * 4


def test_same_seed_same_latents(network: ChampNetwork, clip: dict[str, Tensor]) -> None:
    """A seed decides the latents to the bit, and another gives others."""
    first = run(network, clip, FEW, seed=1)
    assert torch.equal(first, run(network, clip, FEW, seed=1))
    assert not torch.equal(first, run(network, clip, FEW, seed=2))


def test_float_maps_are_those_in_bytes(network: ChampNetwork, clip: dict[str, Tensor]) -> None:
    """Maps in [0, 1] and the same maps in 0 to 255 are one."""
    floats = clip | {"maps": clip["maps"].float() / 255}
    torch.testing.assert_close(run(network, clip, FEW), run(network, floats, FEW))


@pytest.mark.parametrize(("scale", "halves"), [(1.0, 1), (2.0, 2)])
def test_scale_1_never_asks_the_unconditional_half(
    network: ChampNetwork, clip: dict[str, Tensor], scale: float, halves: int
) -> None:
    """At scale 1 the denoiser runs once per window and step, at any other twice."""
    calls: list[int] = []
    handle = network.denoising_unet.register_forward_hook(lambda *_: calls.append(1))
    run(network, clip, FEW.model_copy(update={"guidance_scale": scale}))
    handle.remove()
    assert len(calls) == halves * 2 * FEW.steps


def test_constants_are_computed_once(network: ChampNetwork, clip: dict[str, Tensor]) -> None:
    """One call of the reference net a clip; each frame passes a guidance encoder once."""
    references: list[int] = []
    encoded: list[int] = []
    handles = [
        network.reference_unet.register_forward_hook(lambda *_: references.append(1)),
        network.guidance_encoders["depth"].register_forward_hook(
            lambda _, inputs, __: encoded.append(inputs[0].shape[2])
        ),
    ]
    run(network, clip, FEW)
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


def test_progress_counts_the_steps(network: ChampNetwork, clip: dict[str, Tensor]) -> None:
    """The callback hears of every window of every step."""
    heard: list[tuple[int, int]] = []
    run(network, clip, FEW, progress=lambda done, total: heard.append((done, total)))
    assert heard == [(i, 6) for i in range(1, 7)]


def test_maps_of_another_shape_are_refused(network: ChampNetwork, clip: dict[str, Tensor]) -> None:
    """Maps without a batch axis are a ValueError with the shape."""
    with pytest.raises(ValueError, match=r"maps must be \(batch, maps, 3, frames, height, width\)"):
        run(network, clip | {"maps": clip["maps"][0]}, FEW)

"""The network at a size where every claim can be checked in seconds."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.unit.training.small_network import SMALL
from training.champ.motion import PassThrough, motion_modules
from training.champ.network import ChampNetwork
from training.champ.reference import freeze_reference_tail
from training.champ.settings import NetworkSettings

TINY = SMALL.model_copy(update={"block_out_channels": (16, 32), "attention_levels": (True, True)})


def make(settings: NetworkSettings = TINY, *, motion: bool = True, seed: int = 0) -> ChampNetwork:
    """A network without a zero in it, so that every part shows in the output."""
    torch.manual_seed(seed)
    network = ChampNetwork(settings, motion=motion)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return network


def inputs(
    *, frames: int = 3, size: tuple[int, int] = (8, 8), batch: int = 2, seed: int = 1
) -> dict[str, Tensor]:
    """Latents, maps and the rest of one batch for ``TINY``."""
    generator = torch.Generator().manual_seed(seed)

    def randn(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    height, width = size
    return {
        "latents": randn(batch, 8, frames, height, width),
        "timesteps": torch.randint(0, 1000, (batch,), generator=generator),
        "image_embeds": randn(batch, 1, 12),
        "maps": torch.rand(batch, 4, 3, frames, 4 * height, 4 * width, generator=generator),
        "reference_latents": randn(batch, 8, height, width),
    }


def predict(
    network: ChampNetwork, batch: dict[str, Tensor], *, kept: Tensor | None = None
) -> Tensor:
    guidance = network.encode_guidance(batch["maps"])
    reference = network.reference_features(batch["reference_latents"], batch["image_embeds"])
    return network(
        batch["latents"],
        batch["timesteps"],
        batch["image_embeds"],
        guidance,
        reference,
        reference_kept=kept,
    )


@torch.no_grad()
def test_samples_of_a_batch_do_not_mix() -> None:
    """A batch of two gives what its samples give one by one."""
    network, batch = make(), inputs()
    together = predict(network, batch)
    for i in range(2):
        alone = predict(network, {name: part[i : i + 1] for name, part in batch.items()})
        torch.testing.assert_close(together[i : i + 1], alone, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_dropped_sample_sees_neither_reference_nor_image_token() -> None:
    """A sample with ``reference_kept`` False is predicted as with no reference and a zero token."""
    network, batch = make(), inputs()
    mixed = predict(network, batch, kept=torch.tensor([True, False]))
    full = predict(network, batch)
    guidance = network.encode_guidance(batch["maps"])
    bare = network(
        batch["latents"],
        batch["timesteps"],
        torch.zeros_like(batch["image_embeds"]),
        guidance,
        None,
    )
    torch.testing.assert_close(mixed[0], full[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(mixed[1], bare[1], atol=1e-5, rtol=1e-5)
    assert (mixed[1] - full[1]).abs().max() > 1e-3


@torch.no_grad()
@pytest.mark.parametrize("seen", [True, False])
def test_constants_of_the_reference_give_the_same(seen: bool) -> None:
    """Keys, values and image answers computed beforehand predict what reference and token do."""
    network, batch = make(), inputs()
    guidance, token = network.encode_guidance(batch["maps"]), batch["image_embeds"]
    features = network.reference_features(batch["reference_latents"], token) if seen else None
    constants = network.reference_constants(features, token)
    args = (batch["latents"], batch["timesteps"], token, guidance)
    expected = network(*args, features)
    torch.testing.assert_close(network(*args, constants), expected, atol=1e-5, rtol=1e-5)
    other = (batch["latents"], batch["timesteps"], 0 * token, guidance)
    assert torch.equal(network(*other, constants), network(*args, constants))


@torch.no_grad()
def test_several_image_tokens_have_no_constant_answer() -> None:
    """Constants of two tokens are a ValueError: a softmax over two depends on the query."""
    with pytest.raises(ValueError, match="one image token"):
        make().reference_constants(None, torch.zeros(1, 2, 12))


@torch.no_grad()
def test_without_motion_frames_are_independent_and_with_it_they_are_not() -> None:
    """Stage 1's network predicts a frame whatever its neighbours; motion modules look at them."""
    batch = inputs()
    changed = dict(batch, latents=batch["latents"].clone())
    changed["latents"][:, :, 0] += 1
    for motion in (False, True):
        network = make(motion=motion)
        effect = (predict(network, batch) - predict(network, changed))[:, :, 1:].abs().max()
        assert (effect > 1e-4) == motion


@torch.no_grad()
def test_new_motion_modules_change_nothing() -> None:
    """A fresh stage 2 network predicts what the stage 1 network it starts from predicts."""
    stage1, stage2 = make(motion=False), ChampNetwork(TINY, motion=True)
    missing, unexpected = stage2.load_state_dict(stage1.state_dict(), strict=False)
    assert not unexpected
    assert all(".motion_modules." in name for name in missing)
    torch.testing.assert_close(predict(stage1, inputs()), predict(stage2, inputs()))


def test_motion_levels_choose_where_motion_is() -> None:
    """Levels without motion and a middle block without it have pass-throughs."""
    settings = TINY.model_copy(update={"motion_levels": (False, True), "motion_middle": False})
    network = ChampNetwork(settings, motion=True)
    unet = network.denoising_unet
    for place in ("down_blocks.0", "up_blocks.1", "mid_block"):
        assert isinstance(unet.get_submodule(f"{place}.motion_modules.0"), PassThrough)
    assert len(motion_modules(unet)) == 1 + 2
    assert not motion_modules(ChampNetwork(TINY, motion=False).denoising_unet)


@torch.no_grad()
@pytest.mark.parametrize("size", [(9, 11), (7, 5)])
@pytest.mark.parametrize("positions", [False, True])
def test_odd_sizes(size: tuple[int, int], positions: bool) -> None:
    """Latents of odd sizes pass, with and without positions in reference attention."""
    network = make(TINY.model_copy(update={"reference_positions": positions}))
    assert predict(network, inputs(size=size)).shape == (2, 8, 3, *size)


@torch.no_grad()
def test_positions_let_attention_tell_places_apart() -> None:
    """With one colour everywhere, only a network with positions sees where the reference differs.

    Permuting the reference's tokens changes nothing for attention without positions.
    """
    batch = inputs()
    for positions in (False, True):
        network = make(TINY.model_copy(update={"reference_positions": positions}))
        guidance = network.encode_guidance(batch["maps"])
        features = network.reference_features(batch["reference_latents"], batch["image_embeds"])
        flipped = {name: states.flip(1) for name, states in features.items()}
        args = (batch["latents"], batch["timesteps"], batch["image_embeds"], guidance)
        effect = (network(*args, features) - network(*args, flipped)).abs().max()
        assert (effect > 1e-4) == positions


def test_checkpointing_leaves_gradients_as_they_are() -> None:
    """Gradients of every parameter are equal with and without gradient checkpointing."""
    gradients = []
    for enabled in (False, True):
        network = make()
        network.enable_gradient_checkpointing(enabled)
        predict(network, inputs(), kept=torch.tensor([True, False])).square().mean().backward()
        gradients.append({n: p.grad for n, p in network.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, msg=name)


@pytest.mark.parametrize(("levels", "count"), [((True, True), 20), ((False, True), 20 + 2 + 24)])
def test_parameters_without_gradient_are_those_the_freeze_covers(
    levels: tuple[bool, bool], count: int
) -> None:
    """All parameters learn but the reference net's last ones, and freezing covers exactly those."""
    network = make(TINY.model_copy(update={"attention_levels": levels}))
    predict(network, inputs()).square().mean().backward()
    dead = {name for name, p in network.named_parameters() if p.grad is None}
    assert len(dead) == count
    freeze_reference_tail(network.reference_unet, whole_block=False)
    assert {name for name, p in network.named_parameters() if not p.requires_grad} == dead
    freeze_reference_tail(network.reference_unet)
    frozen = {name for name, p in network.named_parameters() if not p.requires_grad}
    last_block = {n for n in dict(network.named_parameters()) if ".up_blocks.1." in n}
    assert frozen == dead | {n for n in last_block if n.startswith("reference_unet.")}


@torch.no_grad()
def test_motion_in_portions_is_the_same() -> None:
    """Temporal attention over portions of the positions equals attention over all at once."""
    network, batch = make(), inputs()
    whole = predict(network, batch)
    for module in motion_modules(network.denoising_unet):
        module.portion = 7
    torch.testing.assert_close(predict(network, batch), whole, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_bfloat16_weights_take_float32_inputs() -> None:
    """A network in bfloat16 predicts nearly what it predicts in float32, from the same inputs."""
    network, batch, kept = make(), inputs(), torch.tensor([True, False])
    exact = predict(network, batch, kept=kept)
    rounded = predict(network.to(torch.bfloat16), batch, kept=kept)
    assert rounded.dtype == torch.bfloat16
    assert (rounded.float() - exact).square().mean() < 1e-3 * exact.square().mean()


@torch.no_grad()
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"latents": torch.zeros(2, 4, 3, 8, 8)}, "latents must be"),
        ({"maps": torch.zeros(2, 3, 3, 3, 32, 32)}, "maps must be"),
        ({"maps": torch.zeros(2, 4, 3, 3, 32, 30)}, "multiples of 4"),
        ({"maps": torch.zeros(2, 4, 3, 3, 32, 36)}, "guidance must be"),
    ],
)
def test_shapes_that_do_not_fit_are_named(change: dict[str, Tensor], message: str) -> None:
    """A wrong shape is a ValueError that says what was expected."""
    with pytest.raises(ValueError, match=message):
        predict(make(), inputs() | change)


@torch.no_grad()
def test_image_token_of_another_size_is_named() -> None:
    """An image token that is not the encoder's the network was built for is a ValueError."""
    network, batch = make(), inputs()
    guidance = network.encode_guidance(batch["maps"])
    with pytest.raises(ValueError, match=r"image_embeds must be \(batch, tokens, 12\)"):
        network(batch["latents"], batch["timesteps"], torch.zeros(2, 1, 64), guidance, None)


@torch.no_grad()
def test_too_many_frames_for_one_call() -> None:
    """More frames than motion modules have positions is an error that names the remedy."""
    network = make(TINY.model_copy(update={"motion_max_seq_length": 2}))
    with pytest.raises(ValueError, match="sample in windows"):
        predict(network, inputs(frames=3))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"attention_levels": (True,)}, "attention_levels must have one entry per resolution"),
        ({"attention_levels": (False, False)}, "must have a True"),
        ({"norm_num_groups": 5}, "norm_num_groups must divide"),
        ({"guidance_norm_num_groups": 3}, "guidance_norm_num_groups must divide"),
        ({"maps": ("depth", "depth")}, "maps must be different"),
        (
            {"block_out_channels": (10, 30), "norm_num_groups": 2, "reference_positions": True},
            "by 4",
        ),
    ],
)
def test_sizes_that_do_not_fit_are_refused(change: dict[str, object], message: str) -> None:
    """Settings that no network can be built from are refused when they are made."""
    with pytest.raises(ValueError, match=message):
        NetworkSettings.model_validate(TINY.model_dump() | change)

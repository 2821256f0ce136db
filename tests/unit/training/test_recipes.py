"""What the recipes train, and what their losses weigh."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.unit.training import small_dataset as small
from training.champ import checkpoints
from training.champ.autoencoder import Autoencoder
from training.champ.network import ChampNetwork
from training.champ.settings import ScheduleSettings
from training.recipes import StageRecipe, weighted_error
from training.settings import OptimizerSettings, StageSettings, TrainSettings
from training.vae_recipe import VaeRecipe, edge_loss


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dataset")
    small.write_guidance(path, {"a": 14, "b": 8})
    small.write_latents(path, ["a", "b"])
    return path


def stage_recipe(
    root: Path, stage: int = 1, *, motion_from: Path | None = None, **changes: object
) -> StageRecipe:
    sections = {
        "stage1": StageSettings(reference_gap=2),
        "stage2": StageSettings(frames=4, reference_gap=0),
    }
    return StageRecipe(
        root,
        stage=stage,
        settings=TrainSettings(**{**sections, **changes}),
        network=small.NETWORK,
        schedule=ScheduleSettings(),
        start_from=root / "stage1" if stage == 2 else None,
        motion_from=motion_from,
    )


@pytest.fixture(scope="module")
def stage1_weights(root: Path) -> ChampNetwork:
    torch.manual_seed(0)
    network = ChampNetwork(small.NETWORK, motion=False)
    checkpoints.save(network, root / "stage1")
    return network


def trained_names(network: torch.nn.Module) -> set[str]:
    return {name for name, value in network.named_parameters() if value.requires_grad}


def test_the_defaults_are_the_official_hyper_parameters() -> None:
    """conventions, "Noise schedule, training, sampling", number by number."""
    settings = TrainSettings()
    one, two = settings.stage1, settings.stage2
    assert (one.frames, one.optimizer.batch, one.optimizer.steps) == (1, 32, 60_000)
    assert (two.frames, two.frame_stride) == (24, 4)
    assert (two.optimizer.batch, two.optimizer.steps) == (8, 20_000)
    assert one.reference_gap == 30
    for section in (one, two):
        chosen = section.optimizer
        assert (chosen.learning_rate, chosen.learning_rate_schedule) == (1e-5, "constant")
        assert (chosen.betas, chosen.weight_decay) == ((0.9, 0.999), 0.01)
        assert (chosen.gradient_clip, chosen.ema_decay) == (1.0, None)
        assert (section.noise_offset, section.unconditional_share) == (0.05, 0.1)
        assert (section.snr_gamma, section.mask_loss_weight) == (5.0, 1.0)
        assert section.freeze_reference_tail == "block"
    assert settings.loop.zero_stage == 2


def test_stage_1_trains_all_but_the_reference_tail(root: Path) -> None:
    """Stage 1 leaves out the reference net's last up block, and nothing else; there are no motion
    modules in it."""
    network = stage_recipe(root).build()
    everything = {name for name, _ in network.named_parameters()}
    tail = {name for name in everything if name.startswith("reference_unet.up_blocks.1.")}
    assert tail
    assert everything - trained_names(network) == tail
    assert not any("motion_modules" in name for name in everything)


def test_stage_1_may_train_everything_that_is_read(root: Path) -> None:
    """With the tail set to "unused" exactly those parameters are frozen that get no gradient."""
    section = StageSettings(reference_gap=2, freeze_reference_tail="unused")
    recipe = stage_recipe(root, stage1=section)
    network = recipe.build()
    for conv in (network.denoising_unet.conv_out, *zero_convolutions(network)):
        torch.nn.init.normal_(conv.weight)  # new ones are zero and would pass no gradient
    recipe.loss(network, recipe.batch(0, [0, 1, 2, 3])).backward()
    reached = {
        name
        for name, value in network.named_parameters()
        if value.grad is not None and name.startswith("reference_unet.")
    }
    trained = {name for name in trained_names(network) if name.startswith("reference_unet.")}
    assert reached == trained


def zero_convolutions(network: ChampNetwork) -> list[torch.nn.Conv2d]:
    return [
        module
        for module in network.guidance_encoders.modules()
        if isinstance(module, torch.nn.Conv2d) and not module.weight.any()
    ]


def test_stage_2_trains_the_motion_modules_alone(root: Path, stage1_weights: ChampNetwork) -> None:
    """Stage 2 begins with stage 1's weights and changes nothing but motion modules."""
    network = stage_recipe(root, 2).build()
    trained = trained_names(network)
    assert trained
    assert all("motion_modules" in name for name in trained)
    rest = {name: value for name, value in network.state_dict().items() if name not in trained}
    for name, value in stage1_weights.state_dict().items():
        assert torch.equal(rest[name], value)


def test_stage_2_may_begin_with_motion_modules_from_elsewhere(
    root: Path, stage1_weights: ChampNetwork
) -> None:
    """`motion_from` gives stage 2 the motion modules of another checkpoint (AnimateDiff's, as the
    official training) over stage 1's weights, and changes the fingerprint; stage 1 refuses it."""
    torch.manual_seed(1)
    source = ChampNetwork(small.NETWORK, motion=True)
    for parameter in source.parameters():
        torch.nn.init.normal_(parameter)
    checkpoints.save(source, root / "animate_diff")
    plain = stage_recipe(root, 2)
    recipe = stage_recipe(root, 2, motion_from=root / "animate_diff")
    assert recipe.fingerprint() != plain.fingerprint()
    network = recipe.build()
    weights, theirs = network.state_dict(), source.state_dict()
    motion = {name for name in weights if ".motion_modules." in name}
    assert motion
    assert all(torch.equal(weights[name], theirs[name]) for name in motion)
    for name, value in stage1_weights.state_dict().items():
        assert torch.equal(weights[name], value)
    trained = trained_names(network)
    assert trained == {name for name, _ in network.named_parameters() if name in motion}
    with pytest.raises(ValueError, match="motion_from is for stage 2"):
        stage_recipe(root, 1, motion_from=root / "animate_diff")
    with pytest.raises(ValueError, match="has no motion modules"):
        stage_recipe(root, 2, motion_from=root / "stage1").build()


def test_stage_2_needs_stage_1(root: Path) -> None:
    """Stage 2 without weights to begin with is the caller's mistake."""
    with pytest.raises(ValueError, match="stage 1"):
        StageRecipe(
            root,
            stage=2,
            settings=TrainSettings(),
            network=small.NETWORK,
            schedule=ScheduleSettings(),
        )


def test_the_loss_is_the_weighted_error_of_v(root: Path) -> None:
    """The loss of a network that predicts nothing is the mean over samples of |v|^2 times
    min(snr + 1, 5) / (snr + 1), written out by hand."""
    recipe = stage_recipe(root)
    network = recipe.build()
    torch.nn.init.zeros_(network.denoising_unet.conv_out.weight)
    torch.nn.init.zeros_(network.denoising_unet.conv_out.bias)
    batch = recipe.batch(3, range(6))
    betas = np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    root_alphas = np.sqrt(np.cumprod(1 - betas))
    scaled = (root_alphas - root_alphas[-1]) * root_alphas[0] / (root_alphas[0] - root_alphas[-1])
    expected = []
    for latents, noise, timestep in zip(
        batch["latents"], batch["noise"], batch["timesteps"], strict=True
    ):
        alpha = scaled[int(timestep)] ** 2
        v = alpha**0.5 * noise.double() - (1 - alpha) ** 0.5 * latents.double()
        snr = alpha / (1 - alpha)
        expected.append(float(v.square().mean()) * min(snr + 1, 5) / (snr + 1))
    assert recipe.loss(network, batch).item() == pytest.approx(np.mean(expected), rel=1e-3)


def test_the_mask_moves_weight_without_adding_any() -> None:
    """An error inside the mask counts by the factor more than one outside, and an error that is
    the same everywhere costs what it does without a mask."""
    mask = torch.zeros(1, 1, 8, 8, dtype=torch.bool)
    mask[..., :4] = True
    inside = torch.zeros(1, 2, 1, 4, 4)
    inside[..., :2] = 1
    ratio = weighted_error(inside, mask, 3.0) / weighted_error(1 - inside, mask, 3.0)
    assert ratio.item() == pytest.approx(3.0)
    everywhere = torch.ones(1, 2, 1, 4, 4)
    assert weighted_error(everywhere, mask, 3.0).item() == pytest.approx(1.0)


def test_the_fingerprint_follows_what_decides_the_result(
    root: Path, stage1_weights: ChampNetwork
) -> None:
    """Same settings, same fingerprint; another rate, seed, stage or starting weight, another."""
    del stage1_weights
    slower = StageSettings(reference_gap=2, optimizer=OptimizerSettings(learning_rate=1e-6))
    found = [
        stage_recipe(root).fingerprint(),
        stage_recipe(root, stage1=slower).fingerprint(),
        stage_recipe(root, seed=1).fingerprint(),
        stage_recipe(root, 2).fingerprint(),
    ]
    assert len(set(found)) == 4
    assert stage_recipe(root).fingerprint() == found[0]
    checkpoints.save(ChampNetwork(small.NETWORK, motion=False), root / "stage1")
    assert stage_recipe(root, 2).fingerprint() != found[3]


def test_edges_cost_what_they_differ_by() -> None:
    """A picture and the same picture made brighter have the same edges; a step of height h
    between two columns of four costs a third of h."""
    flat = torch.zeros(1, 1, 4, 4)
    step = flat.clone()
    step[..., 2:] = 0.6
    assert edge_loss(flat, flat + 0.3).item() == 0
    assert edge_loss(flat, step).item() == pytest.approx(0.2)


def test_an_exported_autoencoder_gives_standard_latents(root: Path, tmp_path: Path) -> None:
    """The statistics written with the autoencoder make every channel of the seen frames' latents
    mean 0 and deviation 1."""
    recipe = VaeRecipe(
        root,
        settings=TrainSettings(train_fraction=0.5),
        autoencoder=small.VAE,
        encode=small.ENCODE,
    )
    recipe.export(recipe.build(), tmp_path / "vae")
    seen = np.concatenate(
        [recipe.store.frames(clip, "rgb", range(clip.frames // 2)) for clip in recipe.clips]
    )
    latents = Autoencoder.load(tmp_path / "vae").encode(seen)
    torch.testing.assert_close(latents.mean((0, 2, 3)), torch.zeros(4), atol=1e-4, rtol=0)
    torch.testing.assert_close(latents.std((0, 2, 3)), torch.ones(4), atol=1e-4, rtol=0)

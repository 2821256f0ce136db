"""Checkpoints go out and come back bit for bit, and say what does not fit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from training.champ import checkpoints
from training.champ.network import ChampNetwork
from training.champ.official_names import guidance_file, is_dead, official_place
from training.champ.settings import NetworkSettings

KEYS = Path(__file__).parents[2] / "golden" / "official_parity" / "official_keys_sd15.json"
ENCODERS = "guidance_encoder_{depth,normal,semantic_map,dwpose}.pth"

SMALL = NetworkSettings(
    block_out_channels=(8, 16),
    attention_levels=(True, False),
    motion_levels=(True, True),
    layers_per_block=1,
    num_attention_heads=2,
    cross_attention_dim=12,
    norm_num_groups=4,
    latent_channels=8,
    guidance_channels=(4, 8, 16),
    guidance_num_attention_heads=2,
    guidance_norm_num_groups=4,
    motion_num_attention_heads=2,
)


def make(*, motion: bool = True) -> ChampNetwork:
    """A network without a zero in it."""
    torch.manual_seed(0)
    network = ChampNetwork(SMALL, motion=motion)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter)
    return network


def assert_same_weights(ours: ChampNetwork, theirs: ChampNetwork) -> None:
    """All tensors equal, bit for bit."""
    first, second = ours.state_dict(), theirs.state_dict()
    assert first.keys() == second.keys()
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_every_released_name_and_shape_maps_at_full_size() -> None:
    """The released files' names and shapes are ours, none missing, none over but the dead ones."""
    settings = NetworkSettings()
    with torch.device("meta"):
        network = ChampNetwork(settings, motion=True)
    ours: dict[str, dict[str, list[int]]] = {}
    for name, value in network.state_dict().items():
        file, there = official_place(name, settings)
        ours.setdefault(file, {})[there] = list(value.shape)
    released = json.loads(KEYS.read_text())
    encoders = released.pop(ENCODERS)
    released |= {guidance_file(name): encoders for name in settings.maps}
    assert ours.keys() == released.keys()
    for file, shapes in released.items():
        used = {n: s for n, s in shapes.items() if not is_dead(file, n, settings)}
        copies = {n for n in used if n.endswith("attention_blocks.1.pos_encoder.pe")}
        assert {n: s for n, s in used.items() if n not in copies} == ours[file], file
        assert len(copies) == (21 if file == "motion_module.pth" else 0)
    counts = [len(shapes) for shapes in ours.values()]
    assert sum(counts) == 1253 + 682 + 4 * 35


@pytest.mark.parametrize("motion", [True, False])
def test_own_checkpoint_round_trip(tmp_path: Path, motion: bool) -> None:
    """A saved network loads with its settings, its kind and its exact weights."""
    network = make(motion=motion)
    checkpoints.save(network, tmp_path)
    loaded = checkpoints.load(tmp_path)
    assert (loaded.settings, loaded.motion) == (SMALL, motion)
    assert_same_weights(network, loaded)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "network.json",
        "network.safetensors",
    ]


def test_stage_2_begins_with_stage_1(tmp_path: Path) -> None:
    """A checkpoint without motion loads with new motion modules, and one with them without."""
    stage1 = make(motion=False)
    checkpoints.save(stage1, tmp_path)
    stage2 = checkpoints.load(tmp_path, motion=True)
    weights = stage2.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in stage1.state_dict().items())
    assert stage2.motion
    checkpoints.save(stage2, tmp_path)
    assert_same_weights(stage1, checkpoints.load(tmp_path, motion=False))


def test_official_round_trip(tmp_path: Path) -> None:
    """What is exported in the official layout comes back bit for bit."""
    network = make()
    checkpoints.save_official(network, tmp_path)
    assert_same_weights(network, checkpoints.load_official(tmp_path, SMALL))
    stage1 = checkpoints.load_official(tmp_path, SMALL, motion=False)
    assert not stage1.motion
    assert {p.name for p in tmp_path.iterdir()} == {
        "reference_unet.pth",
        "denoising_unet.pth",
        "motion_module.pth",
        *(guidance_file(name) for name in SMALL.maps),
    }


def test_loaded_official_network_trains(tmp_path: Path) -> None:
    """Weights read from the release are parameters that take gradients, none left on meta."""
    checkpoints.save_official(make(), tmp_path)
    network = checkpoints.load_official(tmp_path, SMALL)
    assert all(p.requires_grad and p.device.type == "cpu" for p in network.parameters())
    assert all(b.device.type == "cpu" for b in network.buffers())
    latents, token = torch.zeros(1, 8, 2, 4, 4), torch.zeros(1, 1, 12)
    guidance = network.encode_guidance(torch.zeros(1, 4, 3, 2, 16, 16))
    network(latents, torch.tensor([3]), token, guidance, None).sum().backward()


@pytest.mark.parametrize(
    ("file", "remove", "add", "message"),
    [
        ("denoising_unet.pth", "conv_in.weight", "", r"missing \['conv_in.weight'\]"),
        ("reference_unet.pth", "", "conv_extra.bias", r"unexpected \['conv_extra.bias'\]"),
        ("guidance_encoder_depth.pth", "", "attentions.3.proj.weight", "attentions.3.proj"),
        ("guidance_encoder_depth.pth", "", "attentions.4.norm.weight", "unexpected"),
    ],
    ids=["missing", "unexpected", "guidance", "beyond-the-used"],
)
def test_names_that_do_not_fit_are_listed(
    tmp_path: Path, file: str, remove: str, add: str, message: str
) -> None:
    """A missing or unexpected name is a ValueError that lists it and the file."""
    checkpoints.save_official(make(), tmp_path)
    weights = torch.load(tmp_path / file, weights_only=True)
    weights.pop(remove, None)
    if add:
        weights[add] = torch.zeros(1)
    torch.save(weights, tmp_path / file)
    with pytest.raises(ValueError, match=message) as caught:
        checkpoints.load_official(tmp_path, SMALL)
    assert file in str(caught.value)


def test_dead_weights_are_no_error(tmp_path: Path) -> None:
    """Files with the weights that the official code never runs load as those without."""
    checkpoints.save_official(make(), tmp_path)
    path = tmp_path / guidance_file("normal")
    dead = {"attentions.0.norm.weight": torch.ones(4), "guidance_attention.x": torch.ones(1)}
    torch.save(torch.load(path, weights_only=True) | dead, path)
    assert_same_weights(make(), checkpoints.load_official(tmp_path, SMALL))


def test_other_shapes_and_missing_files_are_named(tmp_path: Path) -> None:
    """A tensor of another shape, and a file that is not there, are ValueErrors that name them."""
    checkpoints.save_official(make(), tmp_path)
    path = tmp_path / "reference_unet.pth"
    weights = torch.load(path, weights_only=True)
    torch.save(weights | {"conv_in.bias": torch.zeros(3)}, path)
    with pytest.raises(ValueError, match=r"conv_in.bias.*expected \(8,\), got \(3,\)"):
        checkpoints.load_official(tmp_path, SMALL)
    path.unlink()
    with pytest.raises(ValueError, match=r"reference_unet.pth is missing"):
        checkpoints.load_official(tmp_path, SMALL)
    with pytest.raises(ValueError, match="is no saved network"):
        checkpoints.load(tmp_path)


def test_positions_must_be_those_of_both_attentions(tmp_path: Path) -> None:
    """Motion weights whose two copies of the positions differ are refused: we keep one."""
    checkpoints.save_official(make(), tmp_path)
    path = tmp_path / "motion_module.pth"
    weights = torch.load(path, weights_only=True)
    name = next(n for n in weights if n.endswith("attention_blocks.1.pos_encoder.pe"))
    weights[name] = weights[name] + 1
    torch.save(weights, path)
    with pytest.raises(ValueError, match="differs from the positions"):
        checkpoints.load_official(tmp_path, SMALL)


def test_own_checkpoint_with_other_weights_is_refused(tmp_path: Path) -> None:
    """A checkpoint whose weights are not those of its settings lists the names."""
    checkpoints.save(make(), tmp_path)
    path = tmp_path / "network.json"
    description = json.loads(path.read_text())
    description["settings"]["maps"] = ["depth", "normal", "semantic_map", "mask"]
    path.write_text(json.dumps(description))
    with pytest.raises(ValueError, match=r"missing .*mask.*unexpected .*dwpose"):
        checkpoints.load(tmp_path)
    path.write_text(json.dumps(description | {"format": 99}))
    with pytest.raises(ValueError, match="format 99, expected 1"):
        checkpoints.load(tmp_path)

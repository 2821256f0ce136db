"""Checkpoints go out and come back bit for bit, and say what does not fit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.unit.training.small_network import SMALL, assert_same_weights, make
from training.champ import checkpoints
from training.champ.network import ChampNetwork
from training.champ.official_names import guidance_file


@pytest.mark.parametrize("motion", [True, False])
def test_own_checkpoint_round_trip(tmp_path: Path, motion: bool) -> None:
    """A saved network loads with its settings, its kind and its exact weights."""
    network = make(motion=motion)
    checkpoints.save(network, tmp_path)
    loaded = checkpoints.load(tmp_path)
    assert (loaded.settings, loaded.motion) == (SMALL, motion)
    assert_same_weights(network, loaded)
    parts = {"reference_unet", "denoising_unet", *(f"guidance_encoder_{m}" for m in SMALL.maps)}
    parts |= {"motion_module"} if motion else set()
    expected = {"network.json", *(f"{part}.safetensors" for part in parts)}
    assert {path.name for path in tmp_path.iterdir()} == expected


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
    """What is exported in the official layout comes back bit for bit; `champ.json` has what shapes
    do not tell, here the number of heads."""
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
        "champ.json",
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
    with pytest.raises(ValueError, match="format 99, expected 2 or 1"):
        checkpoints.load(tmp_path)
    path.write_text("{")
    with pytest.raises(ValueError, match=r"network\.json is damaged"):
        checkpoints.load(tmp_path)


def test_large_parts_are_split(tmp_path: Path) -> None:
    """With a limit a part becomes several files, none larger unless it is one tensor, and all
    weights come back."""
    network = make()
    limit = 40_000
    checkpoints.save(network, tmp_path, max_file_bytes=limit)
    files = sorted(tmp_path.glob("denoising_unet-*-of-*.safetensors"))
    assert len(files) > 1
    largest = max(value.nbytes for value in network.state_dict().values())
    header = 20_000
    assert all(path.stat().st_size <= max(limit, largest) + header for path in files)
    assert_same_weights(network, checkpoints.load(tmp_path))


def test_a_checkpoint_takes_the_place_of_another(tmp_path: Path) -> None:
    """Saving over a checkpoint with more and other files leaves none of them behind."""
    checkpoints.save(make(), tmp_path, max_file_bytes=40_000)
    network = make(motion=False)
    checkpoints.save(network, tmp_path)
    assert not list(tmp_path.glob("*-of-*"))
    assert not list(tmp_path.glob("motion_module*"))
    assert_same_weights(network, checkpoints.load(tmp_path))


def test_format_1_is_read(tmp_path: Path) -> None:
    """A folder of one `network.safetensors` without hashes, as earlier versions wrote, loads."""
    network = make()
    save_file(network.state_dict(), tmp_path / "network.safetensors")
    settings = SMALL.model_dump(mode="json")
    description = {"format": 1, "motion": True, "settings": settings}
    (tmp_path / "network.json").write_text(json.dumps(description))
    assert_same_weights(network, checkpoints.load(tmp_path))
    stage1 = checkpoints.load(tmp_path, motion=False, maps=("normal",))
    assert (stage1.motion, stage1.settings.maps) == (False, ("normal",))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_kept_on_disk(tmp_path: Path, dtype: torch.dtype) -> None:
    """A network in half precision is saved as such; it loads as float32, or as asked."""
    network = make().to(dtype)
    checkpoints.save(network, tmp_path)
    assert_same_weights(network, checkpoints.load(tmp_path, dtype=dtype))
    assert_same_weights(network.float(), checkpoints.load(tmp_path))


def test_a_subset_of_the_encoders_loads_without_reading_the_others(tmp_path: Path) -> None:
    """`maps` chooses encoders and their order; a damaged file of another one does not matter."""
    network = make()
    checkpoints.save(network, tmp_path)
    flip(tmp_path / "guidance_encoder_depth.safetensors")
    few = checkpoints.load(tmp_path, maps=("dwpose", "normal"))
    assert few.settings == SMALL.model_copy(update={"maps": ("dwpose", "normal")})
    assert list(few.guidance_encoders) == ["dwpose", "normal"]
    whole = network.state_dict()
    assert all(torch.equal(value, whole[name]) for name, value in few.state_dict().items())
    with pytest.raises(ValueError, match=r"no guidance encoder of \['mask'\].*'depth', 'normal'"):
        checkpoints.load(tmp_path, maps=("mask",))


def flip(path: Path) -> None:
    """Change the last byte of a file."""
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def test_damage_is_named(tmp_path: Path) -> None:
    """A changed byte, a truncated, a missing and a foreign file are ValueErrors that name it."""
    checkpoints.save(make(), tmp_path)
    path = tmp_path / "reference_unet.safetensors"
    whole = path.read_bytes()
    flip(path)
    with pytest.raises(ValueError, match=r"reference_unet\.safetensors is damaged or another"):
        checkpoints.load(tmp_path)
    assert checkpoints.load(tmp_path, check=False).motion
    path.write_bytes(whole[:-100])
    with pytest.raises(ValueError, match=r"reference_unet\.safetensors is damaged or truncated"):
        checkpoints.load(tmp_path)
    path.unlink()
    with pytest.raises(ValueError, match=r"reference_unet\.safetensors is missing"):
        checkpoints.load(tmp_path)
    path.write_bytes(whole)
    (tmp_path / "other.safetensors").write_bytes(whole)
    with pytest.raises(ValueError, match=r"does not list: \['other\.safetensors'\]"):
        checkpoints.load(tmp_path)


def test_a_truncated_format_1_file_is_named(tmp_path: Path) -> None:
    """Without hashes the format itself tells."""
    save_file(make().state_dict(), tmp_path / "network.safetensors")
    description = {"format": 1, "motion": True, "settings": SMALL.model_dump(mode="json")}
    (tmp_path / "network.json").write_text(json.dumps(description))
    with (tmp_path / "network.safetensors").open("r+b") as file:
        file.truncate(10_000)
    with pytest.raises(ValueError, match=r"network\.safetensors is damaged or truncated"):
        checkpoints.load(tmp_path)


def test_an_interrupted_save_is_not_a_checkpoint(tmp_path: Path) -> None:
    """Without `network.json`, the last file, or with one file of another save, nothing loads."""
    checkpoints.save(make(), tmp_path / "first")
    checkpoints.save(make().double(), tmp_path / "second")
    name = "guidance_encoder_depth.safetensors"
    (tmp_path / "second" / name).replace(tmp_path / "first" / name)
    with pytest.raises(ValueError, match="damaged"):
        checkpoints.load(tmp_path / "first")
    (tmp_path / "first" / "network.json").unlink()
    with pytest.raises(ValueError, match=r"network\.json is missing"):
        checkpoints.load(tmp_path / "first")


def test_an_official_folder_is_to_be_imported(tmp_path: Path) -> None:
    """Whoever loads the release's files, or a tree of them, is told the command to run."""
    checkpoints.save_official(make(), tmp_path / "champ")
    for folder in (tmp_path, tmp_path / "champ"):
        with pytest.raises(ValueError, match="run `champ checkpoint import` first"):
            checkpoints.load(folder)


def test_motion_modules_of_another_checkpoint(tmp_path: Path) -> None:
    """`load_motion` replaces the motion modules and nothing else; sizes that differ are listed."""
    source = make()
    checkpoints.save(source, tmp_path / "motion")
    checkpoints.save(checkpoints.load(tmp_path / "motion", motion=False), tmp_path / "still")
    target = checkpoints.load(tmp_path / "still", motion=True)
    checkpoints.load_motion(target, tmp_path / "motion")
    assert_same_weights(source, target)
    with pytest.raises(ValueError, match="has no motion modules"):
        checkpoints.load_motion(target, tmp_path / "still")
    longer = make(SMALL.model_copy(update={"motion_max_seq_length": 16}))
    with pytest.raises(ValueError, match=r"pos_embed\.pe.*expected \(1, 16, 8\)"):
        checkpoints.load_motion(longer, tmp_path / "motion")


def test_new_motion_modules_are_as_those_of_a_new_network(tmp_path: Path) -> None:
    """What a checkpoint without motion gets: the positions' sinusoids, zero projections out, and
    weights spread as a new network's."""
    checkpoints.save(make(motion=False), tmp_path)
    loaded = dict(checkpoints.load(tmp_path, motion=True).state_dict())
    new = ChampNetwork(SMALL, motion=True).state_dict()
    motion = {name: value for name, value in new.items() if ".motion_modules." in name}
    assert motion
    for name, value in motion.items():
        if value.unique().numel() > 2 and not name.endswith("pe"):
            assert loaded[name].std().item() == pytest.approx(value.std().item(), rel=0.9), name
        else:
            assert torch.equal(loaded[name], value), name

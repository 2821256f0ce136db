"""Folders are recognised by what lies in them, and every weight in them finds its place."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.unit.training.released_models import (
    write_animate_diff,
    write_old_image_encoder,
    write_old_vae,
    write_tree,
    write_unet,
)
from tests.unit.training.small_network import SMALL, assert_same, make
from training.champ import checkpoints
from training.champ.autoencoder import Autoencoder
from training.champ.companions import companions
from training.champ.convert import export_source, import_source
from training.champ.image_encoder import ImageEncoder
from training.champ.settings import NetworkSettings
from training.champ.sources import open_source
from training.champ.weight_files import read_weights

FRAMES = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The official `pretrained_models`, small."""
    return write_tree(tmp_path / "tree")


def test_the_official_tree_becomes_one_folder(tree: Path, tmp_path: Path) -> None:
    """Network, VAE and image encoder lie in the checkpoint, all as safetensors, with the weights of
    the originals; the libraries compute with them what they did before."""
    source = open_source(tree)
    assert source.kind == "official release"
    out = tmp_path / "out"
    import_source(source, out)
    assert {path.suffix for path in out.rglob("*") if path.is_file()} == {".json", ".safetensors"}
    assert companions(out) == (out / "vae", out / "image_encoder")
    vae = write_old_vae(tmp_path / "again")
    loaded_vae = Autoencoder.load(out / "vae")
    assert_same(loaded_vae.model.state_dict(), vae.model.state_dict())
    torch.testing.assert_close(loaded_vae.encode(FRAMES), vae.encode(FRAMES))
    encoder = write_old_image_encoder(tmp_path / "encoder-again")
    loaded = ImageEncoder.load(out / "image_encoder")
    assert loaded.trained
    assert_same(loaded.model.state_dict(), encoder.model.state_dict())
    torch.testing.assert_close(loaded.embed(FRAMES), encoder.embed(FRAMES))


def test_an_export_has_the_official_tree(tree: Path, tmp_path: Path) -> None:
    """champ/, sd-vae-ft-mse/ and image_encoder/ stand beside each other, as the release expects."""
    import_source(open_source(tree), tmp_path / "ours")
    export_source(open_source(tmp_path / "ours"), tmp_path / "out", "official")
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["champ", "image_encoder", "sd-vae-ft-mse"]
    assert open_source(tmp_path / "out").vae == tmp_path / "out" / "sd-vae-ft-mse"


def test_old_files_load_without_an_import(tree: Path, tmp_path: Path) -> None:
    """`--vae sd-vae-ft-mse` takes the released folder as it is, and so does the image encoder."""
    vae = write_old_vae(tmp_path / "again")
    loaded = Autoencoder.load(tree / "sd-vae-ft-mse")
    assert_same(loaded.model.state_dict(), vae.model.state_dict())
    torch.testing.assert_close(loaded.encode(FRAMES), vae.encode(FRAMES))
    assert ImageEncoder.load(tree / "image_encoder").trained


def test_companions_keep_their_type(tree: Path, tmp_path: Path) -> None:
    """A VAE in half precision is still one after an import in another type."""
    path = tree / "sd-vae-ft-mse" / "diffusion_pytorch_model.bin"
    half = {n: w.half() for n, w in torch.load(path, weights_only=True).items()}
    torch.save(half, path)
    import_source(open_source(tree), tmp_path / "out", dtype=torch.bfloat16)
    weights = read_weights(tmp_path / "out" / "vae" / "diffusion_pytorch_model.safetensors")
    assert {value.dtype for value in weights.values()} == {torch.float16}
    assert half["decoder.conv_in.bias"].equal(weights["decoder.conv_in.bias"])


@pytest.mark.parametrize("file", ["diffusion_pytorch_model.bin", "pytorch_model.bin"])
def test_an_incomplete_model_is_refused(tree: Path, file: str) -> None:
    """The libraries would fill a missing weight with random numbers: that is an error here."""
    path = next(tree.glob(f"*/{file}"))
    weights = torch.load(path, weights_only=True)
    gone = list(weights)[3]
    weights.pop(gone)
    torch.save(weights, path)
    load = ImageEncoder.load if file == "pytorch_model.bin" else Autoencoder.load
    with pytest.raises(ValueError, match="lacks weights"):
        load(path.parent)


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("wrapped", [True, False])
def test_base_models_make_a_starting_point(tmp_path: Path, binary: bool, wrapped: bool) -> None:
    """Both U-Nets get the U-Net's weights, the motion modules AnimateDiff's; guidance encoders are
    new, add nothing yet, and are the same each time."""
    unet = write_unet(tmp_path / "in" / "stable-diffusion-v1-5" / "unet", binary=binary)
    motion = make()
    write_animate_diff(tmp_path / "in" / "mm_sd_v15_v2.ckpt", motion, wrapped=wrapped)
    settings = SMALL
    for out in ("one", "two"):
        source = open_source(tmp_path / "in", settings)
        assert source.kind == "base models"
        assert any("models.start_from" in note for note in source.notes)
        assert any("models.motion_from" in note for note in source.notes)
        import_source(source, tmp_path / out)
    network = checkpoints.load(tmp_path / "one")
    assert_same(network.state_dict(), checkpoints.load(tmp_path / "two").state_dict())
    spatial = {
        n: w for n, w in network.denoising_unet.state_dict().items() if "motion_mod" not in n
    }
    assert_same(dict(sorted(spatial.items())), dict(sorted(unet.items())))
    reference = network.reference_unet.state_dict()
    assert_same(reference, {name: unet[name] for name in reference})
    loaded = {n: w for n, w in network.denoising_unet.state_dict().items() if "motion_mod" in n}
    trained = motion.denoising_unet.state_dict()
    assert_same(loaded, {name: trained[name] for name in loaded})
    assert not network.encode_guidance(torch.rand(1, 4, 3, 1, 16, 16)).any()
    assert any(value.any() for value in network.guidance_encoders.state_dict().values())


OTHER_HEADS = NetworkSettings(
    block_out_channels=(32, 64),
    attention_levels=(True, False),
    motion_levels=(True, True),
    layers_per_block=1,
    num_attention_heads=4,
    norm_num_groups=16,
    cross_attention_dim=12,
)


def test_a_u_net_alone_starts_stage_1(tmp_path: Path) -> None:
    """Sizes come from its config.json, the rest are the release's; there is no motion."""
    write_unet(tmp_path / "unet", OTHER_HEADS, binary=False)
    source = open_source(tmp_path)
    assert not source.sizes.motion
    assert source.sizes.settings == OTHER_HEADS
    assert not any("motion_from" in note for note in source.notes)


def test_the_motion_file_tells_its_sizes(tmp_path: Path) -> None:
    """AnimateDiff's first modules had 24 positions and none in the middle."""
    first = OTHER_HEADS.model_copy(update={"motion_max_seq_length": 24, "motion_middle": False})
    write_unet(tmp_path / "unet", OTHER_HEADS, binary=False)
    write_animate_diff(tmp_path / "mm_sd_v15_v2.ckpt", make(first), wrapped=False)
    source = open_source(tmp_path)
    assert source.sizes.motion
    assert source.sizes.settings == first


def test_the_motion_modules_of_another_size_are_named(tmp_path: Path) -> None:
    """AnimateDiff's file that does not fit the U-Net is the one that the error names."""
    write_unet(tmp_path / "in" / "unet", binary=False)
    other = SMALL.model_copy(update={"block_out_channels": (16, 16)})
    write_animate_diff(tmp_path / "in" / "mm_sd_v15_v2.ckpt", make(other), wrapped=False)
    with pytest.raises(ValueError, match=r"mm_sd_v15_v2\.ckpt has other shapes"):
        open_source(tmp_path / "in", SMALL)


def test_nothing_known_says_what_was_looked_for(tmp_path: Path) -> None:
    """An empty folder, and a release that lacks a file, are told apart."""
    with pytest.raises(ValueError, match=r"network\.json.*reference_unet\.pth.*unet/.*mm_sd_v15"):
        open_source(tmp_path)
    checkpoints.save_official(make(), tmp_path)
    (tmp_path / "guidance_encoder_normal.pth").unlink()
    with pytest.raises(ValueError, match=r"guidance_encoder_normal\.pth is missing"):
        open_source(tmp_path)


def test_sizes_may_be_given_read_or_inferred(tmp_path: Path) -> None:
    """In this order; heads, which shapes do not tell, are the release's, and a note says so."""
    settings = SMALL.model_copy(
        update={
            "block_out_channels": (32, 64), "num_attention_heads": 8, "norm_num_groups": 32,
            "motion_num_attention_heads": 8, "guidance_channels": (4, 8, 32),
            "guidance_num_attention_heads": 8, "guidance_norm_num_groups": 32,
        }
    )  # fmt: skip
    checkpoints.save_official(make(settings), tmp_path)
    assert not (tmp_path / "champ.json").exists()
    inferred = open_source(tmp_path)
    assert inferred.sizes.settings == settings
    assert any("heads and groups" in note for note in inferred.notes)
    given = settings.model_copy(update={"num_attention_heads": 4})
    assert open_source(tmp_path, given).sizes.settings == given
    config = {
        "unet": {
            "in_channels": 8, "block_out_channels": [32, 64], "layers_per_block": 1,
            "cross_attention_dim": 12, "attention_head_dim": 2, "norm_num_groups": 16,
        },
        "guidance_block_out_channels": [4, 8, 32],
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(config))
    read = open_source(tmp_path)
    assert (read.sizes.settings.num_attention_heads, read.notes) == (2, [])


def test_files_that_are_not_read_are_told(tmp_path: Path) -> None:
    """A .pth beside the seven is no part of the network, and a note names it."""
    checkpoints.save_official(make(), tmp_path)
    torch.save({"a": torch.zeros(1)}, tmp_path / "guidance_encoder_mask.pth")
    assert open_source(tmp_path).notes == ["not read: guidance_encoder_mask.pth"]

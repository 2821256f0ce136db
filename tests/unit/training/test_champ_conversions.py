"""From layout to layout and back, every weight is the same bits; diffusers loads what is its."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.models.unets.unet_motion_model import MotionAdapter, UNetMotionModel
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.unit.training.small_network import SMALL, assert_same, assert_same_weights, make
from training.champ import checkpoints
from training.champ.convert import Layout, export_source, import_source
from training.champ.network import ChampNetwork
from training.champ.settings import NetworkSettings
from training.champ.sources import open_source
from training.champ.weight_files import read_weights

VARIANTS = {
    "as-small": SMALL,
    "few-maps": SMALL.model_copy(update={"maps": ("dwpose", "depth")}),
    "some-motion": SMALL.model_copy(
        update={"motion_levels": (True, False), "motion_middle": False, "motion_max_seq_length": 8}
    ),
    "positions": SMALL.model_copy(update={"reference_positions": True}),
    "release-heads": NetworkSettings(
        block_out_channels=(32, 32),
        attention_levels=(True, False),
        motion_levels=(True, True),
        layers_per_block=1,
        cross_attention_dim=16,
        guidance_channels=(8, 32),
    ),
}
DTYPES = (torch.float32, torch.float16, torch.bfloat16)


def weights_in(folder: Path) -> dict[str, Tensor]:
    """What a checkpoint of ours holds, in the types it has on disk."""
    return {n: w for path in folder.glob("*.safetensors") for n, w in read_weights(path).items()}


@pytest.mark.parametrize("layout", ["official", "diffusers"])
@pytest.mark.parametrize(
    ("variant", "motion", "dtype"),
    [
        ("as-small", True, torch.float32),
        ("as-small", True, torch.float16),
        ("as-small", False, torch.bfloat16),
        ("few-maps", True, torch.float16),
        ("some-motion", True, torch.float32),
        ("positions", True, torch.bfloat16),
        ("release-heads", True, torch.float16),
        ("release-heads", False, torch.float32),
    ],
    ids=str,
)
def test_out_and_in_again(
    tmp_path: Path, variant: str, layout: Layout, motion: bool, dtype: torch.dtype
) -> None:
    """Ours -> theirs -> ours keeps every weight's bits and type, the sizes and the kind."""
    checkpoints.save(make(VARIANTS[variant], motion=motion).to(dtype), tmp_path / "ours")
    export_source(open_source(tmp_path / "ours"), tmp_path / "theirs", layout)
    back = open_source(tmp_path / "theirs")
    assert back.sizes == open_source(tmp_path / "ours").sizes
    import_source(back, tmp_path / "again")
    assert_same(weights_in(tmp_path / "ours"), weights_in(tmp_path / "again"))
    assert {value.dtype for value in weights_in(tmp_path / "again").values()} == {dtype}


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_official_in_and_out_again(tmp_path: Path, dtype: torch.dtype) -> None:
    """Official -> ours -> official gives the same names and bits, copies of positions included,
    and files that `torch.load` reads with weights_only and that hold nothing but a state dict."""
    checkpoints.save_official(make().to(dtype), tmp_path / "first")
    import_source(open_source(tmp_path / "first"), tmp_path / "ours")
    export_source(open_source(tmp_path / "ours"), tmp_path / "second", "official")
    files = sorted(path.name for path in (tmp_path / "first").glob("*.pth"))
    assert len(files) == 7
    for name in files:
        first = torch.load(tmp_path / "first" / name, weights_only=True)
        second = torch.load(tmp_path / "second" / "champ" / name, weights_only=True)
        assert_same(first, second)
        assert (tmp_path / "second" / "champ" / name).stat().st_size < 2 * sum(
            value.nbytes for value in second.values()
        ) + 300 * len(second) + 100_000
    motion = torch.load(tmp_path / "second" / "champ" / "motion_module.pth", weights_only=True)
    copies = [name for name in motion if name.endswith("attention_blocks.1.pos_encoder.pe")]
    assert len(copies) == len(checkpoints.load(tmp_path / "ours").denoising_unet.down_blocks) + 5


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_type_may_be_asked_for(tmp_path: Path, dtype: torch.dtype) -> None:
    """--dtype rounds each weight once, on import and on export alike."""
    network = make()
    checkpoints.save(network, tmp_path / "ours")
    import_source(open_source(tmp_path / "ours"), tmp_path / "imported", dtype=dtype)
    expected = {name: value.to(dtype) for name, value in network.state_dict().items()}
    assert_same(
        dict(sorted(expected.items())), dict(sorted(weights_in(tmp_path / "imported").items()))
    )
    for layout in ("official", "diffusers"):
        out, again = tmp_path / layout, tmp_path / f"{layout}-again"
        export_source(open_source(tmp_path / "ours"), out, layout, dtype=dtype)
        import_source(open_source(out), again)
        assert_same(expected, weights_in(again))


@pytest.fixture
def exported(tmp_path: Path) -> tuple[ChampNetwork, Path]:
    """A network, and its folders for diffusers."""
    network = make()
    checkpoints.save(network, tmp_path / "ours")
    export_source(open_source(tmp_path / "ours"), tmp_path / "out", "diffusers")
    return network, tmp_path / "out"


def from_pretrained(cls: Any, folder: Path) -> Any:
    """A model as diffusers loads it, with no weight missing or over."""
    model, told = cls.from_pretrained(
        str(folder), low_cpu_mem_usage=False, output_loading_info=True, local_files_only=True
    )
    assert not any(told.values()), told
    return model


def test_diffusers_puts_the_denoiser_together(exported: tuple[ChampNetwork, Path]) -> None:
    """`UNetMotionModel.from_unet2d` of the exported U-Net and adapter has our denoiser's weights,
    name by name."""
    network, folder = exported
    unet = from_pretrained(UNet2DConditionModel, folder / "unet")
    adapter = from_pretrained(MotionAdapter, folder / "motion_adapter")
    theirs: Any = UNetMotionModel.from_unet2d(unet, adapter)
    assert_same(theirs.state_dict(), network.denoising_unet.state_dict())
    assert unet.config["attention_head_dim"] == SMALL.num_attention_heads


def test_diffusers_loads_the_reference_net(exported: tuple[ChampNetwork, Path]) -> None:
    """It has our weights, and an output convolution that gives zero, so that nothing is missing."""
    network, folder = exported
    unet = from_pretrained(UNet2DConditionModel, folder / "reference_unet")
    weights = unet.state_dict()
    ours = network.reference_unet.state_dict()
    assert_same({name: weights[name] for name in ours}, ours)
    assert weights.keys() - ours.keys() == {
        f"{part}.{kind}" for part in ("conv_norm_out", "conv_out") for kind in ("weight", "bias")
    }
    token = torch.randn(1, 1, SMALL.cross_attention_dim)
    out = unet(torch.randn(1, SMALL.latent_channels, 8, 8), 0, encoder_hidden_states=token).sample
    assert not out.any()


def test_levels_without_motion_pass_through_in_diffusers(tmp_path: Path) -> None:
    """Where the network has no motion modules the adapter's change nothing."""
    network = make(VARIANTS["some-motion"])
    checkpoints.save(network, tmp_path / "ours")
    export_source(open_source(tmp_path / "ours"), tmp_path / "out", "diffusers")
    unet = from_pretrained(UNet2DConditionModel, tmp_path / "out" / "unet")
    adapter = from_pretrained(MotionAdapter, tmp_path / "out" / "motion_adapter")
    theirs: Any = UNetMotionModel.from_unet2d(unet, adapter)
    ours = network.denoising_unet.state_dict()
    assert_same({name: theirs.state_dict()[name] for name in ours}, ours)
    level = theirs.down_blocks[1].motion_modules[0]
    states = torch.randn(3, 16, 4, 4)
    assert torch.equal(level(states, num_frames=3), states)


def test_filled_in_weights_that_were_trained_are_refused(
    exported: tuple[ChampNetwork, Path],
) -> None:
    """Somebody else's reference net with a real output convolution is not taken silently."""
    path = exported[1] / "reference_unet" / "diffusion_pytorch_model.safetensors"
    weights = load_file(path)
    weights["conv_out.bias"] += 1
    save_file(weights, path)
    with pytest.raises(ValueError, match=r"conv_out\.bias has values"):
        open_source(exported[1])
    weights["conv_out.bias"] -= 1
    save_file(weights | {"foreign.weight": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match=r"unexpected \['foreign\.weight'\]"):
        open_source(exported[1])


def test_an_imported_release_is_the_same_network(tmp_path: Path) -> None:
    """What `load` makes of an import is what `load_official` makes of the files."""
    checkpoints.save_official(make(), tmp_path / "official")
    import_source(open_source(tmp_path / "official"), tmp_path / "ours")
    assert_same_weights(
        checkpoints.load_official(tmp_path / "official", SMALL), checkpoints.load(tmp_path / "ours")
    )


def test_out_must_be_free_and_appears_whole(tmp_path: Path) -> None:
    """A folder with something in it is left alone, and a conversion that fails leaves nothing."""
    checkpoints.save(make(), tmp_path / "ours")
    source = open_source(tmp_path / "ours")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    with pytest.raises(ValueError, match="is not empty"):
        import_source(source, tmp_path / "taken")
    source.weights["foreign.weight"] = torch.zeros(1)
    with pytest.raises(ValueError, match=r"foreign\.weight"):
        import_source(source, tmp_path / "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ours", "taken"]

"""`champ checkpoint` tells what it finds, writes what it says, and others find what it wrote."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner, Result

from pipeline.checkpoint_models import with_companions
from pipeline.cli import app
from pipeline.config import load_config
from pipeline.recipes import animate_recipe
from pipeline.workspace import Workspace
from tests.unit.training.small_network import assert_same_weights, make
from training.champ import checkpoints
from training.champ.autoencoder import Autoencoder
from training.champ.image_encoder import ImageEncoder
from training.champ.settings import ImageEncoderSettings, VaeSettings


def run(*arguments: object) -> Result:
    """One call of `champ checkpoint`."""
    return CliRunner().invoke(app, ["checkpoint", *map(str, arguments)])


@pytest.fixture
def official(tmp_path: Path) -> Path:
    """A small release with a VAE and an image encoder."""
    folder = tmp_path / "official"
    checkpoints.save_official(make(), folder / "champ")
    Autoencoder.create(VaeSettings(block_out_channels=(8, 16), norm_num_groups=4)).save(
        folder / "sd-vae-ft-mse"
    )
    ImageEncoder.load(None, ImageEncoderSettings()).save(folder / "image_encoder")
    return folder


@pytest.mark.parametrize("command", ["import", "export", "show"])
def test_help_says_what_a_command_does(command: str) -> None:
    """Each has a help of more than its options."""
    result = run(command, "--help")
    assert result.exit_code == 0
    assert len(" ".join(result.output.split())) > 300


def test_import_show_export(official: Path, tmp_path: Path) -> None:
    """The way in and out again, by the commands alone."""
    assert run("import", official, tmp_path / "ours").exit_code == 0
    told = json.loads(run("show", tmp_path / "ours", "--json").stdout)
    assert (told["kind"], told["motion"], told["hashes"]) == ("checkpoint", True, "as written")
    assert told["vae"] == str(tmp_path / "ours" / "vae")
    assert told["image_encoder"] == str(tmp_path / "ours" / "image_encoder")
    network = make()
    assert sum(part["tensors"] for part in told["parts"]) == len(network.state_dict())
    sizes = [value.nbytes for value in network.state_dict().values()]
    assert sum(part["bytes"] for part in told["parts"]) == sum(sizes)
    for layout in ("official", "diffusers"):
        out, again = tmp_path / f"out-{layout}", tmp_path / f"again-{layout}"
        result = run("export", tmp_path / "ours", out, "--layout", layout, "--dtype", "float16")
        assert result.exit_code == 0, result.output
        assert run("import", out, again).exit_code == 0
        assert_same_weights(make().half(), checkpoints.load(again, dtype=torch.float16))
        assert (again / "vae" / "config.json").is_file()
        assert (again / "image_encoder" / "config.json").is_file()


def test_show_is_for_people_too(official: Path, tmp_path: Path) -> None:
    """A table of parts, of any layout that import takes, and the settings."""
    text = run("show", official).output
    for word in ("official release", "with motion modules", "reference_unet", "motion_module"):
        assert word in text
    assert "block_out_channels" in text


def test_a_dry_run_writes_nothing(official: Path, tmp_path: Path) -> None:
    """It says what would be read and written, and fails where the real run would."""
    result = run("import", official, tmp_path / "ours", "--dry-run")
    assert result.exit_code == 0
    assert "would write" in result.output
    assert not (tmp_path / "ours").exists()
    checkpoints.save(make(), tmp_path / "own")
    result = run("export", tmp_path / "own", tmp_path / "out", "--layout", "official", "--dry-run")
    assert "would write" in result.output
    assert not (tmp_path / "out").exists()
    path = official / "champ" / "denoising_unet.pth"
    weights = torch.load(path, weights_only=True)
    torch.save(weights | {"strange.weight": torch.zeros(1)}, path)
    result = run("import", official, tmp_path / "ours", "--dry-run")
    assert isinstance(result.exception, ValueError)
    assert "strange.weight" in str(result.exception)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("import", "/official", "/ours", "--dtype", "int8"), "--dtype takes as-is, float32"),
        (("export", "/own", "/out", "--layout", "onnx"), "--layout takes official or diffusers"),
        (("export", "/official", "/out", "--layout", "official"), "champ checkpoint import"),
        (("show", "/nowhere"), "is no folder"),
        (("import", "/official", "/own"), "is not empty"),
    ],
)
def test_mistakes_are_told(
    official: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    """A wrong option, layout or folder is a ValueError with the remedy."""
    checkpoints.save(make(), tmp_path / "own")
    result = run(*(f"{tmp_path}{word}" if word[0] == "/" else word for word in arguments))
    assert isinstance(result.exception, ValueError)
    assert message in str(result.exception)


def test_sizes_from_a_configuration(official: Path, tmp_path: Path) -> None:
    """--config and --set give the network's sizes; those that do not fit the weights are told."""
    result = run("import", official, tmp_path / "ours", "-c", "tiny", "--dry-run")
    assert isinstance(result.exception, ValueError)
    assert "does not fit" in str(result.exception) or "other shapes" in str(result.exception)


def test_a_checkpoint_brings_its_vae_and_image_encoder(official: Path, tmp_path: Path) -> None:
    """Named ones win, then the checkpoint's own, then the runs'; the recipe follows the choice."""
    ours = tmp_path / "ours"
    assert run("import", official, ours).exit_code == 0
    named = official / "sd-vae-ft-mse"
    plain = Workspace(root=tmp_path / "data", config=load_config())
    workspace, vae = with_companions(plain, ours, None)
    assert (vae, workspace.config.models.image_encoder) == (ours / "vae", ours / "image_encoder")
    assert with_companions(plain, ours, named)[1] == named
    settings = [f"models.vae={named}", f"models.image_encoder={official / 'image_encoder'}"]
    told = Workspace(root=tmp_path / "data", config=load_config(None, settings))
    workspace, vae = with_companions(told, ours, None)
    assert (vae, workspace.config.models.image_encoder) == (named, official / "image_encoder")
    bare = tmp_path / "bare"
    checkpoints.save(make(), bare)
    with pytest.raises(ValueError, match="run `champ checkpoint import` first"):
        with_companions(plain, official, None)
    with pytest.raises(ValueError, match="champ train DATASET --stage vae"):
        with_companions(plain, bare, None)
    (tmp_path / "data" / "runs" / "vae" / "weights").mkdir(parents=True)
    workspace, vae = with_companions(plain, bare, None)
    assert vae == tmp_path / "data" / "runs" / "vae" / "weights"
    assert workspace.config.models.image_encoder is None
    first, found = with_companions(plain, ours, None)
    before = animate_recipe(first.config, ours, found)
    ImageEncoder.load(None, ImageEncoderSettings(hidden_size=32)).save(ours / "image_encoder")
    assert animate_recipe(first.config, ours, found) != before


def test_animate_takes_an_imported_checkpoint(official: Path, tmp_path: Path) -> None:
    """`champ animate --checkpoint` needs no --vae where the checkpoint has one, and says at once
    when the folder has to be imported first."""
    assert run("import", official, tmp_path / "ours").exit_code == 0
    (tmp_path / "data").mkdir()
    (tmp_path / "m.csv").write_text("animation_id,reference,motion\na,photo.png,walk.mp4\n")
    base = ["animate", str(tmp_path / "data"), str(tmp_path / "m.csv"), "--dry-run", "--in-process"]
    done = CliRunner().invoke(app, [*base, "--checkpoint", str(tmp_path / "ours")])
    assert done.exit_code == 0, done.output
    assert "1 to do" in done.output
    refused = CliRunner().invoke(app, [*base, "--checkpoint", str(official)])
    assert "run `champ checkpoint import` first" in str(refused.exception)

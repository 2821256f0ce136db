"""Nothing is unpickled, and files that are damaged or hold other things are named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from tests.unit.training.released_models import write_tree
from tests.unit.training.small_network import assert_same, make
from training.champ import checkpoints
from training.champ.convert import import_source
from training.champ.official_names import with_position_copies
from training.champ.sources import open_source
from training.champ.weight_files import read_weights


class _Command:
    """What an attacker puts into a pickle: a call that runs when it is read."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str, int]]:
        return os.open, (str(self.marker), os.O_CREAT)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    "file", ["champ/reference_unet.pth", "sd-vae-ft-mse/diffusion_pytorch_model.bin",
             "image_encoder/pytorch_model.bin"],
)  # fmt: skip
def test_a_malicious_pickle_is_refused(tmp_path: Path, file: str, zipped: bool) -> None:
    """A file that runs a command when it is unpickled is refused by name, and nothing is run."""
    tree, marker = write_tree(tmp_path / "tree"), tmp_path / "it-ran"
    path = tree / file
    weights = torch.load(path, weights_only=True)
    harmful = {**weights, "x": _Command(marker)}
    torch.save(harmful, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(ValueError, match=rf"{path.name} is refused.*open"):
        import_source(open_source(tree), tmp_path / "out")
    assert not marker.exists()
    assert not (tmp_path / "out").exists()
    torch.load(path, weights_only=False)
    assert marker.exists()  # it would have run


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_truncated_file_is_named(tmp_path: Path, zipped: bool, share: float) -> None:
    """However much of a .pth is left, the error names it and says that it is damaged."""
    checkpoints.save_official(make(), tmp_path)
    path = tmp_path / "motion_module.pth"
    weights = torch.load(path, weights_only=True)
    torch.save(weights, path, _use_new_zipfile_serialization=zipped)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ValueError, match=r"motion_module\.pth is damaged"):
        open_source(tmp_path)


def test_files_before_pytorch_1_6_are_read(tmp_path: Path) -> None:
    """The older format cannot be mapped, but is read all the same."""
    checkpoints.save_official(make(), tmp_path)
    path = tmp_path / "denoising_unet.pth"
    weights = torch.load(path, weights_only=True)
    torch.save(weights, path, _use_new_zipfile_serialization=False)
    assert_same(read_weights(path), weights)
    assert open_source(tmp_path).kind == "official release"


@pytest.mark.parametrize("content", [[1, 2], {}, {"a": 1, "b": torch.zeros(1)}])
def test_other_things_than_weights_are_refused(tmp_path: Path, content: object) -> None:
    """A list, nothing, or numbers among tensors are no weights."""
    torch.save(content, tmp_path / "x.pth")
    with pytest.raises(ValueError, match=r"x\.pth holds"):
        read_weights(tmp_path / "x.pth")


def test_position_copies_that_are_missing_are_no_error(tmp_path: Path) -> None:
    """One copy of the positions is enough: ours has one."""
    checkpoints.save_official(make(), tmp_path)
    path = tmp_path / "motion_module.pth"
    weights = torch.load(path, weights_only=True)
    once = {n: w for n, w in weights.items() if not n.endswith("attention_blocks.1.pos_encoder.pe")}
    assert len(once) < len(weights)
    torch.save(once, path)
    assert open_source(tmp_path).sizes.motion
    assert_same(dict(sorted(with_position_copies(once).items())), dict(sorted(weights.items())))

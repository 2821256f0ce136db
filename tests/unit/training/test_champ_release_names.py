"""Every released name and shape finds its place at full size, by the code that imports."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from training.champ.base_models import match_base_models, new_guidance_weights
from training.champ.diffusers_folders import folder_place
from training.champ.official_names import (
    DENOISER_FILE,
    MOTION_FILE,
    REFERENCE_FILE,
    guidance_file,
    official_place,
    with_position_copies,
)
from training.champ.release import infer_release, match_release, meta_network
from training.champ.settings import NetworkSettings
from training.champ.sizes import Sizes

KEYS = Path(__file__).parents[2] / "golden" / "official_parity" / "official_keys_sd15.json"
ENCODERS = "guidance_encoder_{depth,normal,semantic_map,dwpose}.pth"
SETTINGS = NetworkSettings()
WHERE = Path("release")


@pytest.fixture(scope="module")
def released() -> dict[str, dict[str, Tensor]]:
    """The released files, as names and shapes."""
    keys = json.loads(KEYS.read_text())
    encoders = keys.pop(ENCODERS)
    keys |= {guidance_file(name): encoders for name in SETTINGS.maps}
    return {
        file: {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
        for file, shapes in keys.items()
    }


@pytest.fixture(scope="module")
def expected() -> dict[str, Tensor]:
    """What the network of full size asks for."""
    return dict(meta_network(SETTINGS, motion=True).state_dict())


def test_the_release_has_the_documented_counts(released: dict[str, dict[str, Tensor]]) -> None:
    """682 + 686 + 588 + 4 x 149 tensors (conventions: Network)."""
    counts = {file: len(weights) for file, weights in released.items()}
    assert counts.pop(REFERENCE_FILE) == 682
    assert counts.pop(DENOISER_FILE) == 686
    assert counts.pop(MOTION_FILE) == 588
    assert counts == {guidance_file(name): 149 for name in SETTINGS.maps}


def test_every_released_name_maps(
    released: dict[str, dict[str, Tensor]], expected: dict[str, Tensor]
) -> None:
    """An import finds a place for every name, leaves out only the dead ones, and fills ours."""
    weights, left_out = match_release(released, expected, SETTINGS, WHERE.joinpath)
    assert {n: w.shape for n, w in weights.items()} == {n: w.shape for n, w in expected.items()}
    assert len(weights) == 682 + 686 + 588 - 21 + 4 * 35
    assert {file: len(names) for file, names in left_out.items()} == {
        guidance_file(name): 149 - 35 for name in SETTINGS.maps
    }
    earlier = tuple(f"attentions.{i}." for i in range(5))
    for names in left_out.values():
        assert all(name.startswith((*earlier, "guidance_attention.")) for name in names)


def test_every_name_of_ours_maps_back(
    released: dict[str, dict[str, Tensor]], expected: dict[str, Tensor]
) -> None:
    """An export has exactly the names and shapes of the release, but for the dead ones."""
    _, left_out = match_release(released, expected, SETTINGS, WHERE.joinpath)
    files: dict[str, dict[str, Tensor]] = {}
    for name, value in expected.items():
        file, there = official_place(name, SETTINGS)
        files.setdefault(file, {})[there] = value
    files[MOTION_FILE] = with_position_copies(files[MOTION_FILE])
    assert files.keys() == released.keys()
    for file, theirs in released.items():
        used = {n: w.shape for n, w in theirs.items() if n not in left_out.get(file, [])}
        assert {n: w.shape for n, w in files[file].items()} == used, file


def test_shapes_tell_the_released_sizes(released: dict[str, dict[str, Tensor]]) -> None:
    """Without a description the sizes are Stable Diffusion 1.5's, as the default settings."""
    assert infer_release(released) == Sizes()


@pytest.mark.parametrize("with_motion", [True, False])
def test_base_models_map(released: dict[str, dict[str, Tensor]], with_motion: bool) -> None:
    """Stable Diffusion 1.5's U-Net (the denoiser's names) and AnimateDiff's modules (the motion
    file's) fill all of a network but its guidance encoders; those are new."""
    expected = meta_network(SETTINGS, motion=with_motion).state_dict()
    motion = released[MOTION_FILE] if with_motion else None
    paths = {file: WHERE / file for file in released}
    weights, left_out = match_base_models(
        released[DENOISER_FILE], motion, expected, SETTINGS, paths
    )
    assert left_out == {
        "reference_unet": [
            f"{part}.{kind}"
            for part in ("conv_norm_out", "conv_out")
            for kind in ("weight", "bias")
        ]
    }
    new = new_guidance_weights(SETTINGS)
    shapes = {name: value.shape for name, value in (weights | new).items()}
    assert shapes == {name: value.shape for name, value in expected.items()}
    assert not weights.keys() & new.keys()


@pytest.mark.parametrize("file", [REFERENCE_FILE, DENOISER_FILE, MOTION_FILE, "encoder"])
def test_a_name_more_or_less_is_an_error(
    released: dict[str, dict[str, Tensor]], expected: dict[str, Tensor], file: str
) -> None:
    """Nothing but dead weights may be missing or over: the names are listed with their file."""
    file = guidance_file("normal") if file == "encoder" else file
    theirs = dict(released[file])
    gone = next(name for name in theirs if name.endswith("norm.weight") or "norm1" in name)
    if file.startswith("guidance"):
        gone = "attentions.5.norm.weight"
    theirs.pop(gone)
    for changed, message in (
        (theirs, rf"{file}.*missing \['{gone}'\], unexpected nothing"),
        (released[file] | {"extra.bias": theirs["conv_in.bias"]}, r"unexpected \['extra\.bias'\]")
        if "conv_in.bias" in theirs
        else (theirs, "missing"),
    ):
        with pytest.raises(ValueError, match=message):
            match_release(released | {file: changed}, expected, SETTINGS, WHERE.joinpath)


def test_every_name_has_one_place_among_diffusers_folders(expected: dict[str, Tensor]) -> None:
    """No two weights share a place, and the denoiser's are split into spatial and motion."""
    places = [folder_place(name, SETTINGS) for name in expected]
    assert len(set(places)) == len(places) == len(expected)
    folders = [folder for folder, _ in places]
    assert folders.count("unet") == 686
    assert folders.count("motion_adapter") == 588 - 21
    assert folders.count("reference_unet") == 682

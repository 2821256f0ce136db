"""Networks to disk and back: our own folders, and the official release's."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from training.champ.network import ChampNetwork
from training.champ.official_names import (
    MOTION_FILE,
    POSITIONS,
    POSITIONS_COPY,
    is_dead,
    official_place,
    with_position_copies,
)
from training.champ.settings import NetworkSettings

WEIGHTS_FILE = "network.safetensors"
SETTINGS_FILE = "network.json"
FORMAT = 1


def save(network: ChampNetwork, folder: Path) -> None:
    """Write ``network.safetensors`` and ``network.json``; each file is whole or absent."""
    folder.mkdir(parents=True, exist_ok=True)
    description = {
        "format": FORMAT,
        "motion": network.motion,
        "settings": network.settings.model_dump(mode="json"),
    }
    weights = {name: value.contiguous() for name, value in network.state_dict().items()}
    temporary = folder / f"{WEIGHTS_FILE}.tmp"
    save_file(weights, temporary)
    os.replace(temporary, folder / WEIGHTS_FILE)
    temporary = folder / f"{SETTINGS_FILE}.tmp"
    temporary.write_text(json.dumps(description, indent=1))
    os.replace(temporary, folder / SETTINGS_FILE)


def load(folder: Path, *, motion: bool | None = None) -> ChampNetwork:
    """Read what ``save`` wrote.

    Args:
        folder: Where it was written.
        motion: None builds the network as it was saved. True gives a network saved without motion
            modules new ones, which change nothing yet (stage 2 begins so); False leaves them out.

    Raises:
        ValueError: The folder holds no network, or other weights than its settings ask for.
    """
    for name in (WEIGHTS_FILE, SETTINGS_FILE):
        if not (folder / name).is_file():
            raise ValueError(f"{folder} is no saved network: {name} is missing")
    description = json.loads((folder / SETTINGS_FILE).read_text())
    if description.get("format") != FORMAT:
        raise ValueError(
            f"{folder / SETTINGS_FILE} has format {description.get('format')!r}, expected {FORMAT}"
        )
    weights = load_file(folder / WEIGHTS_FILE)
    saved_motion = bool(description["motion"])
    motion = saved_motion if motion is None else motion
    network = ChampNetwork(NetworkSettings.model_validate(description["settings"]), motion=motion)
    names = network.state_dict().keys()
    missing = names - weights.keys()
    unexpected = weights.keys() - names
    if motion and not saved_motion:
        missing = {name for name in missing if ".motion_modules." not in name}
    if saved_motion and not motion:
        unexpected = {name for name in unexpected if ".motion_modules." not in name}
    _refuse(folder / WEIGHTS_FILE, missing, unexpected)
    network.load_state_dict({n: w for n, w in weights.items() if n in names}, strict=False)
    return network


def load_official(folder: Path, settings: NetworkSettings, *, motion: bool = True) -> ChampNetwork:
    """Read the official release's files (conventions: Network), as float32.

    Args:
        folder: Holds ``reference_unet.pth``, ``denoising_unet.pth``, ``motion_module.pth`` and a
            ``guidance_encoder_<map>.pth`` for every map of the settings.
        settings: Sizes of the network; the defaults are the release's.
        motion: False leaves the motion modules out, and ``motion_module.pth`` unread.

    Raises:
        ValueError: A file or a name is missing, a name is unexpected (other than the dead weights
            of ``official_names.is_dead``), or a shape differs.
    """
    with torch.device("meta"):
        network = ChampNetwork(settings, motion=motion)
    expected = network.state_dict()
    places = {name: official_place(name, settings) for name in expected}
    weights: dict[str, Tensor] = {}
    for file in sorted({file for file, _ in places.values()}):
        theirs = _read_official(folder / file, settings)
        ours = {name: there for name, (where, there) in places.items() if where == file}
        _refuse(folder / file, set(ours.values()) - theirs.keys(), theirs.keys() - ours.values())
        _check_shapes(
            folder / file, {there: expected[name] for name, there in ours.items()}, theirs
        )
        weights |= {name: theirs[there].float() for name, there in ours.items()}
    network.load_state_dict(weights, strict=True, assign=True)
    return network


def save_official(network: ChampNetwork, folder: Path) -> None:
    """Write the network as the official release's files, for the official code to load.

    The weights that the official code never runs are left out; it loads guidance encoders without
    asking for them. A network without motion modules gives no ``motion_module.pth``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files: dict[str, dict[str, Tensor]] = {}
    for name, value in network.state_dict().items():
        file, there = official_place(name, network.settings)
        files.setdefault(file, {})[there] = value.detach().cpu().contiguous()
    if MOTION_FILE in files:
        files[MOTION_FILE] = with_position_copies(files[MOTION_FILE])
    for file, weights in files.items():
        temporary = folder / f"{file}.tmp"
        torch.save(weights, temporary)
        os.replace(temporary, folder / file)


def _read_official(path: Path, settings: NetworkSettings) -> dict[str, Tensor]:
    """The weights of one file that are in use; second copies of the positions are checked."""
    if not path.is_file():
        raise ValueError(f"{path.parent} is no official checkpoint: {path.name} is missing")
    weights = torch.load(path, map_location="cpu", weights_only=True)
    copies = {name: value for name, value in weights.items() if name.endswith(POSITIONS_COPY)}
    for name, value in copies.items():
        first = weights.get(name.replace(POSITIONS_COPY, POSITIONS))
        if first is None or not torch.equal(first, value):
            raise ValueError(f"{path}: {name} differs from the positions of its other attention")
    return {
        name: value
        for name, value in weights.items()
        if name not in copies and not is_dead(path.name, name, settings)
    }


def _refuse(path: Path, missing: Iterable[str], unexpected: Iterable[str]) -> None:
    missing, unexpected = sorted(missing), sorted(unexpected)
    if missing or unexpected:
        raise ValueError(
            f"{path} does not fit the network: missing {missing or 'nothing'}, "
            f"unexpected {unexpected or 'nothing'}"
        )


def _check_shapes(path: Path, ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> None:
    different = {
        name: f"expected {tuple(value.shape)}, got {tuple(theirs[name].shape)}"
        for name, value in ours.items()
        if value.shape != theirs[name].shape
    }
    if different:
        raise ValueError(f"{path} has other shapes than the network: {different}")

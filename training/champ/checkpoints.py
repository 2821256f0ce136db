"""Networks to disk and back: our own folders, and the official release's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from training.champ.motion_weights import is_motion, new_motion_weights
from training.champ.network import ChampNetwork
from training.champ.own_format import (
    MAX_FILE_BYTES,
    SETTINGS_FILE,
    Description,
    read_description,
    read_files,
    write_folder,
)
from training.champ.release import (
    match_release,
    meta_network,
    read_release,
    release_files,
    write_release,
)
from training.champ.settings import NetworkSettings
from training.champ.sizes import Sizes
from training.champ.weight_files import check_shapes, refuse_names


def save(network: ChampNetwork, folder: Path, *, max_file_bytes: int = MAX_FILE_BYTES) -> None:
    """Write a checkpoint folder; each file is whole or absent, ``network.json`` is the last."""
    weights = dict(network.state_dict())
    write_folder(
        folder,
        weights,
        network.settings,
        motion=network.motion,
        max_file_bytes=max_file_bytes,
    )


def load(
    folder: Path,
    *,
    motion: bool | None = None,
    maps: Sequence[str] | None = None,
    dtype: torch.dtype | None = None,
    check: bool = True,
) -> ChampNetwork:
    """Read what ``save`` or an import wrote; memory holds the weights once.

    Args:
        folder: Where it was written.
        motion: None builds the network as it was saved. True gives a network saved without motion
            modules new ones, which change nothing yet (stage 2 begins so); False leaves them out.
        maps: The guidance maps that the network is to see, in this order, of those that it was
            saved with; files of the others are not read. None takes all.
        dtype: Of the network; None is float32, whatever the files hold.
        check: Compare the files with their hashes first.

    Raises:
        ValueError: The folder holds no network, a file is missing or damaged, it has other weights
            than its settings ask for, or it has no such map.
    """
    description = read_description(folder)
    settings = _with_maps(folder, description.settings, maps)
    motion = description.motion if motion is None else motion
    network = meta_network(settings, motion=motion)
    expected = network.state_dict()
    new = motion and not description.motion
    weights = new_motion_weights(expected, settings) if new else {}
    left = set(description.settings.maps) - {*settings.maps}

    def wanted(name: str) -> bool:
        part, _, rest = name.partition(".")
        if part == "guidance_encoders":
            return rest.partition(".")[0] not in left
        return motion or not is_motion(name)

    saved = {name: w for name, w in expected.items() if name not in weights}
    weights |= _read(folder, description, saved, wanted, check=check)
    return _filled(network, weights, dtype or torch.float32)


def load_motion(network: ChampNetwork, folder: Path) -> None:
    """Replace a network's motion modules by those of a checkpoint, such as AnimateDiff's.

    Raises:
        ValueError: The folder holds no network, one without motion modules, or other sizes.
    """
    description = read_description(folder)
    if not description.motion:
        raise ValueError(f"{folder} has no motion modules")
    if not network.motion:
        raise ValueError(f"the network has no place for the motion modules of {folder}")
    expected = {name: w for name, w in network.state_dict().items() if is_motion(name)}
    found = _read(folder, description, expected, is_motion)
    network.load_state_dict(found, strict=False)


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
    network = meta_network(settings, motion=motion)
    files = read_release(folder, release_files(settings, motion=motion))
    weights, _ = match_release(files, network.state_dict(), settings, folder.joinpath)
    return _filled(network, weights, torch.float32)


def save_official(network: ChampNetwork, folder: Path) -> None:
    """Write the network as the official release's files (``release.write_release``)."""
    sizes = Sizes(settings=network.settings, motion=network.motion)
    write_release(folder, dict(network.state_dict()), sizes)


def _with_maps(folder: Path, saved: NetworkSettings, maps: Sequence[str] | None) -> NetworkSettings:
    """The settings of the network that sees these maps only."""
    if maps is None:
        return saved
    unknown = [name for name in maps if name not in saved.maps]
    if unknown:
        raise ValueError(f"{folder} has no guidance encoder of {unknown}; it has {saved.maps}")
    return NetworkSettings.model_validate({**saved.model_dump(), "maps": tuple(maps)})


def _read(
    folder: Path,
    description: Description,
    expected: Mapping[str, Tensor],
    wanted: Callable[[str], bool],
    *,
    check: bool = True,
) -> dict[str, Tensor]:
    """The wanted weights of a checkpoint, mapped: exactly those expected, or ``ValueError``."""
    found: dict[str, Tensor] = {}
    for path, weights in read_files(folder, description, wanted=wanted, check=check):
        known = {name: expected[name] for name in weights if name in expected}
        check_shapes(path, known, weights)
        found |= weights
    refuse_names(
        folder / SETTINGS_FILE, expected.keys() - found.keys(), found.keys() - expected.keys()
    )
    return found


def _filled(network: ChampNetwork, weights: dict[str, Tensor], dtype: torch.dtype) -> ChampNetwork:
    """A network on the meta device with its weights, copied out of memory maps one by one."""
    for name in list(weights):
        weights[name] = weights[name].to(dtype, copy=True)
    network.load_state_dict(weights, strict=True, assign=True)
    return network

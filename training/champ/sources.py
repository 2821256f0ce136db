"""A folder of weights in any layout that we know, recognised by what lies in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from torch import Tensor

from training.champ.base_models import (
    MOTION_CHECKPOINT,
    base_settings,
    find_motion,
    find_unet,
    match_base_models,
    new_guidance_weights,
)
from training.champ.companions import companions
from training.champ.diffusers_folders import is_diffusers_export, read_diffusers
from training.champ.library_folders import library_weights
from training.champ.official_names import DENOISER_FILE, MOTION_FILE, REFERENCE_FILE
from training.champ.own_format import is_own_folder, read_description, read_files
from training.champ.release import (
    infer_release,
    match_release,
    meta_network,
    read_release,
    release_files,
)
from training.champ.settings import NetworkSettings
from training.champ.sizes import SIZES_FILE, Sizes, sizes_beside
from training.champ.weight_files import Told, read_weights

Kind = Literal["checkpoint", "official release", "base models", "diffusers folders"]

OFFICIAL_FOLDER = "champ"
ASSUMED = (
    "heads and groups cannot be read off weights: the release's were taken; give others with "
    "--config (section network)"
)
START = (
    "a starting point for training, not a trained network: set models.start_from to it for stage 1"
)
START_MOTION = "and models.motion_from to it for stage 2, which then begins with its motion modules"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Weights in memory maps, by the names of ``ChampNetwork.state_dict``, and what is with them.

    ``left_out`` lists what files held that the network has no use for; ``notes`` are to be read.
    """

    kind: Kind
    folder: Path
    sizes: Sizes
    weights: dict[str, Tensor]
    files: list[Path]
    vae: Path | None
    image_encoder: Path | None
    left_out: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def open_source(
    folder: Path, settings: NetworkSettings | None = None, told: Told | None = None
) -> Source:
    """Recognise a folder and find a place for every weight in it; none is read before its use.

    Args:
        folder: A checkpoint of ours, the official release's files or its ``pretrained_models``
            tree, base models, or diffusers' folders as exported here.
        settings: Sizes, over those found beside the weights or told by their shapes; of no effect
            on a checkpoint of ours.
        told: Hears of each file whose hash was checked.

    Raises:
        ValueError: Nothing that is known, or it is incomplete, damaged or of other sizes.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder")
    if is_own_folder(folder):
        return _own(folder, told)
    official = [place for place in (folder, folder / OFFICIAL_FOLDER) if _has_release(place)]
    if official:
        return _official(folder, official[0], settings)
    if is_diffusers_export(folder):
        return _diffusers(folder, settings)
    unet = find_unet(folder)
    if unet:
        return _base_models(folder, unet, settings)
    raise ValueError(f"{folder} holds nothing that is known. Looked for: {', '.join(_LOOKED_FOR)}")


_LOOKED_FOR = (
    "network.json (a checkpoint of ours)",
    f"{', '.join(release_files(NetworkSettings(), motion=True))}, there or in "
    f"{OFFICIAL_FOLDER}/ (the official release)",
    "unet/ and reference_unet/ with config.json (an export to diffusers)",
    f"unet/config.json, there or one level below, with {MOTION_CHECKPOINT} if wanted (base models)",
)


def _own(folder: Path, told: Told | None) -> Source:
    description = read_description(folder)
    weights: dict[str, Tensor] = {}
    for _, part in read_files(folder, description, told=told):
        weights |= part
    vae, image_encoder = companions(folder)
    return Source(
        kind="checkpoint",
        folder=folder,
        sizes=Sizes(settings=description.settings, motion=description.motion),
        weights=weights,
        files=[folder / name for name in description.file_names],
        vae=vae,
        image_encoder=image_encoder,
    )


def _official(folder: Path, place: Path, settings: NetworkSettings | None) -> Source:
    sizes, notes = sizes_beside(place), []
    if settings:
        sizes = Sizes(settings=settings, motion=sizes.motion if sizes else True)
    names = release_files((sizes or Sizes()).settings, motion=(sizes or Sizes()).motion)
    files = read_release(place, names)
    if sizes is None:
        sizes = infer_release(files)
        notes = [] if sizes == Sizes() else [ASSUMED]
    expected = meta_network(sizes.settings, motion=sizes.motion).state_dict()
    weights, left_out = match_release(files, expected, sizes.settings, place.joinpath)
    unread = sorted(path.name for path in place.glob("*.pth") if path.name not in names)
    vae, image_encoder = companions(folder)
    return Source(
        kind="official release",
        folder=folder,
        sizes=sizes,
        weights=weights,
        files=[place / name for name in names],
        vae=vae,
        image_encoder=image_encoder,
        left_out=left_out,
        notes=[*notes, *(f"not read: {name}" for name in unread)],
    )


def _diffusers(folder: Path, settings: NetworkSettings | None) -> Source:
    sizes = sizes_beside(folder)
    if settings:
        sizes = Sizes(settings=settings, motion=sizes.motion if sizes else True)
    if sizes is None:
        raise ValueError(
            f"{folder} has no {SIZES_FILE}, which an export writes: give the sizes with --config "
            "(section network)"
        )
    expected = meta_network(sizes.settings, motion=sizes.motion).state_dict()
    weights, left_out = read_diffusers(folder, expected, sizes.settings)
    vae, image_encoder = companions(folder)
    return Source(
        kind="diffusers folders",
        folder=folder,
        sizes=sizes,
        weights=weights,
        files=sorted(folder.glob("*/diffusion_pytorch_model.safetensors")),
        vae=vae,
        image_encoder=image_encoder,
        left_out=left_out,
    )


def _base_models(folder: Path, unet_folder: Path, settings: NetworkSettings | None) -> Source:
    unet_file, motion_file = library_weights(unet_folder, "U-Net"), find_motion(folder)
    unet = read_weights(unet_file)
    motion = read_weights(motion_file) if motion_file else None
    settings = settings or base_settings(unet_folder, unet, motion)
    expected = meta_network(settings, motion=motion is not None).state_dict()
    where = {REFERENCE_FILE: unet_file, DENOISER_FILE: unet_file}
    if motion_file:
        where[MOTION_FILE] = motion_file
    weights, left_out = match_base_models(unet, motion, expected, settings, where)
    vae, image_encoder = companions(folder)
    return Source(
        kind="base models",
        folder=folder,
        sizes=Sizes(settings=settings, motion=motion is not None),
        weights=weights | new_guidance_weights(settings),
        files=[unet_file, *([motion_file] if motion_file else [])],
        vae=vae,
        image_encoder=image_encoder,
        left_out=left_out,
        notes=["guidance encoders are new", START, *([START_MOTION] if motion_file else [])],
    )


def _has_release(folder: Path) -> bool:
    """Whether any file of the release is there: one that lacks another is to be told so."""
    return any((folder / name).is_file() for name in (REFERENCE_FILE, DENOISER_FILE, MOTION_FILE))

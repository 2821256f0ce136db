"""A starting point for training: Stable Diffusion 1.5's U-Net in both places, AnimateDiff's motion.

As the official training begins (conventions: Noise schedule, training, sampling).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from training.champ.guidance import GuidanceEncoder
from training.champ.official_names import DENOISER_FILE, MOTION_FILE, REFERENCE_FILE
from training.champ.release import match_release
from training.champ.settings import NetworkSettings
from training.champ.sizes import infer_settings, read_json, read_unet_settings

MOTION_CHECKPOINT = "mm_sd_v15_v2.ckpt"
SEED = 0  # two imports of the same models must give the same network
TAIL = ("conv_norm_out.", "conv_out.")
"""What of a U-Net the reference net has not: nobody reads its output."""


def find_unet(folder: Path) -> Path | None:
    """The U-Net's folder: ``unet/``, there or one level below."""
    places = [folder / "unet", *sorted(folder.glob("*/unet"))]
    return next((place for place in places if (place / "config.json").is_file()), None)


def find_motion(folder: Path) -> Path | None:
    """AnimateDiff's motion modules, there or one level below."""
    places = [folder / MOTION_CHECKPOINT, *sorted(folder.glob(f"*/{MOTION_CHECKPOINT}"))]
    return next((place for place in places if place.is_file()), None)


def base_settings(
    unet_folder: Path, unet: Mapping[str, Tensor], motion: Mapping[str, Tensor] | None
) -> NetworkSettings:
    """Sizes: the U-Net's from its ``config.json``, the motion modules' from their shapes.

    Raises:
        ValueError: A U-Net of another kind.
    """
    try:
        settings = read_unet_settings(read_json(unet_folder / "config.json"))
    except (KeyError, ValueError) as error:
        raise ValueError(f"{unet_folder} is no U-Net as Stable Diffusion 1.5's: {error}") from error
    if motion is None:
        return settings
    found = infer_settings(unet, motion, None)
    names = ("motion_levels", "motion_middle", "motion_max_seq_length")
    told = {name: getattr(found, name) for name in names}
    return NetworkSettings.model_validate({**settings.model_dump(), **told})


def match_base_models(
    unet: Mapping[str, Tensor],
    motion: Mapping[str, Tensor] | None,
    expected: Mapping[str, Tensor],
    settings: NetworkSettings,
    where: Mapping[str, Path],
) -> tuple[dict[str, Tensor], dict[str, list[str]]]:
    """Our names for the weights of base models, which may be on the meta device.

    Args:
        unet: By the names of ``denoising_unet.pth``, which are Stable Diffusion 1.5's.
        motion: By the names of ``motion_module.pth``, which are AnimateDiff's; None: no motion.
        expected: Names and shapes, from ``meta_network``.
        settings: Sizes of the network.
        where: Path of each file of the release whose place base models take, for errors.

    Returns:
        The weights by our names without those of the guidance encoders, and what the reference
        net has no use for.

    Raises:
        ValueError: A name is missing or over, or a shape differs.
    """
    files = {
        REFERENCE_FILE: {name: w for name, w in unet.items() if not name.startswith(TAIL)},
        DENOISER_FILE: unet,
        MOTION_FILE: motion or {},
    }
    known = {name: w for name, w in expected.items() if not name.startswith("guidance_encoders.")}
    weights, _ = match_release(files, known, settings, where.__getitem__)
    return weights, {"reference_unet": [name for name in unet if name.startswith(TAIL)]}


def new_guidance_weights(settings: NetworkSettings) -> dict[str, Tensor]:
    """New guidance encoders by our names, always the same; they add nothing to the denoiser yet."""
    weights = {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        for name in settings.maps:
            encoder = GuidanceEncoder(settings).state_dict()
            weights |= {f"guidance_encoders.{name}.{part}": w for part, w in encoder.items()}
    return weights

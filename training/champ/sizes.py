"""Which sizes a network has whose weights come from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError
from torch import Tensor

from dataset.settings import Settings
from training.champ.settings import NetworkSettings
from training.champ.weight_files import write_whole

SIZES_FILE = "champ.json"
"""Beside weights in a layout that is not ours: what they alone do not tell."""


class Sizes(Settings):
    """What a network is built from."""

    settings: NetworkSettings = Field(default=NetworkSettings(), description="Its sizes.")
    motion: bool = Field(default=True, description="Whether it has motion modules.")


def read_settings(config: dict[str, Any]) -> NetworkSettings:
    """The sizes of the network that ``config.json`` beside an official checkpoint describes."""
    unet = config["unet"]
    levels = len(unet["block_out_channels"])
    return NetworkSettings(
        block_out_channels=tuple(unet["block_out_channels"]),
        attention_levels=(True,) * (levels - 1) + (False,),
        motion_levels=(True,) * levels,
        layers_per_block=unet["layers_per_block"],
        cross_attention_dim=unet["cross_attention_dim"],
        num_attention_heads=unet["attention_head_dim"],
        norm_num_groups=unet["norm_num_groups"],
        latent_channels=unet["in_channels"],
        guidance_channels=tuple(config["guidance_block_out_channels"]),
    )


def read_unet_settings(unet: Mapping[str, Any]) -> NetworkSettings:
    """The sizes of a network around a U-Net of diffusers, from that one's ``config.json``.

    Raises:
        ValueError: A U-Net of another kind than Stable Diffusion 1.5's.
    """
    heads = unet.get("num_attention_heads") or unet["attention_head_dim"]
    if not isinstance(heads, int) or not isinstance(unet["layers_per_block"], int):
        raise ValueError("a U-Net with as many heads or layers everywhere is expected, as SD 1.5's")
    return NetworkSettings(
        block_out_channels=tuple(unet["block_out_channels"]),
        attention_levels=tuple("CrossAttn" in name for name in unet["down_block_types"]),
        motion_levels=(True,) * len(unet["block_out_channels"]),
        layers_per_block=unet["layers_per_block"],
        cross_attention_dim=unet["cross_attention_dim"],
        num_attention_heads=heads,
        norm_num_groups=unet["norm_num_groups"],
        latent_channels=unet["in_channels"],
    )


def sizes_beside(folder: Path) -> Sizes | None:
    """What a ``champ.json``, or the ``config.json`` of an official network, says in a folder.

    Raises:
        ValueError: ``champ.json`` is damaged, or the sizes do not fit together.
    """
    path = folder / SIZES_FILE
    if path.is_file():
        try:
            return Sizes.model_validate_json(path.read_text(encoding="utf-8"))
        except (ValidationError, UnicodeDecodeError) as error:
            raise ValueError(f"{path} is damaged, or of another program: {error}") from error
    config = read_json(folder / "config.json")
    return Sizes(settings=read_settings(config)) if "unet" in config else None


def write_sizes(folder: Path, sizes: Sizes) -> None:
    """Write ``champ.json``."""
    text = sizes.model_dump_json(indent=1)
    write_whole(folder / SIZES_FILE, lambda path: path.write_text(text, encoding="utf-8"))


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object, empty where there is no such file; ``ValueError`` when it is none."""
    if not path.is_file():
        return {}
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is no JSON: {error}") from error
    if not isinstance(values, dict):
        raise ValueError(f"{path} holds a {type(values).__name__}, expected an object")
    return values


def infer_settings(
    denoiser: Mapping[str, Tensor],
    motion: Mapping[str, Tensor] | None,
    guidance: Mapping[str, Tensor] | None,
) -> NetworkSettings:
    """The sizes that names and shapes of official weights tell.

    Heads, groups and the maps are not among them: those are the release's.

    Args:
        denoiser: ``denoising_unet.pth``, or a U-Net of Stable Diffusion 1.5.
        motion: ``motion_module.pth``; None gives the defaults.
        guidance: One guidance encoder's; None gives the defaults.

    Raises:
        ValueError: Weights of another kind, or sizes that the release's heads and groups do not
            fit.
    """
    sizes = _unet_sizes(denoiser)
    levels = len(sizes["block_out_channels"])
    sizes |= _motion_sizes(motion, levels) if motion else {"motion_levels": (True,) * levels}
    if guidance:
        sizes["guidance_channels"] = _guidance_channels(guidance)
    try:
        return NetworkSettings(**sizes)
    except ValidationError as error:
        raise ValueError(
            f"heads and groups cannot be read off weights, and the release's do not fit: {error}; "
            "give the sizes with --config (section network)"
        ) from error


def _unet_sizes(weights: Mapping[str, Tensor]) -> dict[str, Any]:
    levels = _count(weights, "down_blocks.{}.")
    cross = [w for name, w in weights.items() if name.endswith(".attn2.to_k.weight")]
    if not levels or not cross or "conv_in.weight" not in weights:
        raise ValueError("these are no weights of a U-Net as Stable Diffusion 1.5's")
    widths = [weights[f"down_blocks.{i}.resnets.0.conv1.weight"].shape[0] for i in range(levels)]
    return {
        "block_out_channels": tuple(widths),
        "attention_levels": _levels_with(weights, levels, "attentions"),
        "layers_per_block": _count(weights, "down_blocks.0.resnets.{}."),
        "cross_attention_dim": cross[0].shape[1],
        "latent_channels": weights["conv_in.weight"].shape[1],
    }


def _motion_sizes(weights: Mapping[str, Tensor], levels: int) -> dict[str, Any]:
    positions = [w.shape[1] for name, w in weights.items() if name.endswith("pos_encoder.pe")]
    if not positions:
        raise ValueError("these are no motion modules: no name ends with pos_encoder.pe")
    return {
        "motion_levels": _levels_with(weights, levels, "motion_modules"),
        "motion_middle": any(name.startswith("mid_block.") for name in weights),
        "motion_max_seq_length": positions[0],
    }


def _guidance_channels(weights: Mapping[str, Tensor]) -> tuple[int, ...]:
    blocks = _count(weights, "blocks.{}.")
    if "conv_in.weight" not in weights or not blocks:
        raise ValueError("these are no weights of a guidance encoder")
    strided = [weights[f"blocks.{i}.weight"].shape[0] for i in range(1, blocks, 2)]
    return (weights["conv_in.weight"].shape[0], *strided)


def _levels_with(weights: Iterable[str], levels: int, what: str) -> tuple[bool, ...]:
    names = list(weights)
    return tuple(
        any(name.startswith(f"down_blocks.{level}.{what}.") for name in names)
        for level in range(levels)
    )


def _count(weights: Iterable[str], prefix: str) -> int:
    """How many of 0, 1, 2, ... in the place of ``{}`` begin a name."""
    names, number = list(weights), 0
    while any(name.startswith(prefix.format(number)) for name in names):
        number += 1
    return number

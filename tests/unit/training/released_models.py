"""Small models written as the published ones lie: old names, old formats, the official tree."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor

from tests.unit.training.small_network import SMALL, make
from training.champ import checkpoints
from training.champ.autoencoder import Autoencoder
from training.champ.image_encoder import ImageEncoder
from training.champ.network import ChampNetwork
from training.champ.reference import build_reference_net
from training.champ.settings import ImageEncoderSettings, NetworkSettings, VaeSettings

OLD_NAMES = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}


def write_tree(folder: Path) -> Path:
    """The official `pretrained_models`."""
    checkpoints.save_official(make(), folder / "champ")
    write_old_vae(folder / "sd-vae-ft-mse")
    write_old_image_encoder(folder / "image_encoder")
    write_unet(folder / "stable-diffusion-v1-5" / "unet", binary=True)
    write_animate_diff(folder / "mm_sd_v15_v2.ckpt", make(), wrapped=True)
    return folder


def write_old_vae(folder: Path) -> Autoencoder:
    """A small VAE as the released one lies: `.bin`, attention layers by their old names."""
    torch.manual_seed(1)
    vae = Autoencoder.create(VaeSettings(block_out_channels=(8, 16), norm_num_groups=4))
    folder.mkdir(parents=True)
    vae.model.save_config(folder)
    weights = {}
    for name, value in vae.model.state_dict().items():
        for new, old in OLD_NAMES.items():
            name = name.replace(f"attentions.0.{new}.", f"attentions.0.{old}.")
        weights[name] = value
    assert sum("proj_attn" in name for name in weights) == 4
    torch.save(weights, folder / "diffusion_pytorch_model.bin")
    return vae


def write_old_image_encoder(folder: Path) -> ImageEncoder:
    """A small image encoder as `pytorch_model.bin`, with the counted out buffer of old versions."""
    encoder = ImageEncoder.load(
        None, ImageEncoderSettings(projection_dim=SMALL.cross_attention_dim)
    )
    folder.mkdir(parents=True)
    encoder.model.config.save_pretrained(folder)
    positions = {"vision_model.embeddings.position_ids": torch.arange(17)[None]}
    torch.save(dict(encoder.model.state_dict()) | positions, folder / "pytorch_model.bin")
    return encoder


def write_animate_diff(path: Path, network: ChampNetwork, *, wrapped: bool) -> None:
    """Motion modules as AnimateDiff releases them."""
    folder = path.parent / "scratch"
    checkpoints.save_official(network, folder)
    weights = torch.load(folder / "motion_module.pth", weights_only=True)
    shutil.rmtree(folder)
    if wrapped:
        weights = {"epoch": 3, "state_dict": {f"module.{n}": w for n, w in weights.items()}}
    torch.save(weights, path)


def write_unet(
    folder: Path, settings: NetworkSettings = SMALL, *, binary: bool
) -> dict[str, Tensor]:
    """A U-Net of Stable Diffusion 1.5's kind."""
    with torch.device("meta"):
        config = build_reference_net(settings).config
    torch.manual_seed(5)
    unet = UNet2DConditionModel.from_config(config)
    assert isinstance(unet, UNet2DConditionModel)
    unet.save_pretrained(folder, safe_serialization=not binary)
    return dict(unet.state_dict())

"""Compare our network and sampler with what the official code computed from the same weights.

    python -m benchmarks.official_parity FOLDER [--json]

FOLDER holds a network in the official checkpoint layout (``config.json``, ``*.pth``, ``vae/``,
``image_encoder/``) and ``io.safetensors``: inputs, and the official code's outputs in float32. What
is printed are the worst absolute errors; ``final_latents`` and ``video`` are those of the whole
sampler as ``configs/official.yaml`` sets it, ``plain_final_latents`` those of the plain sampler
that other tests hold ours against; all three are left out where the folder has no such outputs.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from benchmarks.plain_sampler import plain_sample
from inference.sampler import sample
from pipeline.config import load_config
from training.champ.autoencoder import Autoencoder
from training.champ.checkpoints import load_official
from training.champ.image_encoder import ImageEncoder
from training.champ.network import ChampNetwork
from training.champ.sizes import read_settings


def compare_calls(network: ChampNetwork, given: dict[str, Tensor]) -> dict[str, float]:
    """Worst absolute errors of the guidance encoders and of single calls of the denoiser."""
    maps = given["guidance_in"]
    errors = [
        worst_error(network.guidance_encoders[name](maps), given[f"guidance_out.{name}"])
        for name in network.settings.maps
    ]
    token, guidance = given["clip_image_embeds"], given["guidance_features"]
    reference = network.reference_features(given["reference_latents"], token)
    args = (given["latents"], given["timestep"], token, guidance)
    return {
        "guidance": max(errors),
        "denoise_no_reference": worst_error(network(*args, None), given["denoise_no_reference"]),
        "denoise_with_reference": worst_error(
            network(*args, reference), given["denoise_with_reference"]
        ),
    }


def compare_sampler(
    network: ChampNetwork, folder: Path, config: dict[str, Any], given: dict[str, Tensor]
) -> dict[str, float]:
    """Worst absolute errors of the sampled latents and of the decoded video."""
    vae = Autoencoder.load(folder / "vae")
    picture = given["reference_image"].numpy()[None]
    maps = torch.stack([given[f"guidance_frames.{name}"] for name in network.settings.maps])
    settings = load_config("official").animate.sample.model_copy(
        update={
            "steps": config["steps"],
            "guidance_scale": config["guidance_scale"],
            "window_frames": config["context_frames"],
            "window_overlap": config["context_overlap"],
        }
    )
    reference = vae.encode(picture)
    token = ImageEncoder.load(folder / "image_encoder").embed(picture)
    ours, plain = (
        sampler(
            network,
            reference_latents=reference,
            image_embeds=token,
            maps=maps.permute(0, 4, 1, 2, 3)[None],
            settings=settings,
            noise=given["initial_noise"],
        )
        for sampler in (sample, plain_sample)
    )
    video = torch.cat(list(vae.decode_portions(ours[0].transpose(0, 1))))
    return {
        "final_latents": worst_error(ours, given["final_latents"]),
        "video": worst_error(video.transpose(0, 1)[None], given["video"]),
        "plain_final_latents": worst_error(plain, given["final_latents"]),
    }


def worst_error(ours: Tensor, theirs: Tensor) -> float:
    """The largest absolute difference; the shapes must be equal."""
    if ours.shape != theirs.shape:
        raise ValueError(f"expected shape {tuple(theirs.shape)}, got {tuple(ours.shape)}")
    return (ours.float() - theirs.float()).abs().max().item()


@torch.no_grad()
def compare(folder: Path) -> dict[str, float]:
    """All errors that the folder has outputs for."""
    config = json.loads((folder / "config.json").read_text())
    given = load_file(folder / "io.safetensors")
    network = load_official(folder, read_settings(config)).eval()
    errors = compare_calls(network, given)
    if "final_latents" in given:
        errors |= compare_sampler(network, folder, config, given)
    return errors


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="network, inputs and official outputs")
    parser.add_argument("--json", action="store_true", help="print one JSON line")
    arguments = parser.parse_args()
    errors = compare(arguments.folder)
    if arguments.json:
        print(json.dumps(errors))
        return
    for name, error in errors.items():
        print(f"{name:24} worst absolute error {error:.2e}")


if __name__ == "__main__":
    main()

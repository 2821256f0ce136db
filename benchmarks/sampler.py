"""How fast the sampler is and how much memory it takes, against a straightforward one.

    python -m benchmarks.sampler [--width full|half|tiny] [--latents 32] [--frames 8] [--json]
    python -m benchmarks.sampler --flops [--json]

The peer is ``benchmarks/plain_sampler.py``: the same weights, blocks, attention kernels, precision
and switches in the same run, nothing saved. Wall: the two take turns, the fastest round of each
counts, and the latents must agree. Memory: what a sampler adds to the resident memory at its peak,
weights not counted. ``--flops`` counts with torch's counter at full width and 8 frames, without
running anything (meta tensors; on a CPU the counter does not know its attention kernel): of one
guided step, and of an animation of 20 steps with reference net and guidance encoders.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.peak_memory import peak_gigabytes
from benchmarks.plain_sampler import plain_attention, plain_guided, plain_sample
from inference.execution import prepare, running
from inference.guided_denoiser import GuidedDenoiser
from inference.sampler import initial_noise, sample
from inference.settings import ExecutionSettings, SampleSettings
from training.champ.network import ChampNetwork
from training.champ.settings import NetworkSettings

WIDTHS = {
    "full": (320, 640, 1280, 1280),
    "half": (160, 320, 640, 640),
    "tiny": (64, 128, 256, 256),
}
"""Channels of the U-Nets: Stable Diffusion 1.5's, and smaller ones of the same shape."""

STEPS = 20
LATENTS = (32, 64, 96)


def make_network(width: str, device: str = "cpu") -> ChampNetwork:
    """A network with random weights, none of them zero."""
    torch.manual_seed(0)
    with torch.device(device):
        network = ChampNetwork(NetworkSettings(block_out_channels=WIDTHS[width]), motion=True)
    with torch.no_grad():
        for parameter in network.parameters():
            if device != "meta" and not parameter.any():
                parameter.normal_(std=0.02)
    return network.eval()


class Clip(NamedTuple):
    """What a clip is sampled from."""

    reference_latents: Tensor
    image_embeds: Tensor
    maps: Tensor


def make_clip(side: int, frames: int, device: str = "cpu") -> Clip:
    """A clip whose latents are ``side`` x ``side``."""
    with torch.device(device):
        return Clip(
            reference_latents=torch.randn(1, 4, side, side),
            image_embeds=torch.randn(1, 1, 768),
            maps=torch.rand(1, 4, 3, frames, 8 * side, 8 * side),
        )


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Both samplers in turns."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    execution = ExecutionSettings(
        precision=arguments.precision, channels_last=arguments.channels_last
    )
    network = prepare(make_network(arguments.width), device, execution)
    clip = make_clip(arguments.latents, arguments.frames, str(device))
    settings = SampleSettings(steps=arguments.steps)
    shape = (1, 0, arguments.frames, arguments.latents, arguments.latents)
    noise = initial_noise(network, shape, seed=0, shared=False).to(device)
    samplers: dict[str, Callable[[], Tensor]] = {
        "plain": lambda: plain_sample(network, **clip._asdict(), settings=settings, noise=noise),
        "ours": lambda: sample(network, **clip._asdict(), settings=settings, noise=noise),
    }
    seconds: dict[str, list[float]] = {name: [] for name in samplers}
    peaks: dict[str, float] = {}
    latents: dict[str, Tensor] = {}
    with running(device, execution):
        for _ in range(arguments.rounds):
            for name, run in samplers.items():
                started = time.perf_counter()
                latents[name], peaks[name] = peak_gigabytes(run, device)
                seconds[name].append(time.perf_counter() - started)
    best = {name: min(times) for name, times in seconds.items()}
    return {
        "width": arguments.width,
        "latents": arguments.latents,
        "frames": arguments.frames,
        "steps": arguments.steps,
        "precision": arguments.precision,
        "channels_last": arguments.channels_last,
        "device": str(device),
        "seconds": {name: round(value, 2) for name, value in best.items()},
        "wall_ratio": round(best["plain"] / best["ours"], 3),
        "round_ratios": [
            round(plain / ours, 3)
            for plain, ours in zip(seconds["plain"], seconds["ours"], strict=True)
        ],
        "peak_gb": {name: round(value, 3) for name, value in peaks.items()},
        "peak_ratio": round(peaks["plain"] / peaks["ours"], 2),
        "worst_difference": (latents["ours"] - latents["plain"]).abs().max().item(),
    }


@torch.no_grad()
def count_flops(network: ChampNetwork, side: int, frames: int) -> dict[str, float]:
    """Teraflops of one step and of the rest of an animation, both samplers; a meta network."""
    clip = make_clip(side, frames, "meta")
    latents = torch.empty(1, 4, frames, side, side, device="meta")
    level = torch.zeros((), device="meta")
    token = clip.image_embeds
    with FlopCounterMode(display=False) as constants:
        guidance = network.encode_guidance(clip.maps)
        denoiser = GuidedDenoiser(network, clip.reference_latents, token, guidance_scale=3.5)
    with denoiser.active(), FlopCounterMode(display=False) as our_step:
        denoiser(latents, level, guidance)
    features = network.reference_features(clip.reference_latents, token)
    with plain_attention(network, features), FlopCounterMode(display=False) as plain_step:
        plain_guided(network, latents, level, token, guidance, 3.5)
    once, ours, plain = (
        counter.get_total_flops() / 1e12 for counter in (constants, our_step, plain_step)
    )
    return {
        "plain_step_teraflop": round(plain, 3),
        "step_teraflop": round(ours, 3),
        "step_ratio": round(plain / ours, 4),
        "once_teraflop": round(once, 3),
        "animation_ratio": round((once + STEPS * plain) / (once + STEPS * ours), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--width", choices=list(WIDTHS), default="tiny")
    parser.add_argument("--latents", type=int, default=32, help="their side")
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--precision", choices=["float32", "bfloat16", "float16"], default="float32"
    )
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--flops", action="store_true", help="count at full width, run nothing")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    if arguments.flops:
        network = make_network("full", "meta")
        found: dict[str, Any] = {
            f"{side} x {side}": count_flops(network, side, arguments.frames) for side in LATENTS
        }
    else:
        found = measure(arguments)
    if arguments.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:18} {value}")


if __name__ == "__main__":
    main()

"""How memory grows with the number of frames, from maps to the written video, against a plain way.

    python -m benchmarks.sampler_memory [--width tiny_preset|full] [--side 64] \
        [--frames 48 96 192 384] [--memory-gib 0.0] [--json]

``tiny_preset`` is the network and the autoencoder of ``configs/tiny``; ``full`` has Stable
Diffusion 1.5's widths (and its autoencoder's). Ours: maps are made when asked for, latents sampled
over windows, frames decoded and written a few at a time; ``--memory-gib`` is the setting of that
name, 0 by default, as for a clip that exceeds it. Plain: all maps, all guidance, all decoded frames
in memory, as a straightforward script has them. One step each: more would not take more. Printed is
what each adds to the resident memory at its peak, weights not counted, and the slope of a straight
line through these.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.peak_memory import peak_gigabytes
from benchmarks.plain_sampler import plain_sample
from benchmarks.sampler import make_network
from dataset.video import write_playable
from inference.map_frames import MapFrames
from inference.sampler import initial_noise, sample
from inference.settings import SampleSettings
from pipeline.config import load_config
from training.champ.autoencoder import Autoencoder, pixels_to_frames
from training.champ.network import ChampNetwork
from training.champ.settings import VaeSettings


def make_models(width: str) -> tuple[ChampNetwork, Autoencoder]:
    """Network and autoencoder with random weights."""
    torch.manual_seed(0)
    if width == "full":
        return make_network("full"), Autoencoder.create(VaeSettings())
    config = load_config("tiny")
    network = ChampNetwork(config.network, motion=True).eval()
    return network, Autoencoder.create(config.models.vae_sizes)


def maps_of(frames: int, side: int, start: int = 0, stop: int | None = None) -> Tensor:
    """Bytes that look like nothing, the same for a frame whoever asks."""
    drawn = [
        torch.randint(0, 256, (4, 3, side, side), generator=torch.Generator().manual_seed(at))
        for at in range(start, frames if stop is None else stop)
    ]
    return torch.stack(drawn, dim=2).to(torch.uint8)[None]


class Films:
    """Both ways from maps to a video file."""

    def __init__(self, width: str, side: int, folder: Path, *, memory_gib: float) -> None:
        self.network, self.vae = make_models(width)
        self.side, self.folder = side, folder
        self.settings = SampleSettings(steps=1, memory_gib=memory_gib)
        latents = side // self.vae.stride
        channels = self.network.settings.latent_channels
        self.reference = torch.zeros(1, channels, latents, latents)
        self.token = torch.zeros(1, 1, self.network.settings.cross_attention_dim)

    def ours(self, frames: int) -> None:
        source = MapFrames(
            frames=frames, read=lambda start, stop: maps_of(frames, self.side, start, stop)
        )
        latents = sample(
            self.network,
            reference_latents=self.reference,
            image_embeds=self.token,
            maps=source,
            settings=self.settings,
        )
        self._write(self._decoded(latents[0].transpose(0, 1)))

    def _decoded(self, latents: Tensor) -> Iterator[np.ndarray]:
        for part in self.vae.decode_portions(latents):
            yield from pixels_to_frames(part)

    def plain(self, frames: int) -> None:
        maps = maps_of(frames, self.side).float() / 255
        side = self.reference.shape[-1]
        shape = (1, 0, frames, side, side)
        latents = plain_sample(
            self.network,
            reference_latents=self.reference,
            image_embeds=self.token,
            maps=maps,
            settings=self.settings,
            noise=initial_noise(self.network, shape, seed=0, shared=False),
        )
        with torch.no_grad():
            pictures = [self.vae.decode_pixels(frame[None]) for frame in latents[0].transpose(0, 1)]
        self._write(iter(pixels_to_frames(torch.cat(pictures))))

    def _write(self, frames: Iterator[np.ndarray]) -> None:
        write_playable(self.folder / "film.mp4", frames, fps=30)


def slope(frames: list[int], gigabytes: list[float]) -> float:
    """Megabytes a frame, by least squares."""
    return float(np.polyfit(frames, gigabytes, 1)[0] * 1e3)


def measure(films: Films, counts: list[int]) -> dict[str, Any]:
    """Peaks of both ways at each number of frames."""
    ways: dict[str, Callable[[int], None]] = {"ours": films.ours, "plain": films.plain}
    found: dict[str, Any] = {"frames": counts}
    for name, make in ways.items():
        make(counts[0] // 2)  # what is taken once and for all
        peaks = [peak_gigabytes(partial(make, n), torch.device("cpu"))[1] for n in counts]
        found[f"{name}_peak_gb"] = [round(peak, 4) for peak in peaks]
        found[f"{name}_mb_a_frame"] = round(slope(counts, peaks), 4)
    found["slope_share"] = round(found["ours_mb_a_frame"] / found["plain_mb_a_frame"], 4)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--width", choices=["tiny_preset", "full"], default="tiny_preset")
    parser.add_argument("--side", type=int, default=64, help="of the pictures, in pixels")
    parser.add_argument("--frames", type=int, nargs="+", default=[48, 96, 192, 384])
    parser.add_argument("--memory-gib", type=float, default=0.0)
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        films = Films(
            arguments.width, arguments.side, Path(folder), memory_gib=arguments.memory_gib
        )
        found = measure(films, arguments.frames)
    if arguments.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:18} {value}")


if __name__ == "__main__":
    main()

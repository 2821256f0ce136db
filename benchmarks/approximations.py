"""What the sampler's approximations cost in fidelity and save in time, on a trained network.

    python -m benchmarks.approximations DATASET [--clips 2] [--frames 24] [--scale 3.5] [--json]

DATASET holds trained and encoded clips, as ``champ demo`` leaves them in ``champ-demo/dataset``.
The exact path is DDIM with 20 steps, every block in every step. Each option starts from the same
noise; printed are the decoded frames' PSNR against the exact path's and against the true frames,
and how many times the exact path takes its time (the faster of two rounds of each).
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8

from inference.metrics import psnr
from inference.sampler import sample
from inference.settings import SampleSettings
from training.champ.autoencoder import Autoencoder
from training.champ.checkpoints import load
from training.champ.network import ChampNetwork
from training.clips import ClipStore, TrainingClip, encoded_clips
from training.data import FramePlan, collate, read_sample

OPTIONS: dict[str, dict[str, Any]] = {
    "exact: ddim, 20 steps": {},
    "ddim, 10 steps": {"steps": 10},
    "ddim, 6 steps": {"steps": 6},
    "dpm_solver, 10 steps": {"solver": "dpm_solver", "steps": 10},
    "dpm_solver, 6 steps": {"solver": "dpm_solver", "steps": 6},
    "unipc, 10 steps": {"solver": "unipc", "steps": 10},
    "unipc, 6 steps": {"solver": "unipc", "steps": 6},
    "euler, 10 steps": {"solver": "euler", "steps": 10},
    "reuse_every 2": {"reuse_every": 2},
    "reuse_every 3": {"reuse_every": 3},
    "merging tapered": {"merging": "tapered"},
}


class Animator:
    """A trained network over the clips of a dataset."""

    def __init__(self, root: Path, *, frames: int, scale: float) -> None:
        self.network: ChampNetwork = load(root / "runs" / "stage2" / "weights").eval()
        self.vae = Autoencoder.load(root / "runs" / "vae" / "weights")
        self.store = ClipStore(root, capacity_bytes=1 << 30)
        self.frames = frames
        self.base = SampleSettings(guidance_scale=scale, window_frames=16, window_overlap=4)

    def truth(self, clip: TrainingClip) -> UInt8[np.ndarray, "frames size size 3"]:
        return self.store.frames(clip, "rgb", range(self._frames(clip)))

    @torch.no_grad()
    def draw(
        self, clip: TrainingClip, option: dict[str, Any]
    ) -> UInt8[np.ndarray, "frames size size 3"]:
        """The clip's first frames animated from the first."""
        plan = FramePlan(
            clip=clip, frame_indices=tuple(range(self._frames(clip))), reference_index=0
        )
        batch = collate([read_sample(self.store, plan, self.network.settings.maps)])
        latents = sample(
            self.network,
            reference_latents=batch["reference_latents"],
            image_embeds=batch["image_embeds"],
            maps=batch["maps"],
            settings=self.base.model_copy(update=option),
        )
        return self.vae.decode(latents[0].transpose(0, 1))

    def _frames(self, clip: TrainingClip) -> int:
        return min(self.frames, clip.frames)


def compare(animator: Animator, clips: list[TrainingClip]) -> dict[str, dict[str, float]]:
    """Every option over all clips."""
    rows: dict[str, dict[str, float]] = {}
    exact: list[np.ndarray] = []
    for name, option in OPTIONS.items():
        seconds, drawn = [], []
        for _ in range(2):
            started = time.perf_counter()
            drawn = [animator.draw(clip, option) for clip in clips]
            seconds.append(time.perf_counter() - started)
        exact = exact or drawn
        against = [pooled_psnr(ours, base) for ours, base in zip(drawn, exact, strict=True)]
        true = [
            psnr(ours[1:], animator.truth(clip)[1:])
            for ours, clip in zip(drawn, clips, strict=True)
        ]
        rows[name] = {
            "psnr_exact": round(float(np.mean(against)), 2),
            "psnr_truth": round(float(np.mean(true)), 2),
            "seconds": round(min(seconds), 2),
        }
    slowest = next(iter(rows.values()))["seconds"]
    return {name: row | {"speed": round(slowest / row["seconds"], 2)} for name, row in rows.items()}


def pooled_psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Of all frames' error together: single frames that are equal do not make it infinite."""
    error = np.square(a.astype(np.float64) - b).mean() / 255**2
    return float(-10 * np.log10(error)) if error else float("inf")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("dataset", type=Path, help="with trained and encoded clips")
    parser.add_argument("--clips", type=int, default=2, help="how many of them")
    parser.add_argument("--frames", type=int, default=24, help="of each clip, from its first")
    parser.add_argument("--scale", type=float, default=3.5, help="guidance scale")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    animator = Animator(arguments.dataset, frames=arguments.frames, scale=arguments.scale)
    rows = compare(animator, encoded_clips(arguments.dataset)[: arguments.clips])
    if arguments.json:
        print(json.dumps(rows))
        return
    print(f"{'':24} {'PSNR to exact':>14} {'PSNR to truth':>14} {'times as fast':>14}")
    for name, row in rows.items():
        print(f"{name:24} {row['psnr_exact']:14} {row['psnr_truth']:14} {row['speed']:14}")


if __name__ == "__main__":
    main()

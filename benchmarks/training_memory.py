"""What a training step keeps between forward and backward, at the official sizes, computed.

    python -m benchmarks.training_memory [--size 768] [--frames 24] [--json]

One sample of each stage, forward pass in bfloat16 autocast, with and without gradient
checkpointing. Tensors are fake: they have sizes and no content, so nothing is measured on a GPU and
nothing is needed of the machine; kernels' own scratch space is not in it. Gibibytes that are alive
after the forward pass, weights not counted.
"""

from __future__ import annotations

import argparse
import json
from typing import Literal

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from benchmarks.kept_bytes import KeptBytes
from training.champ.network import ChampNetwork
from training.champ.settings import NetworkSettings
from training.recipes import choose_trained
from training.settings import TrainSettings


def kept_gib(stage: Literal[1, 2], *, size: int, frames: int, checkpointing: bool) -> float:
    """What one sample keeps."""
    settings = TrainSettings()
    with FakeTensorMode():
        network = ChampNetwork(NetworkSettings(), motion=stage == 2)
        choose_trained(network, stage, settings.stage1 if stage == 1 else settings.stage2)
        network.enable_gradient_checkpointing(checkpointing)
        side = size // network.settings.guidance_stride
        latents = torch.empty(1, 4, frames, side, side)
        token, level = torch.empty(1, 1, 768), torch.zeros(1, dtype=torch.long)
        maps = torch.empty(1, 4, 3, frames, size, size)
        with KeptBytes() as kept, torch.autocast("cpu", torch.bfloat16):
            with torch.set_grad_enabled(stage == 1):
                guidance = network.encode_guidance(maps)
                reference = network.reference_features(latents[:, :, 0], token)
            predicted = network(latents, level, token, guidance, reference)
        assert predicted.requires_grad
        return kept.total() / 2**30


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", type=int, default=768, help="of the frames, in pixels")
    parser.add_argument("--frames", type=int, default=24, help="of a sample of stage 2")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    found = {
        f"stage{stage}": {
            name: round(
                kept_gib(
                    stage,
                    size=arguments.size,
                    frames=1 if stage == 1 else arguments.frames,
                    checkpointing=name == "checkpointed",
                ),
                2,
            )
            for name in ("plain", "checkpointed")
        }
        for stage in (1, 2)
    }
    if arguments.json:
        print(json.dumps(found))
        return
    for stage, row in found.items():
        print(f"{stage}: {row['plain']} GiB, checkpointed {row['checkpointed']} GiB")


if __name__ == "__main__":
    main()

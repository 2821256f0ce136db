"""Our network computes what the official code computes from the same weights."""

from __future__ import annotations

import json
import math
import re
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from benchmarks.official_parity import compare, compare_calls
from training.champ.checkpoints import load_official
from training.champ.network import ChampNetwork
from training.champ.official_names import (
    DENOISER_FILE,
    MOTION_FILE,
    REFERENCE_FILE,
    attention_in_use,
    guidance_file,
    official_place,
    with_position_copies,
)
from training.champ.settings import NetworkSettings
from training.champ.sizes import read_settings

REPOSITORY = Path(__file__).parents[3]
GOLDEN = REPOSITORY / "tests" / "golden" / "official_parity"
FIXTURE = REPOSITORY.parent / "shared" / "fixtures" / "official_parity"

Shapes = dict[str, tuple[int, ...]]


@torch.no_grad()
def test_calls_agree_with_the_official_code(tmp_path: Path) -> None:
    """Guidance encoders and single denoiser calls are within 1e-4 of the official outputs."""
    config = json.loads((GOLDEN / "config.json").read_text())
    settings = read_settings(config)
    write_seeded_release(tmp_path, settings)
    network = load_official(tmp_path, settings).eval()
    errors = compare_calls(network, load_file(GOLDEN / "io.safetensors"))
    assert errors.keys() == {"guidance", "denoise_no_reference", "denoise_with_reference"}
    assert max(errors.values()) < 1e-4, errors


@pytest.mark.slow
@pytest.mark.skipif(not FIXTURE.is_dir(), reason=f"the referee fixtures are not at {FIXTURE}")
def test_whole_sampler_agrees_with_the_official_code() -> None:
    """The sampled latents and the video of the referee network are the official ones, and so are
    the latents of the plain sampler that other tests hold ours against.

    A change of 1e-6 in the noise moves the latents by 1.5e-5; the video is stored as float16.
    """
    errors = compare(FIXTURE)
    assert errors["final_latents"] < 2e-4
    assert errors["plain_final_latents"] < 2e-4
    assert errors["video"] < 2e-3


def write_seeded_release(folder: Path, settings: NetworkSettings) -> None:
    """A small network in the official layout, with the weights the golden outputs belong to.

    Each module draws from one generator, over its parameters in sorted order of their official
    names. The weights that are never run are drawn as well: they stand between the others.
    """
    files: dict[str, dict[str, Tensor]] = {}
    for name, value in ChampNetwork(settings, motion=True).state_dict().items():
        file, there = official_place(name, settings)
        files.setdefault(file, {})[there] = value
    spatial, motion = files[DENOISER_FILE], files[MOTION_FILE]
    drawn = draw(shapes_of(spatial) | shapes_of(motion), seed=701)
    write = {
        REFERENCE_FILE: draw(shapes_of(files[REFERENCE_FILE]), seed=700),
        DENOISER_FILE: {name: drawn[name] for name in spatial},
        MOTION_FILE: with_position_copies(
            {name: drawn.get(name, positions) for name, positions in motion.items()}
        ),
    }
    for seed, name in enumerate(settings.maps, start=704):
        file = guidance_file(name)
        shapes = shapes_of(files[file])
        write[file] = draw(shapes | dead_shapes(shapes, settings), seed=seed)
    for file, weights in write.items():
        torch.save(weights, folder / file)


def draw(shapes: Shapes, *, seed: int) -> dict[str, Tensor]:
    """Random weights, none of them zero, that keep activations in range."""
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for name in sorted(shapes):
        value = torch.randn(shapes[name], generator=generator)
        if value.ndim >= 2:
            weights[name] = value / math.sqrt(math.prod(shapes[name][1:]))
        elif "norm" in name and name.endswith("weight"):
            weights[name] = 1 + 0.1 * value
        else:
            weights[name] = 0.05 * value
    return weights


def shapes_of(weights: dict[str, Tensor]) -> Shapes:
    """Shapes of the parameters; positions are no parameters."""
    return {n: tuple(w.shape) for n, w in weights.items() if not n.endswith("pos_encoder.pe")}


def dead_shapes(shapes: Shapes, settings: NetworkSettings) -> Shapes:
    """Names and shapes of a guidance encoder's weights that are never run."""
    channels, last = settings.guidance_channels, attention_in_use(settings)
    widths = [width for pair in pairwise(channels) for width in pair]
    used = {n: s for n, s in shapes.items() if n.startswith(f"attentions.{last}.")}
    dead = {n.replace(f"attentions.{last}.", "guidance_attention."): s for n, s in used.items()}
    for i, width in enumerate(widths[:-1]):
        for name, shape in used.items():
            scaled = tuple(s if s == 1 else s * width // widths[-1] for s in shape)
            dead[re.sub(r"attentions\.\d+", f"attentions.{i}", name)] = scaled
    return dead

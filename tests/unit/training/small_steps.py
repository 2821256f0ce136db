"""One training step over a small dataset, with everything in it that a step can have."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from dataset.tables import commit, write_shard
from tests.unit.training import small_dataset as small
from tests.unit.training.plain_training import Definition, alphas_cumprod
from training.champ import checkpoints
from training.champ.network import ChampNetwork
from training.champ.settings import NetworkSettings, ScheduleSettings
from training.recipes import Batch, StageRecipe
from training.settings import StageSettings, TrainSettings

NETWORK = NetworkSettings.model_validate(
    small.NETWORK.model_dump()
    | {
        "block_out_channels": (8, 8, 16),
        "attention_levels": (True, True, False),  # as in SD 1.5: none at the lowest resolution
        "motion_levels": (True, True, True),
        "reference_positions": False,
    }
)
MASK_WEIGHT = 3.0
KEPT = torch.tensor([True, False, False, True])
TIMESTEPS = torch.tensor([20, 250, 600, 999])  # snr far above and below gamma, and none at all
DEFINITION = Definition(mask_weight=MASK_WEIGHT)
REFERENCE_TAIL = "reference_unet.up_blocks.2."


def write_dataset(path: Path) -> None:
    """Two clips with latents of 8 x 8, and a network to begin stage 2 with."""
    torch.manual_seed(0)  # of the autoencoder and of the network
    small.write_guidance(path, {"a": 14, "b": 8})
    stage = small.encode_stage(path, size=32)
    rows = [
        {**row, "recipe": small.LATENTS_RECIPE}
        for clip_id in ("a", "b")
        for row in stage.process({"clip_id": clip_id, "recipe": small.GUIDANCE_RECIPE})
    ]
    commit(path, "latents", [write_shard(path, "latents", rows, name="part")], app="latents")
    checkpoints.save(ChampNetwork(NETWORK, motion=False), path / "stage1")


def make_recipe(root: Path, stage: int, **changes: object) -> StageRecipe:
    given = {"unconditional_share": 0.5, "mask_loss_weight": MASK_WEIGHT, **changes}
    return StageRecipe(
        root,
        stage=1 if stage == 1 else 2,
        settings=TrainSettings(
            stage1=StageSettings.model_validate({"reference_gap": 2, **given}),
            stage2=StageSettings.model_validate({"reference_gap": 0, "frames": 3, **given}),
        ),
        network=NETWORK,
        schedule=ScheduleSettings(),
        start_from=root / "stage1" if stage == 2 else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A recipe, its network without a zero in it, and a batch where two of four are dropped.

    ``plain_batch`` is the same batch with the noise and its offset apart.
    """

    recipe: StageRecipe
    network: ChampNetwork
    batch: Batch
    plain_batch: Batch


def make_step(root: Path, stage: int, dtype: torch.dtype, **changes: object) -> Step:
    recipe = make_recipe(root, stage, **changes)
    torch.manual_seed(0)
    network = recipe.build()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    drawn = recipe.batch(0, range(4)) | {"timesteps": TIMESTEPS, "conditional": KEPT}
    noise = _noise_with(recipe, offset=0.0)
    offset = (_noise_with(recipe, offset=1.0) - noise)[:, :, 0, 0, 0]
    added = offset[:, :, None, None, None]
    torch.testing.assert_close(drawn["noise"].double(), noise + 0.05 * added)
    batch = drawn
    if dtype == torch.float64:  # the schedule and the noise to their last digits as well
        recipe.scheduler.alphas_cumprod = alphas_cumprod(DEFINITION)
        batch = {n: v.double() if v.is_floating_point() else v for n, v in drawn.items()}
        batch["noise"] = noise + 0.05 * added
    return Step(
        recipe=recipe,
        network=network.to(dtype),
        batch=batch,
        plain_batch=drawn | {"noise": noise, "offset": offset},
    )


def _noise_with(recipe: StageRecipe, *, offset: float) -> Tensor:
    """The noise the recipe would draw with another ``noise_offset``, float64."""
    other = copy(recipe)
    other.section = recipe.section.model_copy(update={"noise_offset": offset})
    return other.batch(0, range(4))["noise"].double()


def is_trained(name: str, stage: int) -> bool:
    """What the conventions train: in stage 1 all but the reference net's last up block."""
    return not name.startswith(REFERENCE_TAIL) if stage == 1 else ".motion_modules." in name

"""What a training step keeps for its backward pass, and what it computes again instead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from benchmarks.kept_bytes import KeptBytes
from tests.unit.training.small_steps import (
    REFERENCE_TAIL,
    is_trained,
    make_recipe,
    make_step,
    write_dataset,
)
from training.loop import train
from training.recipes import Batch, StageRecipe
from training.run_folder import read_metrics
from training.settings import LoopSettings, OptimizerSettings


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dataset")
    write_dataset(path)
    return path


def test_frozen_parts_build_no_graph_in_stage_2(root: Path) -> None:
    """Reference net, guidance encoders and all of the denoiser before its first motion module
    compute without a graph, and nothing they make is kept but what that module is given."""
    step = make_step(root, 2, torch.float32)
    first = "denoising_unet.down_blocks.0"
    frozen = ["reference_unet", "guidance_encoders", "denoising_unet.conv_in"]
    frozen += ["denoising_unet.time_embedding", f"{first}.resnets.0", f"{first}.attentions.0"]
    outputs: dict[str, bool] = {}
    for name, module in step.network.named_modules():
        watch_graph(module, name, outputs)
    with KeptBytes(step.network) as kept:
        loss = step.recipe.loss(step.network, step.batch)
    inside = {n: has for n, has in outputs.items() if n.startswith(tuple(frozen))}
    assert len(inside) > 100
    assert not any(inside.values())
    assert outputs[f"{first}.motion_modules.0"]
    where = kept.where()
    given = 4 * 3 * 8 * 8 * 8 * 4  # samples, frames, channels, height, width, bytes
    assert where.pop(f"{first}.attentions.0") == given
    assert sum(size for name, size in where.items() if name.startswith(tuple(frozen))) == 0
    loss.backward()
    reached = {name for name, p in step.network.named_parameters() if p.grad is not None}
    assert reached == {n for n, _ in step.network.named_parameters() if is_trained(n, 2)}


def watch_graph(module: nn.Module, name: str, outputs: dict[str, bool]) -> None:
    """Note whether what a module makes has a graph."""

    def note(module: nn.Module, args: object, output: object) -> None:
        parts = output if isinstance(output, tuple) else (output,)
        outputs[name] = any(isinstance(p, Tensor) and p.requires_grad for p in parts)

    module.register_forward_hook(note)


def test_the_reference_net_ends_where_it_is_read(root: Path) -> None:
    """In stage 1 the reference net's last block computes ``norm1`` and no more: nothing after it is
    run, nothing of it kept."""
    step = make_step(root, 1, torch.float32)
    block = f"{REFERENCE_TAIL}attentions.1.transformer_blocks.0"
    outputs: dict[str, bool] = {}
    for name, module in step.network.named_modules():
        watch_graph(module, name, outputs)
    loss = step.recipe.loss(step.network, step.batch)
    assert {n for n in outputs if n.startswith(f"{block}.")} == {f"{block}.norm1"}
    assert not outputs[block]
    assert not outputs[f"{REFERENCE_TAIL}attentions.1.proj_out"]
    assert outputs[f"{block}.norm1"], "gradients reach what comes before the frozen block"
    assert loss.requires_grad


@pytest.mark.parametrize("stage", [1, 2])
def test_checkpointing_keeps_less(root: Path, stage: int) -> None:
    """Between forward and backward a checkpointed step keeps less than a quarter of what a plain
    one keeps."""
    kept = {}
    for checkpointing in (False, True):
        step = make_step(root, stage, torch.float32, gradient_checkpointing=checkpointing)
        with KeptBytes(step.network) as memory:
            loss = step.recipe.loss(step.network, step.batch)
        kept[checkpointing] = memory.total()
        assert loss.requires_grad
    assert kept[True] < kept[False] / 4


FIRST_PART = {  # the first thing that is computed again of each kind of block
    "ResnetBlock2D": "",
    "BasicTransformerBlock": "",
    "LastBlock": "norm1",
    "MotionModule": "norm",
    "GuidanceEncoder": "conv_in",
}


@pytest.mark.parametrize("stage", [1, 2])
def test_every_block_is_computed_again(root: Path, stage: int) -> None:
    """With checkpointing every block with a graph runs twice in a step, forward and again in
    backward; only diffusers' first residual layer of each middle block is kept as it was."""
    calls: Counter[str] = Counter()
    with_graph: dict[str, bool] = {}
    step = make_step(root, stage, torch.float32, gradient_checkpointing=True)
    for name, module in step.network.named_modules():
        if (part := FIRST_PART.get(type(module).__name__)) is not None:
            first = module.get_submodule(part)
            first.register_forward_pre_hook(lambda *_, name=name: calls.update([name]))
            watch_graph(first, name, with_graph)
    step.recipe.loss(step.network, step.batch).backward()
    assert set(calls.values()) == {1, 2}
    without = {name for name, has in with_graph.items() if not has}
    middle = {f"{unet}.mid_block.resnets.0" for unet in ("reference_unet", "denoising_unet")}
    assert {name for name, count in calls.items() if count == 1} == without | middle
    frozen = {name for name in calls if name.startswith(("reference_unet", "guidance_encoders"))}
    place = "denoising_unet.down_blocks.0."
    frozen |= {f"{place}resnets.0", f"{place}attentions.0.transformer_blocks.0"}
    assert without == (frozen if stage == 2 else set())


def test_computing_again_captures_nothing_again(root: Path) -> None:
    """What the reference net noted in the forward pass is still that after the backward pass."""
    step = make_step(root, 1, torch.float32, gradient_checkpointing=True)
    captured: dict[str, Tensor] = {}
    step.network.reference_unet(
        step.batch["reference_latents"],
        0,
        encoder_hidden_states=step.batch["image_embeds"],
        cross_attention_kwargs={"capture": captured},
    )
    before = dict(captured)
    torch.stack([states.square().mean() for states in before.values()]).sum().backward()
    assert captured.keys() == before.keys()
    assert all(captured[name] is states for name, states in before.items())


class WatchedRecipe:
    """A stage's recipe that counts how often its denoiser's first residual layer runs."""

    def __init__(self, recipe: StageRecipe) -> None:
        self.recipe, self.calls = recipe, Counter[str]()
        self.name, self.optimizer = recipe.name, recipe.optimizer

    def fingerprint(self) -> str:
        return self.recipe.fingerprint()

    def build(self) -> nn.Module:
        network = self.recipe.build()
        layer = network.denoising_unet.get_submodule("up_blocks.2.resnets.0")
        layer.register_forward_pre_hook(lambda *_: self.calls.update(["resnet"]))
        return network

    def batch(self, step: int, indices: Sequence[int]) -> Batch:
        return self.recipe.batch(step, indices)

    def loss(self, module: nn.Module, batch: Batch) -> Tensor:
        return self.recipe.loss(module, batch)

    def export(self, module: nn.Module, folder: Path) -> None:
        self.recipe.export(module, folder)


@pytest.mark.parametrize(("stage", "precision"), [(1, "float32"), (2, "bfloat16")])
def test_the_loop_checkpoints_when_it_is_told(
    root: Path, tmp_path: Path, stage: int, precision: Literal["float32", "bfloat16"]
) -> None:
    """Under DeepSpeed ``gradient_checkpointing`` has blocks run twice a step, and every step's loss
    is what it is without."""
    losses, calls = [], []
    for checkpointing in (False, True):
        recipe = WatchedRecipe(
            make_recipe(
                root,
                stage,
                gradient_checkpointing=checkpointing,
                optimizer=OptimizerSettings(steps=3, batch=2, learning_rate=1e-2),
            )
        )
        run_dir = tmp_path / str(checkpointing)
        train(run_dir, recipe, LoopSettings(precision=precision), progress=False)
        losses.append([line.loss for line in read_metrics(run_dir)])
        calls.append(recipe.calls["resnet"])
    assert calls == [3, 6]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)

"""The training loop: one flat loop for the autoencoder, stage 1 and stage 2.

DeepSpeed owns the gradients, the sharded optimizer, the precision and the checkpoints; the recipe
says what is learned. Works as a single process and under ``deepspeed`` or ``torchrun``.
"""

from __future__ import annotations

import logging
import math
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
import torch.distributed as dist
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn

from training.averaging import WeightAverage
from training.launch import single_process_unless_launched
from training.recipes import Batch, Recipe
from training.run_folder import (
    StepMetrics,
    TrainResult,
    append_metrics,
    claim,
    finish,
    finished_run,
    rewind_metrics,
)
from training.settings import LoopSettings
from training.steps import batch_shares, learning_rate, prefetched_batches

Engine = Any  # DeepSpeed's engine, which has no types

_KNOWN_IN_CHECKPOINTS = {
    "deepspeed.runtime.fp16.loss_scaler.LossScaler",
    "deepspeed.runtime.zero.config.ZeroStageEnum",
    "deepspeed.utils.tensor_fragment.fragment_address",
}


def train(
    run_dir: Path,
    recipe: Recipe,
    settings: LoopSettings,
    *,
    seed: int = 0,
    progress: bool = True,
) -> TrainResult:
    """Train to the end, from the newest checkpoint in the folder if there is one.

    A finished run of the same recipe is recognised and returns at once. An interrupted one goes on
    with exactly the batch that comes next, provided the number of processes is the same.

    Args:
        run_dir: Belongs to this one run (``training.run_folder``); shared by all processes.
        recipe: What is trained.
        settings: How the steps are carried out.
        seed: Of new weights.
        progress: Show a progress bar.

    Raises:
        ValueError: The folder is another run's, or the batch cannot be shared out evenly.
    """
    fingerprint = recipe.fingerprint()
    if (finished := finished_run(run_dir, fingerprint)) is not None:
        return finished
    run = _open(run_dir, recipe, settings, seed=seed, fingerprint=fingerprint)
    history = _take_steps(run, run_dir, recipe, settings, progress=progress)
    run.average.apply()
    if dist.get_rank() == 0:
        recipe.export(run.module, run_dir / "weights")
        finish(_result(run_dir, recipe, history, fingerprint=fingerprint, start=run.start))
    dist.barrier()
    result = finished_run(run_dir, fingerprint)
    assert result is not None
    return replace(result, was_finished=False, resumed_from=run.start or None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """What the steps work with; ``start`` is the number of steps that are done already."""

    engine: Engine
    module: nn.Module
    average: WeightAverage
    shares: list[Sequence[int]]
    start: int


def _open(
    run_dir: Path, recipe: Recipe, settings: LoopSettings, *, seed: int, fingerprint: str
) -> _Run:
    """Join the other processes, claim the folder, and come to where an earlier call stopped."""
    with single_process_unless_launched():
        deepspeed = _open_deepspeed()
        rank, world_size = dist.get_rank(), dist.get_world_size()
        shares = batch_shares(recipe.optimizer, rank=rank, world_size=world_size)
        if rank == 0:
            claim(run_dir, name=recipe.name, fingerprint=fingerprint, world_size=world_size)
        torch.manual_seed(seed)
        module = recipe.build()
        engine = _start_engine(deepspeed, module, recipe, settings, world_size=world_size)
    average = WeightAverage(module, recipe.optimizer.ema_decay)
    start = _resume(engine, average, run_dir)
    return _Run(engine=engine, module=module, average=average, shares=shares, start=start)


def _take_steps(
    run: _Run, run_dir: Path, recipe: Recipe, settings: LoopSettings, *, progress: bool
) -> list[StepMetrics]:
    """The loop itself; returns the metrics of all steps on the first process, else none."""
    first = dist.get_rank() == 0
    history = rewind_metrics(run_dir, step=run.start) if first else []
    began = time.monotonic() - (history[-1].seconds if history else 0.0)
    run.module.train()
    with _bar(recipe, run.start, shown=progress and first) as advance:
        for step, batches in prefetched_batches(recipe, run.shares, start=run.start):
            lr = learning_rate(recipe.optimizer, step)
            loss = _step(run.engine, batches, lr=lr)
            run.average.update(step)
            if first:
                seconds = round(time.monotonic() - began, 3)
                history.append(StepMetrics(step=step + 1, loss=loss, lr=lr, seconds=seconds))
                append_metrics(run_dir, history[-1])
            if (step + 1) % settings.checkpoint_every == 0:
                _save(run, run_dir, step + 1, keep=settings.keep_checkpoints)
            advance(loss)
    return history


class _Objective(nn.Module):
    """The module as DeepSpeed calls it: a batch goes in, the loss comes out."""

    def __init__(self, module: nn.Module, recipe: Recipe) -> None:
        super().__init__()
        self.module = module
        self.recipe = recipe

    def forward(self, batch: Batch) -> Tensor:
        return self.recipe.loss(self.module, batch)


def _open_deepspeed() -> ModuleType:
    """Import DeepSpeed and join the process group; what it needs to know must be set before."""
    if not torch.accelerator.is_available():
        os.environ.setdefault("DS_ACCELERATOR", "cpu")
    import deepspeed
    import deepspeed.ops
    from deepspeed.utils import logger

    logger.setLevel(logging.WARNING)
    # On CPU it would compile an all-reduce in shared memory at the first launch (48 s, needs g++),
    # though only tensor-parallel inference calls it. This is its table of usable operators.
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    deepspeed.init_distributed(auto_mpi_discovery=False, verbose=False)
    return deepspeed


def _start_engine(
    deepspeed: ModuleType,
    module: nn.Module,
    recipe: Recipe,
    settings: LoopSettings,
    *,
    world_size: int,
) -> Engine:
    chosen = recipe.optimizer
    optimizer = torch.optim.AdamW(
        [parameter for parameter in module.parameters() if parameter.requires_grad],
        lr=chosen.learning_rate,
        betas=chosen.betas,
        weight_decay=chosen.weight_decay,
    )
    config = {
        "train_batch_size": chosen.batch,
        "train_micro_batch_size_per_gpu": chosen.micro_batch or chosen.batch // world_size,
        "gradient_clipping": chosen.gradient_clip,
        "zero_optimization": {"stage": settings.zero_stage},
        "zero_allow_untested_optimizer": True,
        "torch_autocast": {"enabled": settings.precision == "bfloat16", "dtype": "bfloat16"},
        "steps_per_print": None,
    }
    engine, *_ = deepspeed.initialize(
        model=_Objective(module, recipe), optimizer=optimizer, config=config
    )
    return engine


def _step(engine: Engine, batches: Sequence[Batch], *, lr: float) -> float:
    """One optimizer step; returns the loss over the whole batch of all processes."""
    for group in engine.optimizer.param_groups:
        group["lr"] = lr
    total = torch.zeros((), device=engine.device)
    for batch in batches:
        loss = engine({name: value.to(engine.device) for name, value in batch.items()})
        engine.backward(loss)
        engine.step()
        total += loss.detach()
    dist.all_reduce(total)
    mean = (total / len(batches) / dist.get_world_size()).item()
    if not math.isfinite(mean):
        raise FloatingPointError(f"the loss became {mean}: lower the learning rate")
    return mean


def _save(run: _Run, run_dir: Path, step: int, *, keep: int) -> None:
    """A checkpoint that counts once it is whole: DeepSpeed names it in ``latest`` at the end."""
    folder = run_dir / "checkpoints"
    if dist.get_rank() == 0:
        run.average.save(folder / f"step-{step}")
    run.engine.save_checkpoint(
        str(folder),
        tag=f"step-{step}",
        client_state={"step": step},
        exclude_frozen_parameters=True,
    )
    if dist.get_rank() == 0:
        saved = sorted(folder.glob("step-*"), key=lambda path: int(path.name[5:]))
        for old in saved[:-keep]:
            shutil.rmtree(old)


def _resume(engine: Engine, average: WeightAverage, run_dir: Path) -> int:
    """Go back to the newest checkpoint, if there is one; returns the number of finished steps."""
    folder = run_dir / "checkpoints"
    if not (folder / "latest").is_file():
        return 0
    newest = folder / (folder / "latest").read_text().strip()
    for path in newest.glob("*.pt"):
        _check_pickle(path)
    _, state = engine.load_checkpoint(str(folder), load_module_strict=False)
    average.load(newest)
    return int(state["step"])


def _check_pickle(path: Path) -> None:
    """DeepSpeed unpickles its checkpoints: make sure nothing in there is not DeepSpeed's own."""
    unknown = set(torch.serialization.get_unsafe_globals_in_checkpoint(path))
    if unknown - _KNOWN_IN_CHECKPOINTS:
        raise ValueError(
            f"{path} is no checkpoint of this loop: unpickling it would call "
            f"{sorted(unknown - _KNOWN_IN_CHECKPOINTS)}"
        )


def _result(
    run_dir: Path,
    recipe: Recipe,
    history: Sequence[StepMetrics],
    *,
    fingerprint: str,
    start: int,
) -> TrainResult:
    tail = history[-max(1, len(history) // 10) :]
    return TrainResult(
        name=recipe.name,
        fingerprint=fingerprint,
        run_dir=run_dir,
        steps=recipe.optimizer.steps,
        loss=sum(line.loss for line in tail) / len(tail),
        seconds=history[-1].seconds,
        resumed_from=start or None,
    )


@contextmanager
def _bar(recipe: Recipe, start: int, *, shown: bool) -> Iterator[Any]:
    """A progress bar; yields what is to be called with the loss after each step."""
    columns = (
        TextColumn("{task.description}"),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]:.4f}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, disable=not shown) as bars:
        task = bars.add_task(
            f"training {recipe.name}", total=recipe.optimizer.steps, completed=start, loss=math.nan
        )
        yield lambda loss: bars.update(task, advance=1, loss=loss)

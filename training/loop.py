"""The training loop: one flat loop for the autoencoder, stage 1 and stage 2.

DeepSpeed owns the gradients, the sharded optimizer, the precision and the checkpoints; the recipe
says what is learned. Works as a single process and under ``deepspeed`` or ``torchrun``.
"""

from __future__ import annotations

import logging
import math
import os
import shutil
import socket
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
import torch.distributed as dist
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn

from training.averaging import WeightAverage
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
from training.settings import LoopSettings, OptimizerSettings

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
    with _single_process_unless_launched():
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
    history = rewind_metrics(run_dir, step=start) if rank == 0 else []
    before = history[-1].seconds if history else 0.0
    began = time.monotonic()
    module.train()
    with _bar(recipe, start, shown=progress and rank == 0) as advance:
        for step, batches in _prefetched(recipe, shares, start):
            lr = learning_rate(recipe.optimizer, step)
            for group in engine.optimizer.param_groups:
                group["lr"] = lr
            loss = _step(engine, batches)
            average.update(step)
            if rank == 0:
                seconds = round(before + time.monotonic() - began, 3)
                history.append(StepMetrics(step=step + 1, loss=loss, lr=lr, seconds=seconds))
                append_metrics(run_dir, history[-1])
            if (step + 1) % settings.checkpoint_every == 0:
                _save(engine, average, run_dir, step + 1, keep=settings.keep_checkpoints)
            advance(loss)
    average.apply()
    if rank == 0:
        return _conclude(run_dir, recipe, module, history, fingerprint, start)
    dist.barrier()
    result = finished_run(run_dir, fingerprint)
    assert result is not None
    return result


def learning_rate(settings: OptimizerSettings, step: int) -> float:
    """The rate of a step, counted from 0: a linear warm-up times a constant or half a cosine."""
    rate = settings.learning_rate
    if settings.warmup_steps:
        rate *= min(1.0, (step + 1) / settings.warmup_steps)
    if settings.learning_rate_schedule == "cosine":
        rate *= 0.5 * (1 + math.cos(math.pi * step / settings.steps))
    return rate


def batch_shares(settings: OptimizerSettings, *, rank: int, world_size: int) -> list[Sequence[int]]:
    """Which samples of a step's batch a process takes, in the portions it takes at once.

    Raises:
        ValueError: The batch does not divide by the processes, or a share by the portions.
    """
    share, rest = divmod(settings.batch, world_size)
    portion = settings.micro_batch or share
    if rest or not share or share % portion:
        raise ValueError(
            f"a batch of {settings.batch} must divide by {world_size} processes times a "
            f"micro_batch of {portion}"
        )
    first = rank * share
    return [range(i, i + portion) for i in range(first, first + share, portion)]


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
    # On CPU it would compile an all-reduce in shared memory at the first launch (48 s, needs g++)
    # that only tensor-parallel inference calls. This is its table of usable operators.
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    deepspeed.init_distributed(auto_mpi_discovery=False, verbose=False)
    return deepspeed


@contextmanager
def _single_process_unless_launched() -> Iterator[None]:
    """Stand in for a launcher where there is none; leaves no trace for child processes."""
    if "RANK" in os.environ:
        yield
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    alone = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1"}
    alone |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    before = {name: os.environ.get(name) for name in alone}
    os.environ.update(alone)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


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


def _prefetched(
    recipe: Recipe, shares: Sequence[Sequence[int]], start: int
) -> Iterator[tuple[int, list[Batch]]]:
    """Steps from ``start`` with their batches; the next one is read while this one is computed."""

    def read(step: int) -> list[Batch]:
        return [recipe.batch(step, indices) for indices in shares]

    with ThreadPoolExecutor(1, thread_name_prefix="batches") as reader:
        steps = recipe.optimizer.steps
        coming = reader.submit(read, start) if start < steps else None
        for step in range(start, steps):
            assert coming is not None
            batches = coming.result()
            if step + 1 < steps:
                coming = reader.submit(read, step + 1)
            yield step, batches


def _step(engine: Engine, batches: Sequence[Batch]) -> float:
    """One optimizer step; returns the loss over the whole batch of all processes."""
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


def _save(engine: Engine, average: WeightAverage, run_dir: Path, step: int, *, keep: int) -> None:
    """A checkpoint that counts once it is whole: DeepSpeed names it in ``latest`` at the end."""
    folder = run_dir / "checkpoints"
    if dist.get_rank() == 0:
        average.save(folder / f"step-{step}")
    engine.save_checkpoint(
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


def _conclude(
    run_dir: Path,
    recipe: Recipe,
    module: nn.Module,
    history: Sequence[StepMetrics],
    fingerprint: str,
    start: int,
) -> TrainResult:
    recipe.export(module, run_dir / "weights")
    tail = history[-max(1, len(history) // 10) :]
    result = TrainResult(
        name=recipe.name,
        fingerprint=fingerprint,
        run_dir=run_dir,
        steps=recipe.optimizer.steps,
        loss=sum(line.loss for line in tail) / len(tail),
        seconds=history[-1].seconds,
        resumed_from=start or None,
    )
    finish(result)
    dist.barrier()
    return result


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

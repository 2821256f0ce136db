"""The steps of a run: their rates, who takes which samples, and batches read ahead of time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from training.recipes import Batch, Recipe
from training.settings import OptimizerSettings


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


def prefetched_batches(
    recipe: Recipe, shares: Sequence[Sequence[int]], *, start: int
) -> Iterator[tuple[int, list[Batch]]]:
    """Steps from ``start`` with their batches; the next one is read while this one is computed."""

    def read(step: int) -> list[Batch]:
        return [recipe.batch(step, indices) for indices in shares]

    steps = range(start, recipe.optimizer.steps)
    with ThreadPoolExecutor(1, thread_name_prefix="batches") as reader:
        coming = [reader.submit(read, step) for step in steps[:1]]
        for step in steps:
            batches = coming.pop().result()
            coming = [reader.submit(read, after) for after in steps[step - start + 1 :][:1]]
            yield step, batches

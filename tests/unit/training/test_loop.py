"""The loop: it learns, it resumes to the next batch, it knows when it is done."""

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from dataset.fingerprint import fingerprint
from tests.unit.training import small_dataset as small
from training.averaging import WeightAverage
from training.champ import checkpoints
from training.champ.autoencoder import Autoencoder
from training.champ.settings import ScheduleSettings
from training.loop import train
from training.recipes import Batch, StageRecipe
from training.run_folder import claim, read_metrics
from training.settings import (
    LoopSettings,
    OptimizerSettings,
    StageSettings,
    TrainSettings,
    VaeTrainSettings,
)
from training.steps import batch_shares, learning_rate
from training.vae_recipe import VaeRecipe

LOOP = LoopSettings(precision="float32", checkpoint_every=4)


class InterruptedRunError(Exception):
    """Stands for a kill: nothing after it is carried out."""


class LineRecipe:
    """Fits a line to points; the smallest recipe there is."""

    name = "line"

    def __init__(self, optimizer: OptimizerSettings, *, stop_at: int | None = None) -> None:
        self.optimizer = optimizer
        self.stop_at = stop_at

    def fingerprint(self) -> str:
        return fingerprint(self.name, 1, self.optimizer)

    def build(self) -> torch.nn.Module:
        return torch.nn.Linear(3, 1)

    def batch(self, step: int, indices: Sequence[int]) -> Batch:
        if step == self.stop_at:
            raise InterruptedRunError
        generators = [torch.Generator().manual_seed(1000 * step + index) for index in indices]
        x = torch.stack([torch.randn(3, generator=generator) for generator in generators])
        return {"x": x, "y": x @ torch.tensor([[1.0], [-2.0], [0.5]]) + 0.3}

    def loss(self, module: torch.nn.Module, batch: Batch) -> torch.Tensor:
        return (module(batch["x"]) - batch["y"]).square().mean()

    def export(self, module: torch.nn.Module, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        save_file(module.state_dict(), folder / "line.safetensors")


def line(**changes: object) -> OptimizerSettings:
    given = {"steps": 11, "batch": 4, "learning_rate": 0.1, "learning_rate_schedule": "cosine"}
    return OptimizerSettings(**{**given, **changes})


def weights(run_dir: Path) -> dict[str, torch.Tensor]:
    return load_file(run_dir / "weights" / "line.safetensors")


def test_it_learns_a_line(tmp_path: Path) -> None:
    """A hundred steps of AdamW find the line that the points lie on."""
    result = train(tmp_path, LineRecipe(line(steps=100)), LOOP, progress=False)
    assert result.loss < 1e-3
    torch.testing.assert_close(
        weights(tmp_path)["weight"], torch.tensor([[1.0, -2.0, 0.5]]), atol=0.05, rtol=0
    )
    lines = read_metrics(tmp_path)
    assert [entry.step for entry in lines] == list(range(1, 101))
    assert lines[0].lr == pytest.approx(0.1)
    assert lines[-1].seconds >= lines[0].seconds > 0


@pytest.mark.parametrize("average", [None, 0.9])
def test_an_interrupted_run_ends_with_the_same_weights(
    tmp_path: Path, average: float | None
) -> None:
    """Interrupted at step 7 and started again, a run goes on from its checkpoint at 4 with the
    batch that came next there, and ends with the very weights and losses of one that was never
    interrupted."""
    optimizer = line(ema_decay=average)
    whole = train(tmp_path / "whole", LineRecipe(optimizer), LOOP, progress=False)
    with pytest.raises(InterruptedRunError):
        train(tmp_path / "cut", LineRecipe(optimizer, stop_at=7), LOOP, progress=False)
    resumed = train(tmp_path / "cut", LineRecipe(optimizer), LOOP, progress=False)
    assert resumed.resumed_from == 4
    assert whole.resumed_from is None
    for name, value in weights(tmp_path / "whole").items():
        assert torch.equal(weights(tmp_path / "cut")[name], value)
    losses = [
        [(entry.step, entry.loss, entry.lr) for entry in read_metrics(tmp_path / name)]
        for name in ("whole", "cut")
    ]
    assert losses[0] == losses[1]


def test_portions_add_up_to_the_batch(tmp_path: Path) -> None:
    """A batch taken in portions of one gives the weights of the batch taken at once."""
    train(tmp_path / "once", LineRecipe(line()), LOOP, progress=False)
    train(tmp_path / "portions", LineRecipe(line(micro_batch=1)), LOOP, progress=False)
    torch.testing.assert_close(weights(tmp_path / "once"), weights(tmp_path / "portions"))


def test_a_finished_run_is_recognised(tmp_path: Path) -> None:
    """A second call does no step, and says so."""
    first = train(tmp_path, LineRecipe(line()), LOOP, progress=False)
    again = train(tmp_path, LineRecipe(line(), stop_at=0), LOOP, progress=False)
    assert again.was_finished
    assert not first.was_finished
    assert (again.loss, again.seconds, again.weights) == (first.loss, first.seconds, first.weights)


def test_a_folder_belongs_to_one_run(tmp_path: Path) -> None:
    """Another recipe in the same folder is refused, and the message names the remedy."""
    train(tmp_path, LineRecipe(line()), LOOP, progress=False)
    with pytest.raises(ValueError, match="choose another folder"):
        train(tmp_path, LineRecipe(line(learning_rate=0.2)), LOOP, progress=False)


def test_another_number_of_processes_is_refused(tmp_path: Path) -> None:
    """Sharded optimizer state of two processes does not fit one: the message says so, and the
    folder stays the first run's."""
    claim(tmp_path, name="line", fingerprint="f", world_size=2)
    claim(tmp_path, name="line", fingerprint="f", world_size=2)
    with pytest.raises(ValueError, match="world_size 2, this one has 1"):
        claim(tmp_path, name="line", fingerprint="f", world_size=1)


def test_old_checkpoints_are_removed(tmp_path: Path) -> None:
    """Only the newest checkpoints stay."""
    settings = LOOP.model_copy(update={"checkpoint_every": 2, "keep_checkpoints": 2})
    train(tmp_path, LineRecipe(line()), settings, progress=False)
    kept = sorted(path.name for path in (tmp_path / "checkpoints").glob("step-*"))
    assert kept == ["step-10", "step-8"]


def test_a_foreign_pickle_is_not_read(tmp_path: Path) -> None:
    """A checkpoint file that would call anything but DeepSpeed's own classes is refused."""
    with pytest.raises(InterruptedRunError):
        train(tmp_path, LineRecipe(line(), stop_at=7), LOOP, progress=False)
    (path,) = (tmp_path / "checkpoints" / "step-4").glob("*model_states.pt")
    torch.save({"module": InterruptedRunError()}, path, pickle_module=pickle)
    with pytest.raises(ValueError, match="is no checkpoint of this loop"):
        train(tmp_path, LineRecipe(line()), LOOP, progress=False)


def test_a_cut_line_of_metrics_does_not_count(tmp_path: Path) -> None:
    """A crash in the middle of a line of metrics loses that line alone."""
    train(tmp_path, LineRecipe(line()), LOOP, progress=False)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 12, "lo')
    assert [entry.step for entry in read_metrics(tmp_path)] == list(range(1, 12))


def test_no_trace_in_the_environment(tmp_path: Path) -> None:
    """A single-process run leaves no launcher variables behind for child processes to trip over."""
    train(tmp_path, LineRecipe(line(steps=1)), LOOP, progress=False)
    assert not {"RANK", "WORLD_SIZE", "MASTER_PORT"} & os.environ.keys()


@given(processes=st.integers(1, 8), portions=st.integers(1, 4), portion=st.integers(1, 4))
def test_the_shares_are_the_batch(processes: int, portions: int, portion: int) -> None:
    """The processes' shares are the whole batch, each sample once, in order."""
    settings = line(batch=processes * portions * portion, micro_batch=portion)
    shares = [batch_shares(settings, rank=r, world_size=processes) for r in range(processes)]
    indices = [index for share in shares for part in share for index in part]
    assert indices == list(range(settings.batch))
    assert all(len(part) == portion for share in shares for part in share)


@pytest.mark.parametrize(("batch", "micro_batch"), [(3, None), (4, 3), (1, None)])
def test_a_batch_that_does_not_divide_is_refused(batch: int, micro_batch: int | None) -> None:
    """Two processes cannot share these batches evenly."""
    with pytest.raises(ValueError, match="must divide"):
        batch_shares(line(batch=batch, micro_batch=micro_batch), rank=0, world_size=2)


def test_rates_warm_up_and_fall() -> None:
    """The warm-up rises evenly to the rate, the cosine is half of it half way and ends near 0;
    a constant rate stays."""
    constant = OptimizerSettings(steps=100, learning_rate=2.0, warmup_steps=4)
    assert [learning_rate(constant, step) for step in (0, 1, 3, 50)] == [0.5, 1.0, 2.0, 2.0]
    cosine = OptimizerSettings(steps=100, learning_rate=2.0, learning_rate_schedule="cosine")
    assert learning_rate(cosine, 50) == pytest.approx(1.0)
    assert learning_rate(cosine, 99) < 0.001


def test_the_average_forgets_the_beginning() -> None:
    """The first steps weigh 1/10, 2/11, ... as documented, and then the decay rules."""
    module = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(module.weight)
    average = WeightAverage(module, 0.5)
    expected = 0.0
    for step in range(12):
        torch.nn.init.constant_(module.weight, step + 1.0)
        average.update(step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * (step + 1)
    average.apply()
    assert module.weight.item() == pytest.approx(expected)


def test_an_autoencoder_learns_its_frames(tmp_path: Path) -> None:
    """Sixty steps bring the loss of a small autoencoder on the clips' frames to less than half,
    and the exported folder loads as one."""
    small.write_guidance(tmp_path, {"a": 6})
    optimizer = OptimizerSettings(steps=60, batch=2, learning_rate=3e-3)
    settings = TrainSettings(vae=VaeTrainSettings(optimizer=optimizer))
    recipe = VaeRecipe(tmp_path, settings=settings, autoencoder=small.VAE, encode=small.ENCODE)
    result = train(tmp_path / "run", recipe, LOOP, progress=False)
    assert result.loss < 0.5 * read_metrics(result.run_dir)[0].loss
    assert Autoencoder.load(result.weights).latent_channels == 4


@pytest.mark.slow
def test_two_processes_learn_what_one_does(tmp_path: Path) -> None:
    """Launched by torchrun with two processes over gloo, a run ends with the weights and losses of
    a single process, to rounding."""
    train(tmp_path / "one", LineRecipe(line()), LOOP, progress=False)
    script = (
        "import sys; from pathlib import Path\n"
        "from tests.unit.training.test_loop import LOOP, LineRecipe, line\n"
        "from training.loop import train\n"
        "train(Path(sys.argv[1]), LineRecipe(line()), LOOP, progress=False)\n"
    )
    (tmp_path / "run.py").write_text(script)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run(
        [*launch, str(tmp_path / "run.py"), str(tmp_path / "two")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    torch.testing.assert_close(weights(tmp_path / "one"), weights(tmp_path / "two"))
    assert json.loads((tmp_path / "two" / "run.json").read_text())["world_size"] == 2
    losses = [[entry.loss for entry in read_metrics(tmp_path / name)] for name in ("one", "two")]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def stage_recipe(root: Path, stage: Literal[1, 2], start_from: Path | None = None) -> StageRecipe:
    optimizer = OptimizerSettings(steps=6, batch=2, learning_rate=1e-3)
    settings = TrainSettings(
        stage1=StageSettings(optimizer=optimizer),
        stage2=StageSettings(optimizer=optimizer, frames=4),
    )
    return StageRecipe(
        root,
        stage=stage,
        settings=settings,
        network=small.NETWORK,
        schedule=ScheduleSettings(),
        start_from=start_from,
    )


def test_both_stages_run_through_the_loop(tmp_path: Path) -> None:
    """Stage 2 begins with what stage 1 exported, moves every motion module and nothing else;
    frozen weights are no part of its checkpoints, and resuming from one ends with the same
    weights."""
    small.write_guidance(tmp_path, {"a": 8})
    small.write_latents(tmp_path, ["a"])
    first = train(tmp_path / "stage1", stage_recipe(tmp_path, 1), LOOP, progress=False)
    recipe = stage_recipe(tmp_path, 2, first.weights)
    second = train(tmp_path / "stage2", recipe, LOOP, progress=False)
    before = checkpoints.load(first.weights, motion=True).state_dict()
    after = checkpoints.load(second.weights).state_dict()
    moved = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert moved
    assert all("motion_modules" in name for name in moved)
    (second.run_dir / "done.json").unlink()
    resumed = train(tmp_path / "stage2", recipe, LOOP, progress=False)
    assert resumed.resumed_from == 4
    again = checkpoints.load(resumed.weights).state_dict()
    assert all(torch.equal(again[name], value) for name, value in after.items())
    frozen = sum(value.numel() for name, value in after.items() if "motion" not in name)
    saved = tmp_path / "stage2" / "checkpoints" / "step-4" / "mp_rank_00_model_states.pt"
    held = torch.load(saved, weights_only=True)["module"]
    assert sum(value.numel() for value in held.values()) < frozen


def test_bfloat16_keeps_the_weights_in_float32(tmp_path: Path) -> None:
    """In bfloat16 the arithmetic is rounded, so losses differ a little from float32's; the weights
    and what is exported stay float32."""
    small.write_guidance(tmp_path, {"a": 8})
    small.write_latents(tmp_path, ["a"])
    losses = []
    for precision in ("float32", "bfloat16"):
        settings = LoopSettings(precision=precision)
        result = train(tmp_path / precision, stage_recipe(tmp_path, 1), settings, progress=False)
        weights = checkpoints.load(result.weights).state_dict()
        assert {value.dtype for value in weights.values() if value.is_floating_point()} == {
            torch.float32
        }
        losses.append([entry.loss for entry in read_metrics(result.run_dir)])
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)

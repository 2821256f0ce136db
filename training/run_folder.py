"""What a run leaves on disk, and how it is recognised later.

``run.json`` says which recipe the folder belongs to, ``metrics.jsonl`` has a line per step,
``checkpoints/`` is the run's own scratch, ``weights/`` is the result and ``done.json`` is written
last of all.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

RUN_FILE, DONE_FILE, METRICS_FILE = "run.json", "done.json", "metrics.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainResult:
    """A finished run; ``seconds`` are those of all its steps, over all interruptions."""

    name: str
    fingerprint: str
    run_dir: Path
    steps: int
    loss: float  # mean of the last tenth of the steps
    seconds: float
    resumed_from: int | None = None  # the step this call began at; None when it began anew
    was_finished: bool = False  # this call found the run finished and did nothing

    @property
    def weights(self) -> Path:
        """The folder of the trained weights."""
        return self.run_dir / "weights"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepMetrics:
    """A line of ``metrics.jsonl``: the step counts from 1, ``seconds`` since the run began."""

    step: int
    loss: float
    lr: float
    seconds: float


def finished_run(run_dir: Path, fingerprint: str) -> TrainResult | None:
    """The result of a run that is done already; None when it is not, or is another recipe's."""
    path = run_dir / DONE_FILE
    if not path.is_file():
        return None
    done = json.loads(path.read_text())
    if done["fingerprint"] != fingerprint:
        return None
    return TrainResult(**done, run_dir=run_dir, was_finished=True)


def claim(run_dir: Path, *, name: str, fingerprint: str, world_size: int) -> None:
    """Make the folder this run's; a second call with the same arguments changes nothing.

    Raises:
        ValueError: The folder belongs to another recipe, or to another number of processes.
    """
    wanted = {"name": name, "fingerprint": fingerprint, "world_size": world_size}
    path = run_dir / RUN_FILE
    if not path.is_file():
        run_dir.mkdir(parents=True, exist_ok=True)
        write_json(path, wanted)
        return
    found = json.loads(path.read_text())
    for key, value in wanted.items():
        if found.get(key) != value:
            raise ValueError(
                f"{run_dir} holds a run with {key} {found.get(key)}, this one has {value}: "
                "continue that one as it was, or choose another folder"
            )


def finish(result: TrainResult) -> None:
    """Mark the run as done, for good."""
    done = asdict(result)
    for key in ("run_dir", "resumed_from", "was_finished"):
        done.pop(key)
    write_json(result.run_dir / DONE_FILE, done)


def read_metrics(run_dir: Path) -> list[StepMetrics]:
    """The steps so far; a last line that a crash cut short does not count."""
    path = run_dir / METRICS_FILE
    lines = path.read_text().splitlines(keepends=True) if path.is_file() else []
    return [StepMetrics(**json.loads(line)) for line in lines if line.endswith("\n")]


def rewind_metrics(run_dir: Path, *, step: int) -> list[StepMetrics]:
    """Forget the lines after ``step``, which will be made again, and return the others."""
    kept = [line for line in read_metrics(run_dir) if line.step <= step]
    text = "".join(json.dumps(asdict(line)) + "\n" for line in kept)
    _replace(run_dir / METRICS_FILE, text)
    return kept


def append_metrics(run_dir: Path, line: StepMetrics) -> None:
    """Add a line; whoever watches the file sees whole lines."""
    with (run_dir / METRICS_FILE).open("a") as file:
        file.write(json.dumps(asdict(line)) + "\n")


def write_json(path: Path, values: Mapping[str, object]) -> None:
    """Write a small file so that it is whole or absent, also after a power cut."""
    _replace(path, json.dumps(values, indent=1) + "\n")


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)

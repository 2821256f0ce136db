"""Jobs on real tables, in this process and on a real local Ray, with stages that misbehave."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from dataset.outcomes import read_outcomes
from dataset.tables import read_table
from pipeline.job import JobSummary, RunOptions, run_job
from pipeline.runner import ray_session
from pipeline.settings import JobSettings
from pipeline.stage import StageDefectError, StageSpec
from tests.integration.job_stages import ObedientStage, UnloadableStage

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def local_ray():
    with ray_session(None):
        yield


def _spec(root: Path, recipe: str = "r1", seconds: float = 0.0) -> StageSpec:
    root.mkdir(exist_ok=True)
    return StageSpec(
        make=partial(ObedientStage, root / "log.txt", seconds),
        job="obey",
        table="selection",
        key="clip_id",
        root=root,
        recipe=recipe,
    )


def _run(root: Path, items: dict[str, str], **options: object) -> JobSummary:
    given = {"quiet": True, "in_process": True} | options
    rows = [{"clip_id": key, "do": what} for key, what in items.items()]
    return run_job(_spec(root), rows, RunOptions(**given))  # type: ignore[arg-type]


def _keys(root: Path) -> list[str]:
    return sorted(read_table(root, "selection", columns=["clip_id"]).column(0).to_pylist())


def _statuses(root: Path) -> dict[str, str]:
    return {row.key: row.reason or row.status for row in read_outcomes(root, "obey")}


MIXED = {"a": "ok", "b": "reject", "c": "two", "d": "none", "e": "fail"}


@pytest.mark.parametrize("in_process", [True, False])
def test_every_item_has_one_outcome_and_only_good_ones_have_rows(tmp_path, local_ray, in_process):
    """Bad items become rows of outcomes with their reasons; the others are all there, once."""
    _run(tmp_path, MIXED, in_process=in_process)
    assert _keys(tmp_path) == ["a", "c", "c"]
    assert _statuses(tmp_path) == {
        "a": "ok",
        "b": "test.reject",
        "c": "ok",
        "d": "ok",
        "e": "test.fail",
    }


def test_a_second_run_has_nothing_to_do(tmp_path):
    """Resume is an anti-join: nothing is processed twice, whatever became of it."""
    _run(tmp_path, MIXED)
    summary = _run(tmp_path, MIXED | {"f": "ok"})
    assert (summary.already_done, summary.statuses) == (5, {"ok": 1})
    assert (tmp_path / "log.txt").read_text().split() == ["a", "b", "c", "d", "e", "f"]


def test_failed_items_are_tried_again_when_asked_and_counted(tmp_path):
    """--retry-failed takes up failed items alone, and attempts add up."""
    _run(tmp_path, {"b": "reject", "e": "fail"})
    summary = _run(tmp_path, {"b": "ok", "e": "ok"}, retry_failed=True)
    assert summary.statuses == {"ok": 1}
    assert _keys(tmp_path) == ["e"]
    assert read_outcomes(tmp_path, "obey")[-1].attempts == 2


def test_a_dry_run_touches_nothing(tmp_path):
    """--dry-run says how many items wait and processes none."""
    summary = _run(tmp_path, MIXED, dry_run=True)
    assert summary.statuses == {"to do": 5}
    assert not (tmp_path / "log.txt").exists()
    assert _keys(tmp_path) == []


def test_another_recipe_does_the_work_again(tmp_path):
    """Two recipes of a clip never mix: each has its own rows and outcomes."""
    items = [{"clip_id": "a"}]
    for recipe in ("r1", "r2"):
        run_job(_spec(tmp_path, recipe), items, RunOptions(in_process=True, quiet=True))
    assert _keys(tmp_path) == ["a", "a"]
    assert read_table(tmp_path, "selection", recipe="r2").num_rows == 1


@pytest.mark.parametrize("in_process", [True, False])
def test_a_defect_stops_the_job_and_names_the_item(tmp_path, local_ray, in_process):
    """An exception that is not ItemError is a defect, not a bad item."""
    with pytest.raises(StageDefectError, match=r"'x'.*ZeroDivisionError: one over none"):
        _run(tmp_path, {"x": "defect"}, in_process=in_process)
    assert _keys(tmp_path) == []


def test_an_item_that_kills_its_worker_costs_no_other_item(tmp_path, local_ray):
    """A segmentation fault is retried alone, then quarantined; its neighbours are not harmed."""
    items = {f"k{number:02}": "ok" for number in range(40)} | {"k17": "die"}
    summary = _run(tmp_path, items, in_process=False, settings=JobSettings(workers=2))
    assert summary.statuses == {"ok": 39, "quarantined": 1}
    assert _keys(tmp_path) == sorted(items.keys() - {"k17"})
    outcome = next(row for row in read_outcomes(tmp_path, "obey") if row.key == "k17")
    assert (outcome.reason, outcome.attempts) == ("worker.died", 3)


@pytest.mark.parametrize("in_process", [True, False])
def test_a_stage_that_cannot_load_stops_the_job(tmp_path, local_ray, in_process):
    """No worker can start: the job says why and ends, instead of starting workers for ever."""
    spec = replace(_spec(tmp_path), make=partial(UnloadableStage, tmp_path / "log.txt"))
    options = RunOptions(in_process=in_process, quiet=True)
    with pytest.raises(StageDefectError, match="no weights here"):
        run_job(spec, [{"clip_id": "a"}], options)
    assert read_outcomes(tmp_path, "obey") == []


PROGRAM = """
import sys
from pathlib import Path
from tests.integration.test_jobs import _spec
from pipeline.job import RunOptions, run_job
from pipeline.settings import JobSettings
items = [{"clip_id": f"k{n:03}", "do": "ok" if n % 7 else "reject"} for n in range(60)]
settings = JobSettings(commit_seconds=0.05, items_per_shard=3)
options = RunOptions(in_process=True, quiet=True, settings=settings)
run_job(_spec(Path(sys.argv[1]), seconds=0.01), items, options)
"""


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_a_job_killed_in_the_middle_loses_and_doubles_nothing(tmp_path, kills):
    """kill -9 in the middle, again and again; the last run finishes: every item is there once."""
    root = tmp_path / "dataset"
    command = [sys.executable, "-c", PROGRAM, str(root)]
    for attempt in range(kills):
        worker = subprocess.Popen(command, cwd=REPOSITORY)
        _wait_for_lines(root / "log.txt", more=5 + attempt)
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait()
    subprocess.run(command, cwd=REPOSITORY, check=True)
    expected = [f"k{number:03}" for number in range(60) if number % 7]
    assert _keys(root) == expected
    assert len(_statuses(root)) == 60
    assert len((root / "log.txt").read_text().split()) >= 60


def _wait_for_lines(path: Path, more: int) -> None:
    """Until the worker has taken up ``more`` items, or had time for all of them."""
    before = len(path.read_text().split()) if path.exists() else 0
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        now = len(path.read_text().split()) if path.exists() else 0
        if now >= min(before + more, 55):
            return
        time.sleep(0.01)
    raise AssertionError(f"the job took up no {more} items in 30 s")

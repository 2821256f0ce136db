"""Jobs on real tables, in this process and on a real local Ray, with stages that misbehave."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dataset.outcomes import read_outcomes
from dataset.tables import commit, read_table
from pipeline.job import JobSummary, RunOptions, run_job
from pipeline.runner import ray_session
from pipeline.settings import JobSettings
from pipeline.stage import StageDefectError, StageSpec, StageWorker
from tests.integration.job_stages import CrashingStage, GpuStage, ObedientStage, UnloadableStage

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


def _taken_up(root: Path) -> list[str]:
    return [line.split()[0] for line in (root / "log.txt").read_text().splitlines()]


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
    assert _taken_up(tmp_path) == ["a", "b", "c", "d", "e", "f"]


def test_failed_items_are_tried_again_when_asked_and_counted(tmp_path):
    """--retry-failed takes up failed items alone, and attempts add up."""
    _run(tmp_path, {"b": "reject", "e": "fail"})
    summary = _run(tmp_path, {"b": "ok", "e": "ok"}, retry_failed=True)
    assert summary.statuses == {"ok": 1}
    assert _keys(tmp_path) == ["e"]
    assert read_outcomes(tmp_path, "obey")[-1].attempts == 2


@pytest.mark.parametrize("in_process", [True, False])
def test_a_deferred_item_has_no_outcome_and_the_next_run_takes_it_up(
    tmp_path, local_ray, in_process
):
    """What has to wait is counted and told, costs no other item, and is not held against it."""
    summary = _run(tmp_path, {"a": "ok", "b": "defer", "c": "defer"}, in_process=in_process)
    assert (summary.statuses, summary.deferred) == ({"ok": 1}, {"test.paused": 2})
    assert str(summary).endswith("2 wait (test.paused): run again later")
    assert _statuses(tmp_path) == {"a": "ok"}
    summary = _run(tmp_path, {"a": "ok", "b": "ok", "c": "ok"}, in_process=in_process)
    assert (summary.already_done, summary.statuses, summary.deferred) == (1, {"ok": 2}, {})
    assert {row.attempts for row in read_outcomes(tmp_path, "obey")} == {1}


def test_rows_committed_by_a_retry_that_was_killed_are_not_made_again(tmp_path):
    """Killed between the commit of a retry's rows and their outcomes: the rows are the truth."""
    _run(tmp_path, {"e": "fail"})
    spec = _spec(tmp_path)
    result = StageWorker(spec).run([{"clip_id": "e", "do": "ok"}])
    assert result.shard is not None
    commit(tmp_path, "selection", [result.shard], app="killed after this")
    summary = _run(tmp_path, {"e": "ok"}, retry_failed=True)
    assert (summary.already_done, summary.statuses) == (1, {})
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
    # Once among its neighbours, three times alone.
    assert (outcome.reason, outcome.attempts) == ("worker.died", 4)


@pytest.mark.parametrize("in_process", [True, False])
def test_a_stage_that_cannot_load_stops_the_job(tmp_path, local_ray, in_process):
    """No worker can start: the job says why and ends, instead of starting workers for ever."""
    spec = replace(_spec(tmp_path), make=partial(UnloadableStage, tmp_path / "log.txt"))
    options = RunOptions(in_process=in_process, quiet=True)
    with pytest.raises(StageDefectError, match="no weights here"):
        run_job(spec, [{"clip_id": "a"}], options)
    assert read_outcomes(tmp_path, "obey") == []


def test_what_a_lost_worker_cost_is_in_the_outcome_of_the_attempt_that_succeeds(
    tmp_path, local_ray
):
    """Attempts and seconds add up over dead workers; versions say what did the work."""
    _run_slowly(tmp_path, {"a": "ok", "b": "die_once"}, seconds=0.2)
    outcomes = {row.key: row for row in read_outcomes(tmp_path, "obey")}
    assert {key: row.attempts for key, row in outcomes.items()} == {"a": 1, "b": 2}
    assert 0.2 <= outcomes["a"].seconds < 0.4 <= outcomes["b"].seconds
    versions = json.loads(outcomes["b"].versions)
    assert versions["python"] == platform.python_version()
    assert {"champ", "av", "torch"} <= versions.keys()


def _run_slowly(root: Path, items: dict[str, str], seconds: float) -> None:
    rows = [{"clip_id": key, "do": what} for key, what in items.items()]
    run_job(_spec(root, seconds=seconds), rows, RunOptions(quiet=True))


class _Counted(dict):
    """An item that can be counted while it lives."""


@pytest.mark.parametrize("in_process", [True, False])
def test_a_job_holds_no_more_items_than_its_workers_want(tmp_path, local_ray, in_process):
    """Items stream: the driver holds those in flight and as many ahead, however many there are."""
    ended: list[int] = []
    most: list[int] = []

    def items() -> Iterator[dict[str, Any]]:
        for number in range(400):
            item = _Counted(clip_id=f"k{number}")
            weakref.finalize(item, ended.append, number)
            most.append(number + 1 - len(ended))
            yield item

    settings = JobSettings(workers=2, items_per_shard=4)
    options = RunOptions(quiet=True, in_process=in_process, settings=settings)
    summary = run_job(_spec(tmp_path), items(), options)
    assert summary.statuses == {"ok": 400}
    assert max(most) <= 7 * 4  # 2 batches in work, 2 ahead, and what is being handed over


@pytest.mark.slow
def test_what_is_done_is_committed_while_others_are_still_at_work(tmp_path, local_ray):
    """A slow item keeps no finished one from being committed."""
    items = {"a": "ok", "b": "slow"}
    options = {"in_process": False, "settings": JobSettings(workers=2, commit_seconds=0.1)}
    with ThreadPoolExecutor(1) as thread:
        job = thread.submit(_run, tmp_path, items, **options)
        while not job.done() and not _keys(tmp_path):
            time.sleep(0.1)
        assert not job.done()
        assert _keys(tmp_path) == ["a"]
    assert _keys(tmp_path) == ["a", "b"]


@pytest.mark.slow
def test_a_stage_that_crashes_while_it_loads_stops_the_job(tmp_path, local_ray):
    """Workers that die before they have begun are not started for ever."""
    spec = replace(_spec(tmp_path), make=partial(CrashingStage, tmp_path / "log.txt"))
    with pytest.raises(StageDefectError, match="died while they started"):
        run_job(spec, [{"clip_id": "a"}], RunOptions(quiet=True))


def test_a_stage_that_no_node_has_room_for_stops_the_job(tmp_path, local_ray):
    """The message says what is needed and what there is, once nothing has joined in time."""
    spec = replace(_spec(tmp_path), make=partial(GpuStage, tmp_path / "log.txt"))
    options = RunOptions(quiet=True, settings=JobSettings(start_seconds=0))
    with pytest.raises(ValueError, match=r"needs 1 CPU, 1000 GPU a worker.*'GPU': 0"):
        run_job(spec, [{"clip_id": "a"}], options)


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
    assert len(_taken_up(root)) >= 60


def _wait_for_lines(path: Path, more: int) -> None:
    """Until the worker has taken up ``more`` items, or had time for all of them."""
    before = len(path.read_text().splitlines()) if path.exists() else 0
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        now = len(path.read_text().splitlines()) if path.exists() else 0
        if now >= min(before + more, 55):
            return
        time.sleep(0.01)
    raise AssertionError(f"the job took up no {more} items in 30 s")

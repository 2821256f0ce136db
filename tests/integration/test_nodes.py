"""Nodes that join and leave a Ray cluster while a job runs on it: three real nodes here."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import psutil
import pytest

from dataset.outcomes import read_outcomes
from dataset.tables import read_table
from pipeline.job import JobSummary, RunOptions, run_job
from pipeline.settings import JobSettings
from pipeline.stage import StageSpec
from tests.integration.job_stages import ObedientStage

# A node that does not answer for about 3 s is dead; by default it takes 15.
HEALTH = {
    "health_check_initial_delay_ms": 500,
    "health_check_period_ms": 500,
    "health_check_timeout_ms": 1500,
    "health_check_failure_threshold": 4,
}


@pytest.fixture
def cluster(monkeypatch):
    """A head without CPUs, as in cluster.yaml, and this process connected to it."""
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    import ray
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 0, "include_dashboard": False, "_system_config": HEALTH}
    started = Cluster(initialize_head=True, head_node_args=head)
    ray.init(started.address, log_to_driver=False)
    yield started
    ray.shutdown()
    started.shutdown()


def _run(root: Path, items: int, seconds: float, **settings: object) -> JobSummary:
    spec = StageSpec(
        make=partial(ObedientStage, root / "log.txt", seconds),
        job="obey",
        table="selection",
        key="clip_id",
        root=root,
        recipe="r1",
    )
    given = JobSettings(items_per_shard=1, commit_seconds=0.5, attempts=1, **settings)
    rows = ({"clip_id": f"k{number:03}"} for number in range(items))
    return run_job(spec, rows, RunOptions(quiet=True, settings=given))


def _taken_up(root: Path) -> list[tuple[str, int]]:
    """What was taken up, and the process of the node that it was taken up on."""
    log = root / "log.txt"
    lines = log.read_text().splitlines() if log.exists() else []
    return [(key, int(node)) for key, node in (line.split() for line in lines)]


def _taken_up_on(root: Path, node) -> int:
    return sum(process == _raylet(node).pid for _, process in _taken_up(root))


def _wait_until(reached, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, f"not so within {seconds} s"
        time.sleep(0.05)


def _raylet(node) -> psutil.Process:
    return psutil.Process(node.all_processes["raylet"][0].process.pid)


def _kill_machine(node) -> None:
    """End a node and its workers without notice, as when a machine is taken away."""
    raylet = _raylet(node)
    for process in [raylet, *raylet.children(recursive=True)]:
        process.kill()


def test_nodes_join_and_leave_and_no_clip_is_lost_or_doubled(tmp_path, cluster):
    """The job starts when a node joins, uses a second one that joins later, and does again what
    was in flight on the first when that is killed. A lost node is no fault of the item: with one
    attempt an item that killed its worker would be quarantined at once.
    """
    with ThreadPoolExecutor(1) as thread:  # Ray starts nodes from the main thread alone
        job = thread.submit(_run, tmp_path, items=20, seconds=0.3, start_seconds=60)
        time.sleep(1.0)
        first = cluster.add_node(num_cpus=1)
        _wait_until(lambda: len(_taken_up(tmp_path)) >= 4)
        second = cluster.add_node(num_cpus=1)
        nodes = {_raylet(first).pid, _raylet(second).pid}
        _wait_until(lambda: {node for _, node in _taken_up(tmp_path)} == nodes)
        before = _taken_up_on(tmp_path, first)
        _wait_until(lambda: _taken_up_on(tmp_path, first) > before)
        _kill_machine(first)  # in the middle of an item
        summary = job.result()

    keys = [f"k{number:03}" for number in range(20)]
    assert summary.statuses == {"ok": 20}
    rows = read_table(tmp_path, "selection", columns=["clip_id"]).column(0).to_pylist()
    assert sorted(rows) == keys
    again = [row for row in read_outcomes(tmp_path, "obey") if row.attempts > 1]
    assert len(again) == 1  # the one that was in flight
    assert (again[0].status, again[0].attempts) == ("ok", 2)
    assert len(_taken_up(tmp_path)) <= 21


@pytest.mark.slow
def test_a_job_runs_only_where_its_resources_are(tmp_path, cluster):
    """Download nodes alone have the cookies: fetch asks for what only they were given."""
    cluster.add_node(num_cpus=2)
    download = _raylet(cluster.add_node(num_cpus=1, resources={"download": 1})).pid
    summary = _run(tmp_path, items=6, seconds=0.0, resources={"obey": {"download": 1}})
    assert summary.statuses == {"ok": 6}
    assert {node for _, node in _taken_up(tmp_path)} == {download}

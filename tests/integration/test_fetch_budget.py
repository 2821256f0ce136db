"""The budget of a cluster, on a real local Ray: workers share their places and their pauses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from curation.fetching.budgets import Entry, Rates
from dataset.outcomes import read_outcomes
from pipeline.budget_actor import RayBudget
from pipeline.config import load_config
from pipeline.job import RunOptions
from pipeline.jobs.fetch import fetch
from pipeline.runner import ray_session
from pipeline.workspace import Workspace
from tests.unit.curation.loopback import Page, serve

RATES = Rates(
    requests_per_minute=60, bytes_per_minute=1 << 20, concurrency=1,
    pause_seconds=100.0, pause_cap_seconds=100.0,
)  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _local_ray() -> Iterator[None]:
    with ray_session(None):
        yield


def test_processes_share_one_budget() -> None:
    """A place that one process took, its requests and its pauses hold for all."""
    import ray

    @ray.remote(num_cpus=0.1)
    def elsewhere(budget: RayBudget) -> tuple[Entry, float]:
        started = budget.start("a", "theirs", RATES)
        return started, sum(budget.spend("a", "theirs", 1, 0) for _ in range(6))

    mine = RayBudget()
    assert ray.get(elsewhere.remote(RayBudget())) == (Entry("go"), 0.0)
    assert mine.start("a", "mine", RATES).status == "busy"
    assert mine.spend("a", "theirs", 1, 0) > 0
    mine.finish("a", "theirs", "blocked", 0.0)
    paused = ray.get(elsewhere.remote(RayBudget()))[0]
    assert paused.status == "paused"
    assert paused.seconds == pytest.approx(100, abs=10)


@pytest.mark.slow
def test_a_block_stops_all_workers_of_a_job(tmp_path: Path) -> None:
    """One 429, and nobody asks the host again: eight rows wait, none of them fails."""
    with serve() as server:
        rows = [{"source_id": f"s{i}", "url": server.url(f"/{i}"), "platform": "", "licence": "x",
                 "consent": "x"} for i in range(8)]  # fmt: skip
        for i in range(8):
            server.pages[f"/{i}"] = Page(status=429, headers={"Retry-After": "3600"})
        (tmp_path / "m.jsonl").write_text("\n".join(map(json.dumps, rows)))
        settings = [f"fetch.allow_addresses=['{server.address}']", "job.workers=2"]
        workspace = Workspace(
            root=tmp_path / "root",
            config=load_config(None, settings),
            options=RunOptions(settings=load_config(None, settings).job, quiet=True),
        )
        summary = fetch(workspace, tmp_path / "m.jsonl")
        assert 1 <= len(server.requests) <= 2  # those that were under way at once
    assert summary.deferred == {"fetch.platform_paused": 8}
    assert read_outcomes(workspace.root, "fetch") == []
    assert "8 wait (fetch.platform_paused): run again later" in str(summary)

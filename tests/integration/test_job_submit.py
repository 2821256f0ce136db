"""`ray job submit` to a real cluster on the loopback address, with token authentication."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.request import Request, urlopen

import numpy as np
import psutil
import pytest

from dataset.outcomes import read_outcomes
from dataset.video import write_playable

REPOSITORY = Path(__file__).resolve().parents[2]
RAY = str(Path(sys.executable).with_name("ray"))
CHAMP = (sys.executable, "-m", "pipeline.cli")

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Head:
    """A running head node, and what its clients need."""

    dashboard: str
    client: str
    environment: dict[str, str]

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command with the cluster's token."""
        return subprocess.run(
            command,
            env=self.environment | environment,
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    def submit(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """`ray job submit`, again while the node that should run it has not joined yet."""
        submit = [RAY, "job", "submit", "--address", self.dashboard, "--"]
        deadline = time.monotonic() + 90
        while True:
            done = self.run(*submit, *command, **environment)
            if "No available agent" not in done.stderr or time.monotonic() > deadline:
                return done


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    """`ray start --head` as on a cluster's head node; every process of it is ended by its id."""
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # socket paths must be short
    port, dashboard_port, agent_port, client_port = _free_ports(4)
    environment = {
        **os.environ,
        "PYTHONPATH": str(REPOSITORY),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_TMPDIR": folder,
    }
    environment.pop("RAY_ADDRESS", None)
    command = [RAY, "start", "--head", "--block", f"--port={port}", "--num-cpus=2"]
    command += ["--node-ip-address=127.0.0.1", "--dashboard-host=127.0.0.1"]
    command += ['--resources={"download": 2}', f"--temp-dir={folder}/t"]
    command += [f"--dashboard-port={dashboard_port}"]
    command += [f"--dashboard-agent-listen-port={agent_port}"]  # takes submitted jobs
    command += [f"--ray-client-server-port={client_port}"]
    with (Path(folder) / "log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        started = Head(
            f"http://127.0.0.1:{dashboard_port}", f"ray://127.0.0.1:{client_port}", environment
        )
        _wait_for(started, process, Path(folder) / "log")
        yield started
    finally:
        _end(psutil.Process(process.pid))
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _wait_for(head: Head, process: subprocess.Popen, log: Path) -> None:
    """Until the job server answers; a port that is open may not do so yet."""
    token = f"Bearer {head.environment['RAY_AUTH_TOKEN']}"
    question = Request(f"{head.dashboard}/api/version", headers={"Authorization": token})
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urlopen(question, timeout=10):
                return
        except OSError:
            time.sleep(0.5)
    raise AssertionError(f"{head.dashboard} does not answer:\n{log.read_text()}")


def _end(process: psutil.Process) -> None:
    family = [process, *process.children(recursive=True)]
    process.terminate()
    _, alive = psutil.wait_procs(family, timeout=15)
    for one in alive:
        one.kill()
    psutil.wait_procs(alive, timeout=5)


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Two videos, and a third that is not there."""
    dice = np.random.default_rng(0)
    for name in ("a", "b"):
        frames = (dice.integers(0, 255, (96, 96, 3), np.uint8) for _ in range(20))
        write_playable(tmp_path / f"{name}.mp4", frames, fps=10, comment="test")
    lines = [f"{name},{name}.mp4,local,test,unknown" for name in ("a", "b", "c")]
    target = tmp_path / "sources.csv"
    target.write_text("\n".join(["source_id,path,platform,licence,consent", *lines]))
    return target


def test_a_submitted_job_runs_inside_the_cluster(head: Head, manifest: Path, tmp_path: Path):
    """The job succeeds, its workers were actors of this cluster, and every source has a row."""
    root = tmp_path / "dataset"
    there = ["--set", "job.resources={fetch: {download: 1}}"]  # as docs/runbook.md has it
    done = head.submit(*CHAMP, "fetch", str(root), str(manifest), *there)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 items" in done.stdout
    outcomes = {row.key: row.reason or row.status for row in read_outcomes(root, "fetch")}
    assert outcomes == {"a": "ok", "b": "ok", "c": "fetch.missing_file"}
    listed = head.run(RAY, "list", "actors", "--address", head.dashboard, "--format", "json")
    assert listed.returncode == 0, listed.stderr
    actors = json.loads(listed.stdout)
    assert "StageWorker" in {actor["class_name"] for actor in actors}
    assert all(json.loads(row.versions)["ray"] for row in read_outcomes(root, "fetch"))


def test_a_driver_outside_the_cluster_uses_its_workers(head: Head, manifest: Path, tmp_path: Path):
    """`--address ray://...`: the driver is here, the workers are the cluster's."""
    root = tmp_path / "dataset"
    done = head.run(*CHAMP, "fetch", str(root), str(manifest), "--address", head.client)
    assert done.returncode == 0, done.stdout + done.stderr
    outcomes = {row.key: row.reason or row.status for row in read_outcomes(root, "fetch")}
    assert outcomes == {"a": "ok", "b": "ok", "c": "fetch.missing_file"}


def test_nobody_submits_without_the_token(head: Head):
    """Another token is refused, and nothing runs."""
    done = head.submit("true", RAY_AUTH_TOKEN=secrets.token_hex(32))
    assert done.returncode != 0
    assert "403" in done.stderr or "Invalid authentication token" in done.stderr

"""Whatever breaks, and whenever: every clip is there once, with its bytes, and nothing else is."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dataset import faults
from dataset.faults import FAULT_POINTS
from dataset.object_store import ObjectPath
from dataset.storage import Location
from dataset.tables import read_table
from tests.integration.media_job import check_complete, check_valid, run
from tests.s3_server import s3_server

REPOSITORY = Path(__file__).resolve().parents[2]
OF_A_JOB = [
    point
    for point in FAULT_POINTS
    if point.partition(".")[0] in ("shard", "commit", "outcomes", "lock")
]
SEVERAL_TIMES = [point for point in OF_A_JOB if point != "lock.taken"]
ITEMS = 8


@pytest.fixture(scope="module")
def bucket() -> Iterator[None]:
    with s3_server():
        yield


@pytest.fixture(params=["disk", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch) -> Location:
    """A dataset on a disk, and one in an object store whose leases end soon."""
    monkeypatch.setenv("CHAMP_SCRATCH", str(tmp_path / "scratch"))
    monkeypatch.setenv("CHAMP_LEASE_SECONDS", "1")
    if request.param == "disk":
        return tmp_path / "dataset"
    request.getfixturevalue("bucket")
    return ObjectPath("champ", f"set-{abs(hash(request.node.nodeid))}")


def start(
    root: Location, folder: Path, *options: str, items: int = ITEMS, seconds: float = 0.0
) -> subprocess.Popen[bytes]:
    """The job in a process of its own; the faults to come are the files of ``folder/faults``."""
    (folder / "faults").mkdir(exist_ok=True)
    arguments = [str(root), str(items), str(seconds), str(folder / "log.txt"), *options]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.integration.media_job", *arguments],
        cwd=REPOSITORY,
        env={**os.environ, "OMP_NUM_THREADS": "1", "CHAMP_FAULTS": str(folder / "faults")},
        stderr=subprocess.PIPE,
    )


def finish(process: subprocess.Popen[bytes]) -> tuple[int, str]:
    """Its exit status and what it said."""
    _, said = process.communicate(timeout=120)
    return process.returncode, said.decode()


def plan_fault(folder: Path, point: str, nth: int, action: str) -> None:
    (folder / "faults").mkdir(exist_ok=True)
    (folder / "faults" / f"{point}-{nth}-{action}").touch()


@pytest.mark.parametrize("action", ["full", pytest.param("broken", marks=pytest.mark.slow)])
def test_errors_leave_a_valid_table_and_a_rerun_completes(
    tmp_path: Path, monkeypatch, action: str
) -> None:
    """Disk full, or an I/O error, at the second passage of every step in turn: the job stops with
    it, the table is valid after each, and the last run completes the work."""
    root, log, items = tmp_path / "dataset", tmp_path / "log.txt", 2 * len(SEVERAL_TIMES)
    monkeypatch.setattr(faults, "_FOLDER", str(tmp_path / "faults"))
    for point in SEVERAL_TIMES:
        monkeypatch.setattr(faults, "_passed", faults.Counter())
        plan_fault(tmp_path, point, 2, action)
        with pytest.raises(OSError, match=point):
            run(root, items, log)
        check_valid(root)
    monkeypatch.setattr(faults, "_FOLDER", None)
    run(root, items, log)
    check_complete(root, items)


@pytest.mark.parametrize("root", ["disk"], indirect=True)
@pytest.mark.parametrize(
    "points",
    [
        pytest.param(["shard.group_written", "shard.renamed", "commit.written", "outcomes.begun"]),
        pytest.param(OF_A_JOB, marks=pytest.mark.slow),
    ],
    ids=["some", "all"],
)
def test_killed_at_each_step_in_turn(root: Location, tmp_path: Path, points: list[str]) -> None:
    """kill -9 of worker and committer at every step, one after the other, then a run to the end."""
    for point in points:
        plan_fault(tmp_path, point, 1 if point == "lock.taken" else 2, "kill")
        assert finish(start(root, tmp_path, items=20))[0] == -signal.SIGKILL, point
        check_valid(root)
    assert finish(start(root, tmp_path, items=20)) == (0, "")
    check_complete(root, 20)


@pytest.mark.parametrize("root", ["s3"], indirect=True)
@pytest.mark.parametrize(
    "points",
    [
        pytest.param(["commit.written"]),
        pytest.param([p for p in OF_A_JOB if p not in ("shard.synced",)], marks=pytest.mark.slow),
    ],
    ids=["some", "all"],
)
def test_killed_in_an_object_store(root: Location, tmp_path: Path, points: list[str]) -> None:
    """The same where nothing can be renamed, synced or locked: the dead one's lease runs out."""
    items = 3 * len(points) + 2
    for point in points:
        plan_fault(tmp_path, point, 1 if point == "lock.taken" else 2, "kill")
        assert finish(start(root, tmp_path, items=items))[0] == -signal.SIGKILL, point
        check_valid(root)
    assert finish(start(root, tmp_path, items=items)) == (0, "")
    check_complete(root, items)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("root", ["disk"], indirect=True)
def test_random_schedules(root: Location, tmp_path: Path, seed: int) -> None:
    """Kills and errors at random steps, several a run; the job is started until it ends well."""
    chance = random.Random(seed)
    for _ in range(chance.randint(3, 8)):
        action = chance.choice(["kill", "kill", "full", "broken"])
        plan_fault(tmp_path, chance.choice(OF_A_JOB), chance.randint(1, ITEMS), action)
    for _ in range(20):
        status, _ = finish(start(root, tmp_path))
        check_valid(root)
        if status == 0:
            break
    check_complete(root, ITEMS)


@pytest.mark.slow
@pytest.mark.parametrize("root", ["disk", "s3"], indirect=True)
@pytest.mark.parametrize("point", ["shard.group_written", "shard.renamed", "shard.done"])
def test_a_worker_killed_on_ray(root: Location, tmp_path: Path, point: str) -> None:
    """A worker of Ray dies while it writes: the driver gives its items to another one."""
    plan_fault(tmp_path, point, 2, "kill")
    status, said = finish(start(root, tmp_path, "ray"))
    assert status == 0, said
    assert list((tmp_path / "faults").iterdir()) == []
    check_complete(root, ITEMS)


@pytest.mark.slow
@pytest.mark.parametrize("root", ["disk", "s3"], indirect=True)
def test_a_driver_killed_on_ray(root: Location, tmp_path: Path) -> None:
    """The driver dies between commit and outcomes; a new one with a new Ray goes on."""
    plan_fault(tmp_path, "commit.done", 3, "kill")
    assert finish(start(root, tmp_path, "ray"))[0] == -signal.SIGKILL
    check_valid(root)
    assert finish(start(root, tmp_path, "ray"))[0] == 0
    check_complete(root, ITEMS)


@pytest.mark.parametrize(
    "root", ["disk", pytest.param("s3", marks=pytest.mark.slow)], indirect=True
)
def test_two_drivers_at_once(root: Location, tmp_path: Path) -> None:
    """The second waits for the first, and finds everything done."""
    drivers = [start(root, tmp_path, seconds=0.02) for _ in range(2)]
    assert [finish(driver) for driver in drivers] == [(0, ""), (0, "")]
    check_complete(root, ITEMS)
    assert len((tmp_path / "log.txt").read_text().split()) == ITEMS


@pytest.mark.parametrize("root", ["s3"], indirect=True)
def test_a_driver_that_slept_through_its_lease_commits_nothing(
    root: Location, tmp_path: Path
) -> None:
    """Stopped for longer than its lease, and woken beside its successor: it ends and says why."""
    first = start(root, tmp_path, items=9, seconds=0.1)
    wait_for_rows(root, 1)
    first.send_signal(signal.SIGSTOP)
    second = start(root, tmp_path, items=9, seconds=0.1)
    had = read_table(root, "guidance").num_rows
    wait_for_rows(root, had + 2)
    first.send_signal(signal.SIGCONT)
    status, said = finish(first)
    assert status == 1
    assert "LockLostError: fence-media: process 2 took over from this one, 1" in said
    assert finish(second) == (0, "")
    check_complete(root, 9)


def wait_for_rows(root: Location, rows: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if read_table(root, "guidance", columns=["clip_id"]).num_rows >= rows:
            return
        time.sleep(0.05)
    raise AssertionError(f"there are no {rows} rows after 60 s")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 700 kB, where this process may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=700k", "none", str(folder)]
    try:
        made = subprocess.run(mount, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no mount command")
    if made.returncode:
        pytest.skip(f"no file system can be mounted here: {made.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_is_full(small_disk: Path, tmp_path: Path) -> None:
    """The job ends with what the system says, the table is valid; with room the rerun completes."""
    root = small_disk / "dataset"
    status, said = finish(start(root, tmp_path, items=14))
    assert status != 0
    assert "No space left on device" in said
    assert 0 < len(check_valid(root)) < 13
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    assert finish(start(root, tmp_path, items=14)) == (0, "")
    check_complete(root, 14)

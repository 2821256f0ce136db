"""A table that is made as a whole: whatever breaks, and whenever, it is the old one or the new."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dataset import faults
from dataset.faults import FAULT_POINTS
from dataset.outcomes import read_outcomes
from dataset.tables import commit, live_files, read_table, sweep_orphans, write_shard
from pipeline.job import JobSummary, RunOptions
from pipeline.whole_table_job import Made, WholeTableSpec, run_whole_table

REPOSITORY = Path(__file__).resolve().parents[2]
POINTS = [
    point
    for point in FAULT_POINTS
    if point.partition(".")[0] in ("shard", "commit", "outcomes", "lock")
]


def spec_of(root: Path) -> WholeTableSpec:
    """A decision over every clip there is."""
    return WholeTableSpec(
        job="decide", table="selection", root=root, recipe="r", inputs=[("clips", "c")]
    )


def decide(root: Path) -> JobSummary:
    """Write a row for every clip, with how many clips there were."""

    def make() -> Made:
        names = read_table(root, "clips", columns=["clip_id"]).column(0).to_pylist()
        rows = [{"clip_id": name, "reason": str(len(names))} for name in names]
        return Made(rows=rows, statuses={"selected": len(rows)})

    return run_whole_table(spec_of(root), make, RunOptions(quiet=True))


def add_clip(root: Path, name: str) -> None:
    shard = write_shard(root, "clips", [{"clip_id": name, "recipe": "c"}], name=name)
    commit(root, "clips", [shard], app=name)


def decisions(root: Path) -> list[tuple[str, str]]:
    rows = read_table(root, "selection").to_pylist()
    return sorted((row["clip_id"], row["reason"]) for row in rows)


OLD = [("a", "1")]
NEW = [("a", "2"), ("b", "2")]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """One clip that was decided over, and another one since."""
    add_clip(tmp_path / "data", "a")
    decide(tmp_path / "data")
    add_clip(tmp_path / "data", "b")
    return tmp_path / "data"


def check_rerun(root: Path) -> None:
    """The next run completes, and the one after it has nothing to do; no remains are read."""
    assert decisions(root) in (OLD, NEW)
    decide(root)
    assert decisions(root) == NEW
    assert decide(root).statuses == {}
    sweep_orphans(root, "selection", older_than_seconds=0.0)
    assert decisions(root) == NEW
    assert len(live_files(root, "selection")) == 1
    assert spec_of(root).shard_name() in {row.key for row in read_outcomes(root, "decide")}


@pytest.mark.parametrize("action", ["full", "broken"])
def test_errors_leave_the_old_table_or_the_new_one(root, tmp_path, monkeypatch, action):
    """Disk full, or an I/O error, at every step in turn."""
    folder = tmp_path / "faults"
    folder.mkdir()
    for point in POINTS:
        monkeypatch.setattr(faults, "_FOLDER", str(folder))
        faults._passed.clear()
        (folder / f"{point}-1-{action}").touch()
        before = decisions(root)
        with pytest.raises(OSError, match=point.replace(".", r"\.")):
            decide(root)
        monkeypatch.setattr(faults, "_FOLDER", None)
        assert decisions(root) in (before, NEW)
        if decisions(root) == NEW:
            break
    check_rerun(root)


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
def test_killed_at_every_step(root, tmp_path, point):
    """kill -9 in the middle: the rows from before or those after, and a rerun completes."""
    folder = tmp_path / "faults"
    folder.mkdir()
    (folder / f"{point}-1-kill").touch()
    program = "import sys; from pathlib import Path; from tests.integration.test_whole_table_jobs "
    program += "import decide; decide(Path(sys.argv[1]))"
    process = subprocess.run(
        [sys.executable, "-c", program, str(root)],
        cwd=REPOSITORY,
        env={**os.environ, "CHAMP_FAULTS": str(folder)},
        check=False,
    )
    assert process.returncode == -signal.SIGKILL
    check_rerun(root)

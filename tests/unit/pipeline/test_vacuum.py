"""Vacuum removes what killed jobs leave behind, by age, and nothing that anybody names or holds."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dataset.locks import dataset_lock
from dataset.tables import read_row, read_table, write_shard
from pipeline.cli import app
from pipeline.vacuum import vacuum
from tests.unit.pipeline.chain_dataset import CLIPS, RECIPE, write_chain

DAY = 24 * 3600.0


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_chain(tmp_path_factory.mktemp("chain"))


@pytest.fixture
def orphans(dataset: Path) -> list[Path]:
    """One of every kind that a job leaves when it is killed."""
    shard = write_shard(dataset, "clips", [{"clip_id": "late", "recipe": RECIPE}], name="orphan")
    paths = [
        dataset / "clips" / shard.path,
        dataset / "guidance" / ".half.1.ab.tmp",
        dataset / "files" / "ab" / f"{'ab' * 32}.mp4",
        dataset / "outputs" / RECIPE / "own.frames.mp4.77.tmp",
        dataset / "outputs" / "older-recipe" / "gone.mp4",
        dataset / ".locks" / "render.lock",
    ]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return paths


def age(paths: list[Path], seconds: float) -> None:
    for path in paths:
        os.utime(path, (time.time() - seconds,) * 2)


def test_old_orphans_go_and_all_that_is_named_stays(dataset: Path, orphans: list[Path]) -> None:
    """However old the dataset itself is; its rows, videos and animations can still be read."""
    everything = [path for path in dataset.rglob("*") if path.is_file()]
    before = {
        name: read_table(dataset, name).num_rows for name in ("videos", "clips", "animations")
    }
    age(everything, 2 * DAY)
    assert sorted(vacuum(dataset, older_than_seconds=DAY)) == sorted(orphans)
    assert sorted(everything) == sorted([*orphans, *(p for p in dataset.rglob("*") if p.is_file())])
    assert {name: read_table(dataset, name).num_rows for name in before} == before
    assert read_row(dataset, "guidance", CLIPS["walk"], columns=["rgb"])["rgb"]
    for column, table in (("path", "videos"), ("frames_path", "animations")):
        for path in read_table(dataset, table, columns=[column]).column(column).to_pylist():
            assert (dataset / path).is_file()


def test_young_orphans_stay(dataset: Path, orphans: list[Path]) -> None:
    """A running job may be about to name them: a day, unless told otherwise."""
    age(orphans, DAY - 60)
    assert CliRunner().invoke(app, ["vacuum", str(dataset)]).output == ""
    assert all(path.exists() for path in orphans)
    result = CliRunner().invoke(app, ["vacuum", str(dataset), "--hours", "23"])
    assert result.output.count("removed ") == len(orphans)
    assert not any(path.exists() for path in orphans)


def test_a_lock_that_is_held_stays(dataset: Path) -> None:
    """However long its holder has been at work."""
    with dataset_lock(dataset, "train"):
        path = dataset / ".locks" / "train.lock"
        age([path], 9 * DAY)
        assert path not in list(vacuum(dataset, older_than_seconds=DAY))
        assert path.exists()
    assert list(vacuum(dataset, older_than_seconds=DAY)) == [path]

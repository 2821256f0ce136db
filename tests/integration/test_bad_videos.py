"""Bad input costs its own row: the fetch and curate jobs go on and say why."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from dataset.assets import AssetError, asset_path
from dataset.outcomes import read_outcomes
from dataset.tables import read_table
from dataset.video import write_playable
from pipeline.config import load_config
from pipeline.job import RunOptions
from pipeline.jobs.curate import curate
from pipeline.jobs.fetch import fetch
from pipeline.jobs.render import render
from pipeline.workspace import Workspace


def _sample(name: str) -> Path:
    try:
        return asset_path(f"video/{name}")
    except AssetError as error:
        pytest.skip(f"the sample videos need a package index: {error}")


def _moving_square(frames: int = 45) -> Iterator[np.ndarray]:
    for number in range(frames):
        picture = np.full((240, 320, 3), 90, np.uint8)
        cv2.rectangle(picture, (4 * number, 80), (4 * number + 60, 160), (200, 40, 40), -1)
        yield picture


@pytest.fixture(scope="module")
def workspace(tmp_path_factory) -> Workspace:
    """A dataset that was fetched and curated from one good video and many bad ones."""
    folder = tmp_path_factory.mktemp("bad")
    good = _sample("jumping_jacks")
    (folder / "truncated.mp4").write_bytes(good.read_bytes()[: good.stat().st_size // 2])
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "text.mp4").write_text("this is no video\n" * 50)
    write_playable(folder / "nobody.mp4", _moving_square(), fps=30)
    rows = {
        "good": {"path": good},
        "several": {"path": _sample("two_people_cam01")},
        "truncated": {"path": folder / "truncated.mp4"},
        "empty": {"path": folder / "empty.mp4"},
        "text": {"path": folder / "text.mp4"},
        "nobody": {"path": folder / "nobody.mp4"},
        "gone": {"path": folder / "gone.mp4"},
        "inner": {"url": "http://127.0.0.1:1/video.mp4"},
        "../../up": {"path": good},
    }
    manifest = folder / "sources.csv"
    with manifest.open("w", newline="") as handle:
        names = ["source_id", "path", "url", "platform", "licence", "consent"]
        writer = csv.DictWriter(handle, names, restval="test")
        writer.writeheader()
        for source_id, where in rows.items():
            writer.writerow({"source_id": source_id, "path": "", "url": ""} | where)
    options = RunOptions(in_process=True, quiet=True)
    made = Workspace(root=folder / "dataset", config=load_config("tiny"), options=options)
    fetch(made, manifest)
    curate(made)
    return made


def _reasons(workspace: Workspace, job: str) -> dict[str, str]:
    return {row.key: row.reason or row.status for row in read_outcomes(workspace.root, job)}


def test_every_source_has_an_outcome_with_its_reason(workspace):
    """Nothing is lost: nine rows in the manifest, nine outcomes, each with its own reason."""
    reasons = _reasons(workspace, "fetch")
    assert len(reasons) == 9
    assert reasons["good"] == reasons["several"] == reasons["nobody"] == "ok"
    assert reasons["empty"] == "probe.empty"
    assert reasons["text"] == "probe.not_video"
    assert reasons["gone"] == "fetch.missing_file"
    assert reasons["inner"] == "fetch.private_address"


def test_a_truncated_video_is_failed_wherever_it_shows(workspace):
    """Half a file never becomes half a clip: fetch or curate says that it is truncated."""
    told = [_reasons(workspace, job).get("truncated") for job in ("fetch", "curate")]
    assert any(reason and reason not in ("ok",) for reason in told)
    clips = read_table(workspace.root, "clips").to_pylist()
    assert not [clip for clip in clips if clip["source_id"] == "truncated"]


def test_videos_without_people_are_rejected_and_several_people_are_not_selected(workspace):
    """No person, no clip; two people, a candidate with the reason against it."""
    assert _reasons(workspace, "curate")["nobody"] == "curate.no_person"
    decisions = read_table(workspace.root, "selection").to_pylist()
    several = [row for row in decisions if row["source_id"] == "several"]
    assert several
    assert {row["reason"] for row in several} == {"select.second_person"}


def test_the_good_video_comes_through_to_its_maps(workspace):
    """The job goes on: the span in which one person is alone is selected and rendered."""
    render(workspace)
    rows = read_table(workspace.root, "guidance").to_pylist()
    assert [row["source_id"] for row in rows] == ["good"]
    assert np.median(rows[0]["reprojection_error_px"]) < 6


def test_no_file_is_written_outside_the_dataset(workspace):
    """An id that would climb out of the folder is a rejected row."""
    (bad,) = [key for key in _reasons(workspace, "fetch") if "up" in key or key.startswith("row")]
    assert _reasons(workspace, "fetch")[bad].startswith("manifest.")
    assert not (workspace.root.parent / "up").exists()


@pytest.mark.parametrize("suffix", [".npz", ".pkl"])
def test_a_body_model_that_is_not_one_is_told_before_any_work(workspace, tmp_path, suffix):
    """The error names the file; no clip gets an outcome that it does not deserve."""
    path = tmp_path / f"SMPL_NEUTRAL{suffix}"
    path.write_text("hello")
    config = load_config("tiny", [f"render.body_model={path}"])
    before = len(read_outcomes(workspace.root))
    with pytest.raises(ValueError, match=rf"SMPL_NEUTRAL\{suffix}"):
        render(replace(workspace, config=config))
    assert len(read_outcomes(workspace.root)) == before

"""The commands on a dataset in an object store: what a folder holds, a bucket holds."""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dataset.object_store import ObjectPath
from dataset.outcomes import read_outcomes
from dataset.storage import files_below, read_file
from dataset.tables import read_table
from pipeline.cli import app
from tests.s3_server import ACCESS, s3_server
from tests.unit.curation.sample_media import media

REPOSITORY = Path(__file__).resolve().parents[2]
ROOT = ObjectPath("champ", "sets/first")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A server, and a folder with a manifest of a person, and of a file that is no video."""
    folder = tmp_path_factory.mktemp("work")
    (folder / "text.mp4").write_text("no video")
    with (folder / "sources.csv").open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["source_id", "path", "platform", "licence", "consent"])
        writer.writerow(["jack", media("pos_jumpingjack.mp4"), "local", "CC0", "yes"])
        writer.writerow(["text", folder / "text.mp4", "local", "CC0", "yes"])
    with s3_server(), pytest.MonkeyPatch.context() as patched:
        patched.setenv("CHAMP_SCRATCH", str(folder / "scratch"))
        patched.setenv("CHAMP_LEASE_SECONDS", "5")
        patched.chdir(folder)
        yield folder


def champ(*arguments: str, status: int = 0) -> str:
    """Run a command here; what it printed."""
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == status, (result.output, result.exception)
    return result.output


@pytest.fixture(scope="module")
def curated(folder: Path) -> Path:
    """The dataset after fetch and curate, in this process."""
    champ("fetch", str(ROOT), "sources.csv", "--in-process")
    champ("curate", str(ROOT), "--in-process", "--set", "curate.min_clip_seconds=0.5")
    return folder


def test_fetch_and_curate(curated: Path) -> None:
    """Videos, tables and outcomes are in the bucket; nothing is left on this machine but copies."""
    (video,) = read_table(ROOT, "videos").to_pylist()
    stored = read_file(ROOT / video["path"])
    assert stored == media("pos_jumpingjack.mp4").read_bytes()
    assert hashlib.sha256(stored).hexdigest() == video["content_sha256"]
    statuses = {row.key: row.reason or row.status for row in read_outcomes(ROOT, "fetch")}
    assert statuses == {"jack": "ok", "text": "probe.not_video"}
    clips = read_table(ROOT, "clips").to_pylist()
    assert clips
    assert {clip["video_path"] for clip in clips} == {video["path"]}
    assert read_table(ROOT, "selection").num_rows >= len(clips)
    here = {path.name for path in curated.iterdir()}
    assert here == {"text.mp4", "sources.csv", "scratch"}
    kept = [path for path in (curated / "scratch").rglob("*") if path.is_file()]
    assert [path.read_bytes() for path in kept] == [stored]


def test_a_second_run_finds_everything_done(curated: Path) -> None:
    """Resume is an anti-join in a bucket too; a dry run says so and changes nothing."""
    before = {file.path: file.version for file in files_below(ROOT) if ".locks" not in str(file)}
    told = champ("fetch", str(ROOT), "sources.csv", "--in-process", "--dry-run")
    assert "2 done before" in told
    tables = [path for path in before if "/_delta_log/" not in str(path)]
    after = {file.path: file.version for file in files_below(ROOT)}
    assert {path: after.get(path) for path in tables} == {path: before[path] for path in tables}


def test_what_is_told_of_it(curated: Path) -> None:
    """`champ files` names objects; `champ vacuum` finds nothing to remove in a tidy dataset."""
    (line,) = champ("files", str(ROOT), "videos").split()
    assert line.startswith(f"{ROOT}/videos/")
    assert champ("vacuum", str(ROOT), "--hours", "0") == ""


def test_what_needs_a_folder_says_so(curated: Path) -> None:
    """Training writes to a disk: the message says which option names it."""
    result = CliRunner().invoke(app, ["train", str(ROOT), "--stage", "vae"])
    assert isinstance(result.exception, ValueError)
    assert "what training writes needs a folder of this machine" in str(result.exception)
    assert "--runs" in str(result.exception)


def test_no_secret_is_stored(curated: Path) -> None:
    """Keys and endpoint come from the environment and are in no object."""
    secrets = [ACCESS["AWS_SECRET_ACCESS_KEY"], os.environ["AWS_ENDPOINT_URL"]]
    for file in files_below(ROOT):
        content = read_file(file.path)
        assert not [secret for secret in secrets if secret.encode() in content], file.path


@pytest.mark.slow
def test_rendered_and_reported(curated: Path) -> None:
    """A clip is fitted and drawn from the bucket into the bucket, and shown in a report."""
    loose = ["--set", "curate.min_clip_seconds=0.5", "--set", "render.max_side=128"]
    champ("render", str(ROOT), "--in-process", *loose)
    decisions = read_table(ROOT, "selection").to_pylist()
    chosen = {row["clip_id"] for row in decisions if row["selected"]}
    statuses = {row.key: row.status for row in read_outcomes(ROOT, "render")}
    drawn = set(read_table(ROOT, "guidance").column("clip_id").to_pylist())
    assert chosen
    assert statuses.keys() == chosen
    assert drawn == {key for key, status in statuses.items() if status == "ok"}
    page = curated.parent / "report.html"
    champ("report", str(ROOT), "--out", str(page), *loose)
    assert page.stat().st_size > 10_000


@pytest.mark.slow
def test_fetched_by_workers_of_ray(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers have the environment of the Ray they belong to, so they reach the bucket."""
    other = ObjectPath("champ", "sets/on-ray")
    monkeypatch.chdir(REPOSITORY)  # where workers find the packages
    champ("fetch", str(other), str(folder / "sources.csv"))
    (video,) = read_table(other, "videos").to_pylist()
    assert read_file(other / video["path"]) == media("pos_jumpingjack.mp4").read_bytes()


def test_a_source_is_forgotten(curated: Path) -> None:
    """Rows, objects and log entries of it are gone from the bucket, and it cannot come back."""
    champ("forget", str(ROOT), "jack")
    assert read_table(ROOT, "videos").num_rows == 0
    assert not [file.path for file in files_below(ROOT / "files")]
    assert "1 rejected" in champ("fetch", str(ROOT), "sources.csv", "--in-process")

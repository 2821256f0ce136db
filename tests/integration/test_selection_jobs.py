"""`champ duplicates` and `champ select` on real tables: exactly once, exchanged as a whole."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from dataset.outcomes import read_outcomes
from dataset.replacing import recipe_files, replace_rows
from dataset.tables import commit, live_files, read_table, write_shard
from dataset.takedown import remove_rows
from pipeline.cli import app
from pipeline.config import load_config
from pipeline.job import RunOptions
from pipeline.jobs.duplicates import duplicates
from pipeline.jobs.select import select
from pipeline.recipes import curate_recipe, duplicates_recipe, fetch_recipe, select_recipe
from pipeline.workspace import Workspace
from tests.unit.curation.test_select import GOOD

HASHES = b"".join((0x9E3779B97F4A7C15 * k % 2**64).to_bytes(8, "big") for k in range(1, 7))
MIX = ["select.quotas={platform: {bilibili: 1}, label_dance_form: {ballet: 1}}"]


def clip(name: str, source: str, **scores: object) -> dict[str, object]:
    """A row of clips that passes every threshold, but for ``scores``."""
    own = {"frames": 30, "track": 0, "frame_hashes": hash_of(name)}
    return {"clip_id": name, "source_id": source} | GOOD | own | scores


def hash_of(name: str) -> bytes:
    """Six hashes of a picture of its own."""
    return b"".join((hash_number(name, k)).to_bytes(8, "big") for k in range(6))


def hash_number(name: str, k: int) -> int:
    return (sum(map(ord, name)) * 0x9E3779B97F4A7C15 + k * 0xBF58476D1CE4E5B9) % 2**64


CLIPS = [
    clip("film-1", "film", frame_hashes=HASHES),
    clip("upload-1", "upload", frame_hashes=HASHES, width=1440, height=2560),
    clip("other-1", "other"),
    clip("other-2", "other", motion=0.0),
    clip("dance-1", "dance"),
]
VIDEOS = [
    {"source_id": "film", "content_sha256": "f1", "platform": "bilibili", "labels": None},
    {"source_id": "upload", "content_sha256": "f2", "platform": "tiktok", "labels": None},
    {"source_id": "other", "content_sha256": "f3", "platform": "bilibili"},
    {"source_id": "dance", "content_sha256": "f4", "platform": "kuaishou"},
]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A dataset with four videos and their clips, scored and not yet decided over."""
    made = Workspace(root=tmp_path / "data", options=RunOptions(quiet=True))
    labels = json.dumps({"label_dance_form": "ballet"})
    videos = [{"labels": labels} | row | {"recipe": fetch_recipe(made.config)} for row in VIDEOS]
    add(made.root, "videos", videos, "videos")
    add_clips(made, CLIPS, "first")
    return made


def add(root: Path, table: str, rows: list[dict[str, object]], name: str) -> None:
    commit(root, table, [write_shard(root, table, rows, name=name)], app=name)


def add_clips(workspace: Workspace, clips: list[dict[str, object]], name: str) -> None:
    recipe = curate_recipe(workspace.config)
    add(workspace.root, "clips", [row | {"recipe": recipe} for row in clips], name)


def decided(workspace: Workspace) -> dict[str, str]:
    rows = read_table(workspace.root, "selection", recipe=select_recipe(workspace.config))
    names = rows.column("clip_id").to_pylist()
    assert len(set(names)) == len(names)
    return dict(zip(names, rows.column("reason").to_pylist(), strict=True))


def with_settings(workspace: Workspace, changes: list[str]) -> Workspace:
    return replace(workspace, config=load_config(None, changes))


def test_copies_are_turned_down_and_the_best_is_selected(workspace):
    """Two uploads of one film: the larger one is selected, across platforms."""
    assert duplicates(workspace).statuses == {"kept": 4, "near": 1}
    assert select(workspace).statuses == {"selected": 3, "rejected": 2}
    assert decided(workspace) == {
        "film-1": "select.duplicate",
        "upload-1": "",
        "other-1": "",
        "other-2": "select.still",
        "dance-1": "",
    }


def test_a_second_run_changes_nothing(workspace):
    """Nothing to do: no commit, no file, no outcome."""
    duplicates(workspace)
    select(workspace)
    before = live_files(workspace.root, "selection"), len(read_outcomes(workspace.root))
    assert (duplicates(workspace).statuses, select(workspace).statuses) == ({}, {})
    assert (live_files(workspace.root, "selection"), len(read_outcomes(workspace.root))) == before


def test_new_clips_are_decided_over_with_the_old_ones(workspace):
    """A better copy that comes later takes the old one's place, in one transaction."""
    duplicates(workspace)
    select(workspace)
    better = clip("new-1", "new", frame_hashes=HASHES, width=2880, height=5120)
    add_clips(workspace, [better], "second")
    duplicates(workspace)
    select(workspace)
    reasons = decided(workspace)
    assert (reasons["new-1"], reasons["upload-1"]) == ("", "select.duplicate")
    assert len(reasons) == len(CLIPS) + 1
    assert len(live_files(workspace.root, "selection")) == 1


def test_what_is_taken_down_frees_its_copies(workspace):
    """After the best copy is gone, the next best is decided over again."""
    duplicates(workspace)
    select(workspace)
    for table in ("clips", "selection", "duplicates"):
        remove_rows(workspace.root, table, {"upload-1"})
    duplicates(workspace)
    select(workspace)
    assert decided(workspace)["film-1"] == ""
    assert len(decided(workspace)) == len(CLIPS) - 1


def test_two_thresholds_have_a_selection_each(workspace):
    """Another configuration decides beside the first one; going back costs nothing."""
    duplicates(workspace)
    select(workspace)
    strict = with_settings(workspace, ["select.min_sharpness=1000"])
    assert select(strict).statuses == {"rejected": 5}
    assert Counter(decided(workspace).values())[""] == 3
    assert select(workspace).statuses == {}


def test_quotas_count_platforms_and_labels(workspace):
    """One clip of Bilibili, one ballet of the manifest's labels; a null label is unknown."""
    chosen = with_settings(workspace, MIX)
    duplicates(chosen)
    select(chosen)
    assert decided(chosen)["upload-1"] == ""
    assert Counter(decided(chosen).values()) == {
        "": 2,
        "select.duplicate": 1,
        "select.still": 1,
        "select.quota": 1,
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("select.quotas={platfrom: {a: 1}}", "names 'platfrom', which is neither"),
        ("select.quotas={motion: {a: 1}}", "names 'motion', which is neither"),
        ("select.best_by=[framing]", "names 'framing', which is no score"),
    ],
)
def test_unknown_columns_are_refused(workspace, change, message):
    """A quota or an order over what there is not says what there is."""
    with pytest.raises(ValueError, match=message):
        select(with_settings(workspace, [change]))


def test_what_was_skipped_is_told(workspace):
    """Copies that nobody looked for, and scores without their network, are in the summary."""
    clips = [clip("blind-1", "blind", aesthetic=None, frame_hashes=None)]
    add_clips(workspace, clips, "second")
    summary = select(with_settings(workspace, ["select.min_aesthetic=4"]))
    assert "not checked: aesthetic of 1 clips, which have no value" in str(summary)
    assert "not checked: whether 5 clips are copies (champ duplicates)" in str(summary)
    assert "near copies of 1 clips, which have no hashes" in str(duplicates(workspace))
    [outcome] = read_outcomes(workspace.root, "select")
    assert "not checked: aesthetic" in outcome.message


def test_what_if_shows_two_funnels_and_writes_nothing(workspace):
    """`--what-if` prints today's funnel and the other one, which both add up."""
    duplicates(workspace)
    command = ["select", str(workspace.root), "--what-if", "select.max_camera_motion=0"]
    result = CliRunner().invoke(app, [*command, "--what-if", "select.min_motion=0"])
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.output.splitlines()]
    numbers = {line[1]: [int(x) for x in line if x.isdigit()] for line in lines if len(line) > 2}
    assert numbers["candidate"] == [5, 5]
    assert numbers["select.still"] == [1, 4, 0, 5]
    assert numbers["select.duplicate"] == [1, 3, 1, 4]
    assert numbers["selected"] == [3, 4]
    assert read_table(workspace.root, "selection").num_rows == 0


def test_what_if_is_about_the_selection_alone(workspace):
    """Clips under other settings of another job are not there: refused, by name."""
    command = ["select", str(workspace.root), "--what-if", "curate.fps=25"]
    result = CliRunner().invoke(app, command)
    assert isinstance(result.exception, ValueError)
    assert "--what-if takes select.key=value" in str(result.exception)


def test_rows_that_share_a_file_with_another_recipe_are_not_replaced(tmp_path):
    """A file of two recipes cannot be exchanged for one of them without losing the other's rows."""
    mixed = [{"clip_id": name, "recipe": recipe} for name, recipe in (("a", "r1"), ("b", "r3"))]
    add(tmp_path, "selection", mixed, "mixed")
    shard = write_shard(tmp_path, "selection", [{"clip_id": "a", "recipe": "r2"}], name="new")
    with pytest.raises(ValueError, match="several recipes"):
        replace_rows(tmp_path, "selection", shard, recipe="r2")
    assert read_table(tmp_path, "selection").num_rows == 2


def test_the_duplicates_table_tells_clusters(workspace):
    """Every clip has a row; a cluster is named after the clip that is kept."""
    duplicates(workspace)
    recipe = duplicates_recipe(workspace.config)
    rows = read_table(workspace.root, "duplicates", recipe=recipe)
    assert isinstance(rows, pa.Table)
    by_name = {row["clip_id"]: row for row in rows.to_pylist()}
    assert len(by_name) == len(CLIPS)
    film = by_name["film-1"]
    assert (film["cluster_id"], film["place"], film["kept"]) == ("upload-1", 1, False)
    assert (film["kind"], film["distance"]) == ("near", 0.0)
    assert recipe_files(workspace.root, "duplicates", recipe)

"""The ledger tells all that the tables know of a clip, and nothing of other clips."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from curation.select import CHECKS, SelectSettings
from dataset.outcomes import Outcome, append_outcomes
from dataset.tables import read_table
from pipeline.cli import app
from pipeline.ledger import read_ledger
from tests.unit.pipeline.chain_dataset import CLIPS, RECIPE, add, sha256, write_chain


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The chain, with a second decision, copies and a render that failed before it went well."""
    root = write_chain(tmp_path_factory.mktemp("chain"))
    row = {"clip_id": CLIPS["walk"], "source_id": "walk", "selected": False}
    add(root, "selection", [row | {"reason": "select.far_away", "recipe": "stricter"}], name="2")
    places = [(CLIPS["run"], 0, "kept"), (CLIPS["walk"], 1, "mirror")]
    copies = [
        {"clip_id": c, "cluster_id": CLIPS["run"], "place": p, "kind": k} for c, p, k in places
    ]
    add(root, "duplicates", copies, name="copies")
    failed = Outcome(
        key=CLIPS["walk"], job="render", recipe=RECIPE, status="failed", reason="fit.iou",
        message="the body misses the person", attempts=2, seconds=5.0,
    )  # fmt: skip
    append_outcomes(root, [failed])
    return root


def test_the_whole_story_is_there(root: Path) -> None:
    """Rights, scores, every decision, copies, attempts, versions, and what was made of it."""
    story = read_ledger(root, CLIPS["walk"], SelectSettings())
    assert json.loads(json.dumps(story, allow_nan=False)) == story
    (source,) = story["source"]
    assert (source["licence"], source["consent"]) == ("CC-BY-4.0", "given")
    assert source["content_sha256"] == sha256("walk")
    assert [(row["recipe"], row["selected"]) for row in story["decisions"]] == [
        (RECIPE, True), ("stricter", False),
    ]  # fmt: skip
    assert [row["clip_id"] for row in story["copies"]] == [CLIPS["run"], CLIPS["walk"]]
    assert story["guidance"][0]["silhouette_iou"] == pytest.approx(0.8)
    assert story["guidance"][0]["reprojection_error_px"] == 0
    assert story["latents"][0]["guidance_recipe"] == RECIPE
    made = {row["animation_id"]: row["metrics"] for row in story["animations"]}
    assert {name: [row["psnr"] for row in rows] for name, rows in made.items()} == {
        "own": [21.5], "mixed": [21.5],
    }  # fmt: skip
    jobs = [(row["job"], row["key"], row["status"], row["attempts"]) for row in story["jobs"]]
    assert ("render", CLIPS["walk"], "failed", 2) in jobs
    assert {("fetch", "walk", "ok", 1), ("animate", "mixed", "ok", 1)} <= set(jobs)
    assert {row["versions"].get("champ") for row in story["jobs"]} == {"0.1.0", None}
    assert story["seconds"] == pytest.approx(sum(row["seconds"] for row in story["jobs"]))


def test_nothing_of_other_clips_is_told(root: Path) -> None:
    """Not of the source whose name begins alike, nor animations without the clip."""
    story = json.dumps(read_ledger(root, CLIPS["walk"], SelectSettings()))
    assert "walk-2" not in story
    assert '"other"' not in story


def test_scores_stand_beside_thresholds_and_one_decides(root: Path) -> None:
    """The first check that fails decides, whatever fails after it."""
    settings = SelectSettings(min_person_share=0.5, max_motion=0.1, min_sharpness=100)
    checks = read_ledger(root, CLIPS["walk"], settings)["checks"]
    assert len(checks) == len(CHECKS)
    by_reason = {check["reason"]: check for check in checks}
    far = by_reason["select.far_away"]
    assert (far["value"], far["threshold"], far["passed"]) == (pytest.approx(0.2), 0.5, False)
    assert [check["reason"] for check in checks if check["decides"]] == ["select.far_away"]
    assert by_reason["select.erratic"]["passed"] is False
    assert by_reason["select.blurred"]["passed"] is True
    assert by_reason["select.unaesthetic"]["passed"] is None
    assert by_reason["select.too_short"]["value"] == pytest.approx(2.0)
    still = read_ledger(root, CLIPS["walk-2"], SelectSettings())["checks"]
    assert [check["reason"] for check in still if check["decides"]] == ["select.still"]


def test_the_page_is_readable_and_json_is_for_programs(root: Path) -> None:
    """The same story twice; thresholds are those of the configuration."""
    command = ["ledger", str(root), CLIPS["walk"], "--set", "select.min_person_share=0.5"]
    page = CliRunner().invoke(app, command, env={"COLUMNS": "160"})
    assert page.exit_code == 0, page.output
    for told in ("CC-BY-4.0", "decides: select.far_away", "mirror", "the body misses the person"):
        assert told in page.output
    story = json.loads(CliRunner().invoke(app, [*command, "--json"]).output)
    assert story["clip_id"] == CLIPS["walk"]
    assert [check["threshold"] for check in story["checks"] if check["decides"]] == [0.5]


def test_an_unknown_clip_is_refused_with_the_nearest(root: Path) -> None:
    """By likeness, or the clips of a source that was named instead."""
    with pytest.raises(ValueError, match=f"did you mean .*{CLIPS['walk']}"):
        read_ledger(root, "walk-000000-0004", SelectSettings())
    with pytest.raises(ValueError, match=rf"did you mean {CLIPS['run']}\?"):
        read_ledger(root, "run", SelectSettings())


def test_a_clip_without_any_rendering_has_a_story_too(root: Path) -> None:
    """It was turned down: source, scores, decision, and empty lists for what never was."""
    story = read_ledger(root, CLIPS["walk-2"], SelectSettings())
    assert story["decisions"][0]["reason"] == "select.still"
    assert story["guidance"] == story["latents"] == story["animations"] == story["exports"] == []
    assert read_table(root, "guidance").num_rows == 2

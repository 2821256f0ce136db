"""Fetching in several runs: what failed is tried again by its class, without the manifest."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from dataset.outcomes import read_outcomes
from dataset.tables import read_table
from dataset.video import write_playable
from pipeline.config import load_config
from pipeline.job import JobSummary, RunOptions
from pipeline.jobs.fetch import fetch, retry
from pipeline.workspace import Workspace
from tests.unit.curation.loopback import Loopback, Page, serve

PASSING, GONE, SIGNED, BUSY = "passing", "gone", "signed", "busy"


@dataclass
class Runs:
    """A dataset whose first fetch went badly, its server, and the video that it should get."""

    workspace: Workspace
    server: Loopback
    video: bytes
    first: JobSummary

    def newest(self) -> dict[str, str]:
        """The newest reason or status by source."""
        outcomes = read_outcomes(self.workspace.root, "fetch")
        return {outcome.key: outcome.reason or outcome.status for outcome in outcomes}


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Runs]:
    """One source that fails in passing, one that is gone, one signed, one whose host blocks."""
    write_playable(tmp_path / "v.mp4", [np.zeros((64, 64, 3), np.uint8)] * 5, fps=5)
    video = (tmp_path / "v.mp4").read_bytes()
    with serve() as server, serve() as blocker:
        server.pages["/passing"] = server.pages["/signed?sig=hush"] = Page(status=503)
        blocker.pages["/busy"] = Page(body=video, first=[Page(status=429)] * 9)
        urls = {PASSING: server.url("/passing"), GONE: server.url("/gone"),
                SIGNED: server.url("/signed?sig=hush"), BUSY: blocker.url("/busy")}  # fmt: skip
        manifest = tmp_path / "m.jsonl"
        manifest.write_text("\n".join(
            json.dumps({"source_id": key, "url": url, "licence": "CC0", "consent": "given",
                        # a platform of its own: both servers have one address
                        "platform": "kuaishou" if key == BUSY else "web",
                        "label_mood": "calm"})
            for key, url in urls.items()
        ))  # fmt: skip
        config = load_config(None, [
            f"fetch.allow_addresses=['{server.address}','{blocker.address}']", "fetch.attempts=1",
            "fetch.platforms.kuaishou.sleep_seconds=[0,0]", "fetch.patience_seconds=1",
        ])  # fmt: skip
        options = RunOptions(in_process=True, quiet=True)
        workspace = Workspace(root=tmp_path / "root", config=config, options=options)
        yield Runs(workspace, server, video, fetch(workspace, manifest))


def test_only_the_class_that_was_named_is_tried(runs: Runs) -> None:
    """What failed in passing is fetched from the sources table; the others are left alone."""
    assert runs.first.deferred == {"fetch.platform_paused": 1}
    expected = {PASSING: "fetch.http_503", GONE: "fetch.http_404", SIGNED: "fetch.http_503"}
    assert runs.newest() == expected
    runs.server.pages["/passing"] = Page(body=runs.video)
    runs.server.requests.clear()
    summary, unusable = retry(runs.workspace, "transient")
    assert (summary.statuses, unusable) == ({"ok": 1}, 1)  # the signature was not kept
    assert runs.server.requests == ["/passing"]
    assert runs.newest() == {**expected, PASSING: "ok"}
    (row,) = read_table(runs.workspace.root, "videos").to_pylist()
    assert (row["source_id"], row["labels"]) == (PASSING, '{"label_mood": "calm"}')


def test_dead_links_and_single_reasons(runs: Runs) -> None:
    """A reason by its name, and its class, lead to the same source; no other one is asked for."""
    runs.server.requests.clear()
    for only in ("permanent", "fetch.http_404"):
        summary, unusable = retry(runs.workspace, only)
        assert (summary.statuses, unusable) == ({"failed": 1}, 0)
    assert runs.server.requests == ["/gone", "/gone"]
    assert retry(runs.workspace, "fetch.no_such")[0].statuses == {}


def test_what_was_put_off_is_taken_up(runs: Runs) -> None:
    """A blocked source has no outcome; once its platform answers it is fetched like any other."""
    assert BUSY not in runs.newest()
    for _ in range(9):
        summary, _ = retry(runs.workspace, "blocked")
        if summary.statuses:
            break
        assert summary.deferred == {"fetch.platform_paused": 1}
    assert runs.newest()[BUSY] == "ok"


def test_sources_are_stored_once_and_without_signatures(runs: Runs, tmp_path: Path) -> None:
    """The same manifest again adds nothing; what gives access is in no file of the dataset."""
    fetch(runs.workspace, tmp_path / "m.jsonl")
    rows = read_table(runs.workspace.root, "sources").to_pylist()
    assert sorted(row["source_id"] for row in rows) == [BUSY, GONE, PASSING, SIGNED]
    assert [row["source_id"] for row in rows if row["needs_manifest"]] == [SIGNED]
    files = [path for path in runs.workspace.root.rglob("*") if path.is_file()]
    assert not any(b"hush" in path.read_bytes() for path in files)


def test_other_classes_are_refused(runs: Runs) -> None:
    """A misspelt class is the caller's mistake."""
    with pytest.raises(ValueError, match="transient, permanent, blocked, all, or a reason"):
        retry(runs.workspace, "temporary")


def test_a_dry_run_says_how_many(runs: Runs) -> None:
    """Nothing is asked of any server."""
    runs.server.requests.clear()
    options = replace(runs.workspace.options, dry_run=True)
    summary, unusable = retry(replace(runs.workspace, options=options), "all")
    assert (summary.statuses, unusable) == ({"to do": 3}, 1)
    assert runs.server.requests == []

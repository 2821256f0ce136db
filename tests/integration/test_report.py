"""The report of a curated dataset: counts that add up, thresholds drawn, sheets that play."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset.outcomes import Outcome, append_outcomes
from dataset.tables import commit, write_shard
from dataset.video import write_playable
from pipeline.config import Config
from pipeline.job import RunOptions
from pipeline.recipes import curate_recipe, fetch_recipe, select_recipe
from pipeline.report import write_report
from pipeline.report_funnel import (
    GAVE_CLIPS,
    NONE_SELECTED,
    WAITS_FOR_FETCH,
    WAITS_FOR_RENDER,
    clip_funnels,
    source_funnels,
)
from pipeline.report_scores import HEIGHT, WIDTH, histogram, threshold_bounds
from pipeline.workspace import Workspace

FPS, SECONDS = 30.0, 3.0
CLIPS = {  # clip: source, reason against it
    "dance-000000-0030": ("dance", ""),
    "dance-000030-0030": ("dance", "select.blurred"),
    "walk-000000-0030": ("walk", "select.still"),
    "<b>odd-000000-0030": ("walk", "select.still"),
}
PLATFORMS = {"dance": "bilibili", "walk": "kuaishou", "gone": "bilibili", "new": "kuaishou"}


def _picture(number: int) -> np.ndarray:
    picture = np.full((120, 160, 3), 60, np.uint8)
    cv2.circle(picture, (10 + number, 60), 20, (220, 60, 60), -1)
    return picture


def _write(root: Path, table: str, rows: list[dict[str, Any]], recipe: str) -> None:
    named = ({**row, "recipe": recipe} for row in rows)
    commit(root, table, [write_shard(root, table, named, name="all")], app=table)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory) -> Workspace:
    """Four sources of two platforms, four clips of one file, one selected."""
    root = tmp_path_factory.mktemp("report")
    config = Config()
    write_playable(root / "files" / "film.mp4", map(_picture, range(90)), fps=FPS)
    sources = [{"source_id": name, "platform": where} for name, where in PLATFORMS.items()]
    _write(root, "sources", sources, "manifest")
    videos = [
        {"source_id": name, "platform": PLATFORMS[name], "duration_seconds": SECONDS}
        for name in ("dance", "walk")
    ]
    _write(root, "videos", videos, fetch_recipe(config))
    clips = [
        {
            "clip_id": clip_id,
            "source_id": source,
            "video_path": "files/film.mp4" if source == "dance" else "files/lost.mp4",
            "start_seconds": float(index % 2),
            "end_seconds": float(index % 2) + 1.0,
            "fps": FPS,
            "frames": 30,
            "width": 160,
            "height": 120,
            "boxes": [10.0, 40.0, 60.0, 100.0] * 30,
            "sharpness": 10.0 * index,
            "motion": 0.1,
        }
        for index, (clip_id, (source, _)) in enumerate(CLIPS.items())
    ]
    _write(root, "clips", clips, curate_recipe(config))
    decisions = [
        {"clip_id": clip_id, "source_id": source, "selected": not reason, "reason": reason}
        for clip_id, (source, reason) in CLIPS.items()
    ]
    _write(root, "selection", decisions, select_recipe(config))
    _outcomes(root, config)
    return Workspace(root=root, config=config, options=RunOptions(quiet=True))


def _outcomes(root: Path, config: Config) -> None:
    fetched = {"dance": "", "walk": "", "gone": "fetch.http_404"}
    rows = [
        Outcome(
            key=key,
            job="fetch",
            recipe=fetch_recipe(config),
            status="failed" if reason else "ok",
            reason=reason,
        )
        for key, reason in fetched.items()
    ]
    rows += [
        Outcome(key=key, job="curate", recipe=curate_recipe(config), status="ok")
        for key in ("dance", "walk")
    ]
    append_outcomes(root, rows)


def test_every_source_and_clip_has_one_fate_and_platforms_add_up(workspace):
    """Counts of a platform add up to its items, and those of the platforms to all."""
    for funnels in (source_funnels(workspace), clip_funnels(workspace)):
        everything, *platforms = funnels
        assert everything.platform == "all"
        assert everything.total == sum(funnel.total for funnel in platforms) == 4
        for funnel in funnels:
            assert sum(fate.count for fate in funnel.fates) == funnel.total
            assert sum(fate.share for fate in funnel.fates) == pytest.approx(1.0)
            assert sum(fate.seconds for fate in funnel.fates) == pytest.approx(funnel.seconds)


def test_fates_are_named_by_the_first_step_that_was_not_passed(workspace):
    """A source that never came, one that waits, one without a good clip, one with."""
    by_platform = {
        funnel.platform: {fate.name: fate.count for fate in funnel.fates}
        for funnel in source_funnels(workspace)
    }
    assert by_platform["bilibili"] == {"fetch.http_404": 1, GAVE_CLIPS: 1}
    assert by_platform["kuaishou"] == {WAITS_FOR_FETCH: 1, NONE_SELECTED: 1}
    (everything, *_) = clip_funnels(workspace)
    assert {fate.name: fate.count for fate in everything.fates} == {
        "select.still": 2,
        "select.blurred": 1,
        WAITS_FOR_RENDER: 1,
    }


@given(
    st.lists(
        st.tuples(st.floats(-1e6, 1e6) | st.just(float("nan")), st.booleans()), min_size=1
    ).filter(lambda rows: any(value == value for value, _ in rows)),
    st.none() | st.floats(-1e6, 1e6),
    st.none() | st.floats(-1e6, 1e6),
)
def test_a_histogram_counts_every_clip_and_shows_every_threshold(rows, least, most):
    """Heights are proportional to counts that add up; thresholds lie inside the picture."""
    values = np.array([value for value, _ in rows])
    kept = np.array([good for _, good in rows])
    drawn = histogram("score", values, kept, (least, most))
    assert drawn.missing == np.isnan(values).sum()
    heights = [bar.kept + bar.other for bar in drawn.bars]
    assert max(heights) == pytest.approx(HEIGHT) or drawn.outside + drawn.missing == len(rows)
    assert all(0 <= place <= WIDTH for place, _ in drawn.thresholds)
    assert [value for _, value in drawn.thresholds] == [v for v in (least, most) if v is not None]


def test_thresholds_of_the_settings_belong_to_columns():
    """``min_sharpness`` bounds sharpness from below; both bounds of motion are there."""
    settings = Config().select
    bounds = threshold_bounds(settings)
    assert bounds["sharpness"] == (settings.min_sharpness, None)
    assert bounds["motion"] == (settings.min_motion, settings.max_motion)


def test_the_page_holds_everything_and_names_no_other_file(workspace, tmp_path):
    """One file: no link, no script from elsewhere; hostile names are text; lost videos are told."""
    page = write_report(workspace, tmp_path / "report.html").read_text(encoding="utf-8")
    assert "://" not in page
    places = [part.partition('"')[0] for part in page.split('src="')[1:]]
    assert places
    assert all(place.startswith("data:") for place in places)
    assert "<b>odd" not in page
    assert "&lt;b&gt;odd" in page
    assert page.count('class="preview"') == 2  # the two whose file is there
    assert "probe.missing" in page


@pytest.fixture
def browser() -> Iterator[Any]:
    """Headless Chromium, where there is one."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("there is no Chromium on this machine")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield opened
        opened.close()


def test_the_page_opens_as_a_file_and_plays_under_the_pointer(workspace, tmp_path, browser):
    """In a real browser: no error, no request, percentages of 100, a preview that moves."""
    path = write_report(workspace, tmp_path / "report.html")
    page = browser.new_page()
    errors: list[str] = []
    requests: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
    page.on("request", lambda request: requests.append(request.url[:40]))
    page.goto(path.as_uri())
    for table in page.query_selector_all("table.funnel"):
        counts = [int(row.get_attribute("data-count")) for row in table.query_selector_all("tr")]
        assert sum(counts) == int(table.get_attribute("data-total"))
    lines = page.query_selector_all("figure.score[data-column=motion] line")
    assert len(lines) == 2
    preview = page.query_selector("video.preview")
    assert preview.evaluate("v => v.paused")
    preview.hover()
    page.wait_for_function("v => !v.paused && v.currentTime > 0.1", arg=preview, timeout=10_000)
    page.mouse.move(0, 0)
    page.wait_for_function("v => v.paused", arg=preview, timeout=10_000)
    assert errors == []
    assert all(url.startswith(("file:", "data:")) for url in requests)

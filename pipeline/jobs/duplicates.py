"""`champ duplicates`: clips that show the same pictures, and the best copy of each."""

from __future__ import annotations

from collections import Counter

from curation.duplicates.clusters import CLIP_COLUMNS, duplicate_rows
from dataset.tables import read_table
from pipeline.job import JobSummary
from pipeline.recipes import curate_recipe, duplicates_recipe, fetch_recipe
from pipeline.whole_table_job import Made, WholeTableSpec, run_whole_table
from pipeline.workspace import Workspace


def duplicates(workspace: Workspace) -> JobSummary:
    """Compare all candidate clips, and exchange the recipe's rows of ``duplicates``."""
    config = workspace.config
    spec = WholeTableSpec(
        job="duplicates",
        table="duplicates",
        root=workspace.root,
        recipe=duplicates_recipe(config),
        inputs=(("clips", curate_recipe(config)), ("videos", fetch_recipe(config))),
    )
    return run_whole_table(spec, lambda: _made(workspace), workspace.options)


def _made(workspace: Workspace) -> Made:
    root, config = workspace.root, workspace.config
    clips = read_table(root, "clips", columns=CLIP_COLUMNS, recipe=curate_recipe(config))
    videos = read_table(
        root, "videos", columns=["source_id", "content_sha256"], recipe=fetch_recipe(config)
    )
    contents = dict(
        zip(
            videos.column("source_id").to_pylist(),
            videos.column("content_sha256").to_pylist(),
            strict=True,
        )
    )
    rows = list(duplicate_rows(clips, contents, config.duplicates))
    unhashed = clips.column("frame_hashes").null_count
    note = f"not checked: near copies of {unhashed} clips, which have no hashes"
    return Made(
        rows=rows,
        statuses=dict(Counter(row["kind"] for row in rows)),
        notes=[note] if unhashed else [],
    )

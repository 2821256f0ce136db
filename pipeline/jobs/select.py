"""`champ select`: decisions over all candidate clips by their scores; no video is touched."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.types as kinds

from curation.quotas import UNKNOWN
from curation.select import SelectSettings
from curation.selection import REASONS, Decisions, needed_columns, select_clips
from dataset.schemas import SCHEMAS
from dataset.storage import Location
from dataset.tables import read_table
from pipeline.config import Config
from pipeline.job import JobSummary
from pipeline.recipes import curate_recipe, duplicates_recipe, fetch_recipe, select_recipe
from pipeline.whole_table_job import Made, WholeTableSpec, run_whole_table
from pipeline.workspace import Workspace

_INDOOR = 0.5  # the network's likelihood from which a clip counts as indoor


def select(workspace: Workspace) -> JobSummary:
    """Decide over every candidate clip, and exchange the recipe's rows of ``selection``."""
    root, config = workspace.root, workspace.config
    spec = WholeTableSpec(
        job="select",
        table="selection",
        root=root,
        recipe=select_recipe(config),
        inputs=(
            ("clips", curate_recipe(config)),
            ("duplicates", duplicates_recipe(config)),
            ("videos", fetch_recipe(config)),
        ),
    )
    return run_whole_table(spec, lambda: _made(root, config), workspace.options)


def decide(root: Location, config: Config) -> tuple[pa.Table, Decisions]:
    """The clips under this configuration (``clip_id``, ``source_id``) and what is decided of them.

    Raises:
        ValueError: A quota or ``best_by`` names a column that there is not.
    """
    settings = config.select
    _check_best_by(settings)
    columns = needed_columns(settings)
    own = [name for name in settings.quotas if _is_clip_column(name)]
    clips = read_table(
        root, "clips", columns=[*dict.fromkeys([*columns, *own])], recipe=curate_recipe(config)
    )
    clusters = read_table(
        root,
        "duplicates",
        columns=["clip_id", "cluster_id", "place"],
        recipe=duplicates_recipe(config),
    )
    values = {name: _values(root, config, clips, name) for name in settings.quotas}
    decisions = select_clips(clips, clusters, values, settings)
    return clips.select(["clip_id", "source_id"]), decisions


def funnel(root: Location, config: Config) -> tuple[dict[str, int], tuple[str, ...]]:
    """How many clips a configuration would turn down for which reason, and what to know of it."""
    _, decisions = decide(root, config)
    return decisions.funnel(), decisions.notes


def _made(root: Location, config: Config) -> Made:
    clips, decisions = decide(root, config)
    funnel = decisions.funnel()
    selected = funnel.get("", 0)
    statuses = {"selected": selected, "rejected": sum(funnel.values()) - selected}
    return Made(
        rows=_rows(clips, decisions, curate_recipe(config)),
        statuses={what: count for what, count in statuses.items() if count},
        notes=decisions.notes,
    )


def _rows(clips: pa.Table, decisions: Decisions, recipe: str) -> Iterator[dict[str, Any]]:
    names, sources = (clips.column(name).to_pylist() for name in ("clip_id", "source_id"))
    for name, source, place in zip(names, sources, decisions.reasons.tolist(), strict=True):
        yield {
            "clip_id": name,
            "source_id": source,
            "curate_recipe": recipe,
            "selected": not REASONS[place],
            "reason": REASONS[place],
        }


def _values(root: Location, config: Config, clips: pa.Table, column: str) -> Sequence[str]:
    """A column's value of every clip as text: of the clip, of its video, or of its labels."""
    if _is_clip_column(column):
        return _texts(clips.column(column), column)
    source = "labels" if column.startswith("label_") else column
    if source not in SCHEMAS["videos"].names or not _is_countable(SCHEMAS["videos"], source):
        schemas = (SCHEMAS["clips"], SCHEMAS["videos"])
        known = [name for schema in schemas for name in schema.names if _is_countable(schema, name)]
        raise ValueError(
            f"select.quotas names {column!r}, which is neither a label of the manifest "
            f"(label_...) nor one of {', '.join(dict.fromkeys(known))}"
        )
    recipe = fetch_recipe(config)
    videos = read_table(root, "videos", columns=["source_id", source], recipe=recipe)
    texts = _texts(videos.column(source), source)
    if source == "labels":
        texts = [_label(text, column) for text in texts]
    text_of = dict(zip(videos.column("source_id").to_pylist(), texts, strict=True))
    return [text_of.get(name, UNKNOWN) for name in clips.column("source_id").to_pylist()]


def _texts(column: pa.ChunkedArray, name: str) -> list[str]:
    if name == "indoor":
        likely = column.to_numpy()
        texts = np.where(likely >= _INDOOR, "indoor", "outdoor")
        return np.where(np.isnan(likely), UNKNOWN, texts).tolist()
    return [UNKNOWN if value in (None, "") else str(value) for value in column.to_pylist()]


def _label(labels: str, column: str) -> str:
    """A label of a video's JSON object, where it is written with or without ``label_``."""
    if labels == UNKNOWN:
        return UNKNOWN
    found = json.loads(labels)
    value = found.get(column, found.get(column.removeprefix("label_")))
    return UNKNOWN if value in (None, "") else str(value)


def _is_clip_column(name: str) -> bool:
    return name in SCHEMAS["clips"].names and _is_countable(SCHEMAS["clips"], name)


def _is_countable(schema: pa.Schema, name: str) -> bool:
    kind = schema.field(name).type
    return name == "indoor" or any(
        is_kind(kind) for is_kind in (kinds.is_string, kinds.is_integer, kinds.is_boolean)
    )


def _check_best_by(settings: SelectSettings) -> None:
    schema = SCHEMAS["clips"]
    numbers = [f.name for f in schema if kinds.is_floating(f.type) or kinds.is_integer(f.type)]
    for name in settings.best_by:
        if name.removeprefix("-") not in numbers:
            raise ValueError(
                f"select.best_by names {name!r}, which is no score; there are {', '.join(numbers)}"
            )

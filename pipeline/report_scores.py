"""Histograms of every score over all candidate clips, with the thresholds drawn in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.types as kinds
from jaxtyping import Bool, Float64

from curation.select import CHECKS, SelectSettings, column_of
from dataset.schemas import SCHEMAS
from dataset.tables import read_table
from pipeline.recipes import curate_recipe, select_recipe
from pipeline.workspace import Workspace

BINS = 40
WIDTH, HEIGHT = 320.0, 90.0
_OUTLIERS = 0.5  # per cent at each end that may lie outside the picture
_PLACES = frozenset(
    {"track", "start_seconds", "end_seconds", "fps", "frames", "width", "height", "created_at"}
)
"""Numbers that say where a clip is, not what it is like."""

Bounds = Mapping[str, tuple[float | None, float | None]]
"""Least and most of a column, as the selection wants them; None for no bound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A bin's clips: the selected ones at the bottom, the others on top; SVG units."""

    x: float
    width: float
    kept: float
    other: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """One score: bars, the thresholds' places, and how many clips have no value or lie outside."""

    column: str
    low: float
    high: float
    bars: tuple[Bar, ...]
    thresholds: tuple[tuple[float, float], ...]  # place, value
    missing: int
    outside: int


def threshold_bounds(settings: SelectSettings) -> Bounds:
    """The bounds of everything that ``CHECKS`` compares with a number."""
    bounds: dict[str, tuple[float | None, float | None]] = {}
    for check in CHECKS:
        value, column = getattr(settings, check.setting), column_of(check)
        least, most = bounds.get(column, (None, None))
        if check.setting.startswith("min_"):
            bounds[column] = (value, most)
        elif check.setting.startswith("max_"):
            bounds[column] = (least, value)
    return bounds


def score_histograms(workspace: Workspace, bounds: Bounds) -> list[Histogram]:
    """A histogram of every score column that any clip has a value in, in the table's order."""
    root, config = workspace.root, workspace.config
    columns = [
        field.name
        for field in SCHEMAS["clips"]
        if field.name not in _PLACES and _is_number(field.type)
    ]
    recipe = curate_recipe(config)
    clips = read_table(root, "clips", columns=["clip_id", *columns], recipe=recipe)
    decisions = read_table(
        root, "selection", columns=["clip_id", "selected"], recipe=select_recipe(config)
    ).to_pylist()
    selected = {row["clip_id"] for row in decisions if row["selected"]}
    kept = np.array([name in selected for name in clips.column("clip_id").to_pylist()], bool)
    found = []
    for column in columns:
        values = clips.column(column).to_numpy(zero_copy_only=False).astype(np.float64)
        if np.isfinite(values).any():
            found.append(histogram(column, values, kept, bounds.get(column, (None, None))))
    return found


def histogram(
    column: str,
    values: Float64[np.ndarray, " clips"],
    kept: Bool[np.ndarray, " clips"],
    bounds: tuple[float | None, float | None],
) -> Histogram:
    """The picture of one score; NaN is a missing value, ``kept`` marks the selected clips.

    Raises:
        ValueError: There is no finite value.
    """
    finite = np.isfinite(values)
    if not finite.any():
        raise ValueError(f"{column} has no finite value to draw")
    marks = [float(bound) for bound in bounds if bound is not None]
    low = np.percentile(values[finite], _OUTLIERS, method="lower")
    high = np.percentile(values[finite], 100 - _OUTLIERS, method="higher")
    low, high = min([low, *marks]), max([high, *marks])
    if high <= low:
        low, high = low - 0.5, high + 0.5
    shown = finite & (values >= low) & (values <= high)
    edges = np.linspace(low, high, BINS + 1)
    good, _ = np.histogram(values[shown & kept], edges)
    other, _ = np.histogram(values[shown & ~kept], edges)
    scale = HEIGHT / max(1, int((good + other).max()))
    step = WIDTH / BINS
    return Histogram(
        column=column,
        low=float(low),
        high=float(high),
        bars=tuple(
            Bar(x=index * step, width=step - 0.5, kept=float(a * scale), other=float(b * scale))
            for index, (a, b) in enumerate(zip(good, other, strict=True))
        ),
        thresholds=tuple((WIDTH * min(1.0, (mark - low) / (high - low)), mark) for mark in marks),
        missing=int((~finite).sum()),
        outside=int((finite & ~shown).sum()),
    )


def _is_number(kind: pa.DataType) -> bool:
    return kinds.is_floating(kind) or kinds.is_integer(kind)

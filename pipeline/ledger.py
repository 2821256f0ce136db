"""`champ ledger`: all that a dataset knows of a clip, as one tree.

Where it came from and under which rights, what was measured on it and how the thresholds decide,
its copies, what became of it in every job, what was made of it.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.decisions import verdicts
from curation.select import CHECKS, SelectSettings, column_of
from dataset.denied import read_denied, source_of_clip
from dataset.schemas import KEYS, SCHEMAS
from dataset.storage import Location
from dataset.tables import read_rows, read_table
from pipeline.trained_on import trained_on

Row = dict[str, Any]

_TIME = ("recipe", "created_at")
_SPAN = ("video_path", "track", "start_seconds", "end_seconds", "fps", "frames", "width", "height")
_FIT = (
    *("fps", "frames", "width", "height", "focal_length_px", "silhouette_iou"),
    *("joint_acceleration", "reprojection_error_px", "boxes"),
)
_LATENTS = ("guidance_recipe", "frames", "size", "crop", "image_encoder_trained")
_JOBS = ("key", "job", "status", "reason", "message", "attempts", "seconds", "versions")
_MOST_NEAR = 5


def read_ledger(root: Location, clip_id: str, settings: SelectSettings) -> Row:
    """The story of a clip; every value is text, a number, a list or a mapping of such.

    Args:
        root: The dataset root.
        clip_id: Of ``clips``; a clip that was forgotten has no story.
        settings: The thresholds that the scores are set beside.

    Raises:
        ValueError: No such clip; the message names the nearest ids.
    """
    clips = read_rows(root, "clips", [clip_id], columns=_scores_and_span())
    outcomes = read_rows(root, "outcomes", [clip_id], columns=[*_JOBS, *_TIME])
    if not clips and (not outcomes or source_of_clip(clip_id) == clip_id):
        raise ValueError(_unknown(root, clip_id))
    source_id = clips[-1]["source_id"] if clips else source_of_clip(clip_id)
    animations = _animations(root, clip_id)
    keys = [source_id, *(row["animation_id"] for row in animations)]
    outcomes = _by_time(outcomes + read_rows(root, "outcomes", keys, columns=[*_JOBS, *_TIME]))
    return {
        "clip_id": clip_id,
        "source": [_plain(row) for row in read_rows(root, "videos", [source_id])],
        "denied": read_denied(root).names(source_id),
        "clips": [_plain({n: row[n] for n in (*_TIME, *_SPAN)}) for row in clips],
        "checks": _checks(clips[-1], settings) if clips else [],
        "other_scores": _other_scores(clips[-1]) if clips else {},
        "decisions": _rows(root, "selection", clip_id, ("curate_recipe", "selected", "reason")),
        "copies": _copies(root, clip_id),
        "guidance": [_fit(row) for row in _rows(root, "guidance", clip_id, _FIT)],
        "latents": _rows(root, "latents", clip_id, _LATENTS),
        "animations": animations,
        "exports": [row["message"] for row in outcomes if row["job"] == "export"],
        "trained": [str(folder) for folder in trained_on(root, source_id).saw],
        "jobs": [_plain(row | {"versions": _versions(row)}) for row in outcomes],
        "seconds": sum(row["seconds"] or 0.0 for row in outcomes),
    }


def _scores_and_span() -> list[str]:
    """All columns of ``clips`` that a person can read."""
    return [
        field.name
        for field in SCHEMAS["clips"]
        if not pa.types.is_list(field.type) and not pa.types.is_binary(field.type)
    ]


def _checks(clip: Row, settings: SelectSettings) -> list[Row]:
    """Every threshold beside the score it is about, and the first that turns the clip down."""
    derived = {
        "seconds": clip["end_seconds"] - clip["start_seconds"],
        "short_side": min(clip["width"], clip["height"]),
    }
    checks: list[Row] = []
    decided = False
    for check, passed in zip(CHECKS, verdicts(clip, settings), strict=True):
        column, decides = column_of(check), passed is False and not decided
        decided = decided or decides
        score = derived.get(column, clip.get(column))
        checks.append(
            {
                "score": column,
                "value": score,
                "bound": check.setting.partition("_")[0] if column != "framing" else "one of",
                "threshold": _value(getattr(settings, check.setting)),
                "passed": passed,
                "reason": f"select.{check.reason}",
                "decides": decides,
            }
        )
    return checks


def _other_scores(clip: Row) -> Row:
    """What was measured and no threshold is about."""
    known = {column_of(check) for check in CHECKS} | {*_SPAN, *_TIME, "clip_id", "source_id"}
    return {name: _value(value) for name, value in clip.items() if name not in known}


def _rows(root: Location, table: str, key: str, columns: Collection[str]) -> list[Row]:
    return [_plain(r) for r in read_rows(root, table, [key], columns=[*_TIME, *columns])]


def _copies(root: Location, clip_id: str) -> list[Row]:
    """The clusters of copies that the clip is in, with all their members."""
    columns = ["clip_id", "recipe", "cluster_id", "place", "kind", "distance"]
    own = read_rows(root, "duplicates", [clip_id], columns=["recipe", "cluster_id"])
    clusters = {(row["recipe"], row["cluster_id"]) for row in own}
    names = pa.array({cluster for _, cluster in clusters}, pa.string())
    near = pc.field("cluster_id").isin(names)
    rows = read_table(root, "duplicates", columns=columns).filter(near).to_pylist()
    members = [_plain(row) for row in rows if (row["recipe"], row["cluster_id"]) in clusters]
    return sorted(members, key=lambda row: (row["recipe"], row["place"]))


def _animations(root: Location, clip_id: str) -> list[Row]:
    """What was drawn of the clip's person or after its motion, with its metrics."""
    rows = read_table(root, "animations", columns=["animation_id", "reference", "motion"])
    made = {
        row["animation_id"]
        for row in rows.to_pylist()
        if clip_id in (row["motion"], str(row["reference"]).rpartition("#")[0])
    }
    metrics = [_plain(row) for row in read_rows(root, "metrics", sorted(made))]

    def scores(row: Row) -> list[Row]:
        name = (row["animation_id"], row["recipe"])
        return [
            each for each in metrics if (each["animation_id"], each["animation_recipe"]) == name
        ]

    found = read_rows(root, "animations", sorted(made))
    return [_plain(row) | {"metrics": scores(row)} for row in found]


def _fit(row: Row) -> Row:
    """How well the body fits; one number for the frames."""
    errors = np.asarray(row.pop("reprojection_error_px") or [np.nan], float)
    boxes = np.asarray(row.pop("boxes") or [np.nan] * 4, float).reshape(-1, 4)
    heights = boxes[:, 3] - boxes[:, 1]
    error, height = _median(errors), _median(heights)
    share = error / height if error is not None and height else None
    return row | {"reprojection_error_px": error, "reprojection_error_share_of_height": share}


def _median(values: np.ndarray) -> float | None:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else None


def _versions(outcome: Row) -> Any:
    """The versions as a mapping, or the text where it is none."""
    try:
        return json.loads(outcome["versions"] or "{}")
    except ValueError:
        return outcome["versions"]


def _by_time(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: row["created_at"])


def _plain(row: Mapping[str, Any]) -> Row:
    return {name: _value(value) for name, value in row.items()}


def _value(value: Any) -> Any:
    """A value as JSON has it: times as ISO text, tuples as lists, and no NaN."""
    if hasattr(value, "isoformat"):
        return value.isoformat(timespec="seconds")
    if isinstance(value, tuple):
        return list(value)
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _unknown(root: Location, clip_id: str) -> str:
    known = read_table(root, "clips", columns=[KEYS["clips"]]).column(KEYS["clips"]).to_pylist()
    near = difflib.get_close_matches(clip_id, known, n=_MOST_NEAR)
    own = [name for name in known if source_of_clip(name) == clip_id][:_MOST_NEAR]
    hint = f"; did you mean {', '.join(own or near)}?" if own or near else ""
    taken = " Its source was taken down." if read_denied(root).names(clip_id) else ""
    return f"{root} has no clip {clip_id!r}{hint}{taken}"

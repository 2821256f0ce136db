"""The manifest of animations: which person is to make which motion."""

from __future__ import annotations

import csv
import json
import os
import re
from pathlib import Path
from typing import Any, Literal

import pyarrow.parquet as pq
from pydantic import Field, ValidationError, field_validator

from dataset.denied import source_of_clip
from dataset.settings import Settings

_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


class AnimationRow(Settings):
    """One row of an animation manifest."""

    animation_id: str = Field(description="A name of yours; the output file carries it")
    reference: str = Field(description="An image file, or CLIP_ID#FRAME of the guidance table")
    motion: str = Field(
        description="A CLIP_ID of the guidance table, a video file, or a folder of ready maps: "
        "depth/0000.png, normal/, ... (inference.map_folder)"
    )
    seed: int = Field(default=0, ge=0)
    start_frame: int = Field(default=0, ge=0, description="First frame of the motion")
    end_frame: int | None = Field(
        default=None, ge=1, description="One past the last; none: to the end"
    )
    frame_order: Literal["as_is", "shuffled"] = Field(
        default="as_is",
        description="shuffled: the maps in a random order, to see that they are obeyed",
    )

    @field_validator("animation_id")
    @classmethod
    def _safe_name(cls, value: str) -> str:
        if not _ID.fullmatch(value) or value.startswith("."):
            raise ValueError("must be 1 to 128 letters, digits, '.', '_' or '-'")
        return value


def map_folder_of(motion: str) -> Path | None:
    """The folder of ready maps that a motion names; None for a clip or a file.

    A bare clip id is a clip, even where a folder here is called so (as an exported clip's is): with
    ``./`` before it, it is the folder.
    """
    is_clip = os.sep not in motion and source_of_clip(motion) != motion
    return Path(motion) if not is_clip and os.path.isdir(motion) else None


def own_frame(reference: str, motion: str) -> int | None:
    """The frame of the motion's own clip that the reference is; None for another person's picture.

    Only such an animation has true frames to be compared with.
    """
    clip_id, _, frame = reference.rpartition("#")
    return int(frame) if clip_id == motion and frame.isdigit() else None


def read_animation_manifest(path: Path) -> list[AnimationRow]:
    """Read a manifest of animations: CSV, JSON Lines or Parquet.

    Raises:
        ValueError: The file is of another kind, a row is not valid (with its number and what is
            wrong), or an ``animation_id`` stands twice.
    """
    rows: list[AnimationRow] = []
    for number, raw in enumerate(_raw_rows(path), start=1):
        given = {key: value for key, value in raw.items() if value not in ("", None)}
        try:
            rows.append(AnimationRow.model_validate(given))
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()
            )
            raise ValueError(
                f"{path}, row {number}: {problems}. Columns: {', '.join(AnimationRow.model_fields)}"
            ) from None
    names = [row.animation_id for row in rows]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{path}: animation_id must be unique, but these repeat: {twice[:5]}")
    return rows


def _raw_rows(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        raise ValueError(f"There is no manifest {path}")
    if path.suffix == ".csv":
        with path.open(encoding="utf-8-sig", newline="") as handle:
            return list(csv.DictReader(handle))
    if path.suffix == ".jsonl":
        lines = path.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines if line.strip()]
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    raise ValueError(f"{path}: a manifest is .csv, .jsonl or .parquet, got {path.suffix!r}")

"""What a takedown has to remove: found before anything is, and kept until all is done.

The plan lies in the dataset while a takedown is at work, so that one that was killed still knows
what it was after when half of the rows that would tell are gone.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from dataset.denied import read_denied, source_of_clip
from dataset.schemas import KEYS, SCHEMAS
from dataset.storage import Location, delete_file, is_file, read_file, store_file
from dataset.tables import read_table
from pipeline.naming import NameSearch, containing, text_columns

KEPT_TABLES = ("denied",)
NAMING_OTHERS = ("selection", "duplicates", "outcomes")
"""Tables whose rows of other clips go too where they name the source: what is copied from what, and
why something failed. `champ select` makes the first two anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A takedown of one source."""

    source_id: str
    contents: list[str] = field(default_factory=list)  # SHA-256s that no other source has
    same_content: list[str] = field(default_factory=list)  # other sources with the same video
    keys: dict[str, list[str]] = field(default_factory=dict)  # by table
    files: list[str] = field(default_factory=list)  # below the root
    copies: list[str] = field(default_factory=list)  # exported folders

    def names(self) -> list[str]:
        """What nothing may name when all is done."""
        return [self.source_id, *self.contents]


def find_plan(root: Location, source_id: str) -> Plan:
    """All that is there of a source, together with what a killed takedown had found.

    Raises:
        ValueError: The dataset does not know such a source and never did.
    """
    clip_ids, videos = _clip_ids(root, source_id), read_table(root, "videos").to_pylist()
    own = [row for row in videos if row["source_id"] == source_id]
    contents = {row["content_sha256"] for row in own if row["content_sha256"]}
    others = {row["source_id"] for row in videos if row["source_id"] != source_id}
    same = [r for r in videos if r["source_id"] in others and r["content_sha256"] in contents]
    shared = {row["content_sha256"] for row in same}
    animations = _animations(root, {source_id, *clip_ids})
    keys = {"videos": {source_id}, "sources": {source_id}, "outcomes": {source_id}}
    keys["animations"] = keys["metrics"] = {row["animation_id"] for row in animations}
    for table in ("clips", "selection", "duplicates", "guidance", "latents"):
        keys[table] = set(clip_ids)
    keys["outcomes"] |= set().union(*keys.values())
    search = NameSearch([source_id, *(contents - shared)], other_names(root, source_id))
    for table in NAMING_OTHERS:
        keys[table] |= _keys_naming(root, table, search)
    files = {row["path"] for row in own if row["content_sha256"] not in shared}
    files |= {row[name] for row in animations for name in ("video_path", "frames_path")}
    found = Plan(
        source_id=source_id,
        contents=sorted(contents - shared),
        same_content=sorted({row["source_id"] for row in same}),
        keys={table: sorted(each) for table, each in keys.items() if table in SCHEMAS},
        files=sorted(path for path in files if path),
        copies=_copies(root, clip_ids),
    )
    before = _load(root, source_id)
    if before is None and not (own or clip_ids or _known(root, source_id)):
        raise ValueError(_unknown(root, source_id))
    return found if before is None else _together(found, before)


def save_plan(root: Location, plan: Plan) -> None:
    """Keep the plan in the dataset, durably."""
    handle, name = tempfile.mkstemp(suffix=".json")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(asdict(plan), file)
    store_file(Path(name), _place(root, plan.source_id))


def drop_plan(root: Location, plan: Plan) -> None:
    """The takedown is done."""
    delete_file(_place(root, plan.source_id))


def plans_folder(root: Location) -> Location:
    """Where plans lie while a takedown is at work."""
    return root / ".forget"


def other_names(root: Location, source_id: str) -> set[str]:
    """All names in the dataset that are not the source's and may hold its id by chance."""
    names: set[str] = set()
    for table in ("videos", "sources", "outcomes", "animations"):
        if table in SCHEMAS:
            names |= set(_keys_containing(root, table, source_id))
    return {name for name in names if source_of_clip(name) != source_id}


def _clip_ids(root: Location, source_id: str) -> list[str]:
    """By the source's column, and by their names, which begin with its id."""
    found: set[str] = set()
    for table in ("clips", "selection", "duplicates", "guidance", "latents", "outcomes"):
        if table in SCHEMAS:
            near = _keys_containing(root, table, f"{source_id}-")
            found |= {n for n in near if n != source_id and source_of_clip(n) == source_id}
    return sorted(found)


def _keys_containing(root: Location, table: str, part: str) -> list[str]:
    keys = read_table(root, table, columns=[KEYS[table]]).column(KEYS[table])
    return keys.take(pa.array(containing(keys, part), pa.int64())).to_pylist()


def _animations(root: Location, names: set[str]) -> list[dict[str, str]]:
    """Those whose motion or reference is one of these clips."""
    columns = ["animation_id", "reference", "motion", "video_path", "frames_path"]
    rows = read_table(root, "animations", columns=columns).to_pylist()
    return [r for r in rows if {r["motion"], str(r["reference"]).rpartition("#")[0]} & names]


def _keys_naming(root: Location, table: str, search: NameSearch) -> set[str]:
    if table not in SCHEMAS:
        return set()
    columns = text_columns(SCHEMAS[table])
    rows = read_table(root, table, columns=columns)
    found = {index for name in columns for index in search.rows_naming(rows.column(name))}
    return {rows.column(KEYS[table])[index].as_py() for index in found}


def _copies(root: Location, clip_ids: Iterable[str]) -> list[str]:
    rows = read_table(root, "outcomes", columns=["key", "job", "status", "message"])
    rows = rows.filter((pc.field("job") == "export") & (pc.field("status") == "ok")).to_pylist()
    wanted = set(clip_ids)
    return sorted({row["message"] for row in rows if row["key"] in wanted})


def _known(root: Location, source_id: str) -> bool:
    """Whether it is denied, or a row speaks of it although no video ever came."""
    if read_denied(root).names(source_id):
        return True
    tables = [table for table in ("sources", "outcomes") if table in SCHEMAS]
    return any(source_id in _keys_containing(root, table, source_id) for table in tables)


def _unknown(root: Location, source_id: str) -> str:
    known = read_table(root, "videos", columns=["source_id"]).column("source_id").to_pylist()
    near = difflib.get_close_matches(source_id, known, n=3)
    hint = (
        f"did you mean {', '.join(near)}?" if near else "`champ files DATASET videos` has its ids"
    )
    return (
        f"{root} has no source {source_id!r}; {hint} To keep out what never came in, use "
        "fetch.deny_list"
    )


def _place(root: Location, source_id: str) -> Location:
    return plans_folder(root) / f"{hashlib.sha256(source_id.encode()).hexdigest()[:32]}.json"


def _load(root: Location, source_id: str) -> Plan | None:
    place = _place(root, source_id)
    return Plan(**json.loads(read_file(place))) if is_file(place) else None


def _together(found: Plan, before: Plan) -> Plan:
    """What is there now, and what a takedown that was killed was after."""

    def both(one: list[str], other: list[str]) -> list[str]:
        return sorted({*one, *other})

    tables = {*found.keys, *before.keys}
    return Plan(
        source_id=found.source_id,
        contents=both(found.contents, before.contents),
        same_content=both(found.same_content, before.same_content),
        keys={t: both(found.keys.get(t, []), before.keys.get(t, [])) for t in tables},
        files=both(found.files, before.files),
        copies=both(found.copies, before.copies),
    )

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
_OF_SOURCES = ("sources", "videos")
_OF_CLIPS = ("clips", "selection", "duplicates", "guidance", "latents", "outcomes")
_OF_ITEMS = ("outcomes", "animations")
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
    columns = ["source_id", "path", "content_sha256"]
    videos = read_table(root, "videos", columns=columns).to_pylist()
    own = [row for row in videos if row["source_id"] == source_id]
    contents = {row["content_sha256"] for row in own}
    same = [row for row in videos if row not in own and row["content_sha256"] in contents]
    contents -= {row["content_sha256"] for row in same}
    clip_ids = _clip_ids(root, source_id) - {row["source_id"] for row in videos}
    animations = _animations(root, {source_id, *clip_ids, *contents})
    before = _load(root, source_id)
    if before is None and not (own or clip_ids or _known(root, source_id)):
        raise ValueError(_unknown(root, source_id))
    files = {row["path"] for row in own if row["content_sha256"] in contents}
    files |= {row[name] for row in animations for name in ("video_path", "frames_path")}
    made = {row["animation_id"] for row in animations}
    found = Plan(
        source_id=source_id,
        contents=sorted(contents),
        same_content=sorted({row["source_id"] for row in same}),
        keys=_keys(root, [source_id, *contents], clip_ids, made),
        files=sorted(files),
        copies=_copies(root, clip_ids),
    )
    return found if before is None else _together(found, before)


def _keys(
    root: Location, names: list[str], clip_ids: set[str], animation_ids: set[str]
) -> dict[str, list[str]]:
    """The rows that go, by table; ``names`` are the source's id and its contents."""
    source_id = names[0]
    keys = {
        **{table: {source_id} for table in _OF_SOURCES},
        **dict.fromkeys(_OF_CLIPS, clip_ids),
        "animations": animation_ids,
        "metrics": animation_ids,
        "outcomes": {source_id, *clip_ids, *animation_ids},
    }
    search = NameSearch(names, other_names(root, source_id))
    for table in NAMING_OTHERS:
        keys[table] = keys[table] | _keys_naming(root, table, search)
    return {table: sorted(each) for table, each in keys.items() if each}


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
    sources = {name for table in _OF_SOURCES for name in _keys_containing(root, table, source_id)}
    items = {name for table in _OF_ITEMS for name in _keys_containing(root, table, source_id)}
    return (sources - {source_id}) | {name for name in items if source_of_clip(name) != source_id}


def _clip_ids(root: Location, source_id: str) -> set[str]:
    """By their names, which begin with the source's id."""
    near = {n for table in _OF_CLIPS for n in _keys_containing(root, table, f"{source_id}-")}
    return {name for name in near if name != source_id and source_of_clip(name) == source_id}


def _keys_containing(root: Location, table: str, part: str) -> list[str]:
    keys = read_table(root, table, columns=[KEYS[table]]).column(KEYS[table])
    return keys.take(pa.array(containing(keys, part), pa.int64())).to_pylist()


def _animations(root: Location, names: set[str]) -> list[dict[str, str]]:
    """Those whose motion or reference is one of these clips, or a file called so."""
    columns = ["animation_id", "reference", "motion", "video_path", "frames_path"]
    rows = read_table(root, "animations", columns=columns).to_pylist()
    return [row for row in rows if names & {*_called(row["reference"]), *_called(row["motion"])}]


def _called(shown: str) -> tuple[str, ...]:
    """What a reference or a motion may be called by: a clip, with a frame or without, a file."""
    return (shown, shown.rpartition("#")[0], Path(shown).stem)


def _keys_naming(root: Location, table: str, search: NameSearch) -> set[str]:
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
    tables = ("sources", "outcomes")
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

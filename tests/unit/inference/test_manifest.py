"""Manifests of animations are read whole or refused with the row's number."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from inference.manifest import map_folder_of, read_animation_manifest

ROWS = [
    {"animation_id": "a", "reference": "man.jpg", "motion": "clip-1"},
    {"animation_id": "b", "reference": "clip-1#0", "motion": "walk.mp4", "seed": 3},
]


def _write(path, rows):
    if path.suffix == ".csv":
        names = list(dict.fromkeys(name for row in rows for name in row))
        lines = [",".join(names)] + [",".join(str(r.get(n, "")) for n in names) for r in rows]
        path.write_text("\n".join(lines) + "\n")
    elif path.suffix == ".jsonl":
        path.write_text("\n".join(json.dumps(row) for row in rows))
    else:
        names = dict.fromkeys(name for row in rows for name in row)
        pq.write_table(pa.table({n: [row.get(n) for row in rows] for n in names}), path)
    return path


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_every_format_gives_the_same_rows(tmp_path, suffix):
    """CSV, JSON Lines and Parquet are the same manifest; what is not given has its default."""
    first, second = read_animation_manifest(_write(tmp_path / f"m{suffix}", ROWS))
    assert (first.animation_id, first.seed, first.end_frame) == ("a", 0, None)
    assert (second.reference, second.seed, second.frame_order) == ("clip-1#0", 3, "as_is")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"reference": None}, r"row 2: reference: Field required"),
        ({"animation_id": "../../etc/passwd"}, r"row 2: animation_id.*letters"),
        ({"seed": -1}, r"row 2: seed"),
        ({"frame_order": "backwards"}, r"row 2: frame_order"),
        ({"pose": "x"}, r"row 2: pose.*Columns: animation_id, reference"),
        ({"animation_id": "a"}, r"unique.*\['a'\]"),
    ],
)
def test_a_bad_row_is_named_with_what_is_wrong(tmp_path, change, message):
    """The error names the row, the column and what was expected."""
    path = _write(tmp_path / "m.jsonl", [ROWS[0], ROWS[1] | change])
    with pytest.raises(ValueError, match=message):
        read_animation_manifest(path)


def test_a_missing_or_foreign_file_is_refused(tmp_path):
    """No such file, and a format nobody reads."""
    with pytest.raises(ValueError, match="no manifest"):
        read_animation_manifest(tmp_path / "none.csv")
    (tmp_path / "m.xlsx").write_text("x")
    with pytest.raises(ValueError, match=r"\.csv, \.jsonl or \.parquet"):
        read_animation_manifest(tmp_path / "m.xlsx")


def test_a_clip_is_a_clip_whatever_lies_beside(tmp_path, monkeypatch):
    """A folder is a motion by its path; a bare clip id never is, even where it was exported to."""
    for name in ("walk-000000-0050", "walk"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    assert map_folder_of("walk-000000-0050") is None
    assert map_folder_of("./walk-000000-0050") == Path("walk-000000-0050")
    assert map_folder_of("walk") == Path("walk")
    assert map_folder_of("run.mp4") is None
    assert map_folder_of("x" * 5000) is None

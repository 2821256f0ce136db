"""Claims about shard files: what is in them, how little a reader touches, how they appear."""

import json
from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest

from dataset.schemas import MEDIA_COLUMNS, SCHEMAS
from dataset.shards import describe, groups_with, write_parquet


def guidance_rows(count: int) -> Iterator[dict[str, object]]:
    """Rows of the widest table, with media of different sizes."""
    for index in range(count):
        yield {
            "clip_id": f"clip-{index:03d}",
            "source_id": "walk",
            "frames": 10 + index,
            "boxes": np.arange(4 * (10 + index), dtype=np.float32),
            "rgb": bytes([index]) * 50_000,
            "mask": bytes([255 - index]) * 1_000,
            "recipe": "r1",
        }


def test_media_tables_have_a_row_a_group(tmp_path: Path) -> None:
    """One clip is one row group; media columns are stored as they are, without statistics."""
    write_parquet(tmp_path, "guidance", guidance_rows(4), name="part-0")
    with pq.ParquetFile(tmp_path / "part-0.parquet") as file:
        assert file.num_row_groups == 4
        assert file.schema_arrow.equals(SCHEMAS["guidance"])
        for column in range(file.metadata.num_columns):
            chunk = file.metadata.row_group(1).column(column)
            if chunk.path_in_schema in MEDIA_COLUMNS:
                assert chunk.compression == "UNCOMPRESSED"
                assert chunk.statistics is None or not chunk.statistics.has_min_max
        assert groups_with(file, "clip_id", "clip-002") == [2]
        assert groups_with(file, "clip_id", "nobody") == []


def test_narrow_tables_share_a_group(tmp_path: Path) -> None:
    """Rows without media are written together."""
    rows = ({"key": f"k{i}", "job": "render", "recipe": "r"} for i in range(100))
    shard = write_parquet(tmp_path, "outcomes", rows, name="part")
    assert shard.rows == 100
    assert pq.read_metadata(tmp_path / shard.path).num_row_groups == 1


def test_shard_tells_its_bounds(tmp_path: Path) -> None:
    """The statistics for the log hold the count and the bounds of key and recipe."""
    shard = write_parquet(tmp_path, "guidance", guidance_rows(3), name="part-0")
    assert json.loads(shard.stats_json) == {
        "numRecords": 3,
        "minValues": {"clip_id": "clip-000", "recipe": "r1"},
        "maxValues": {"clip_id": "clip-002", "recipe": "r1"},
        "nullCount": {"clip_id": 0, "recipe": 0},
    }
    assert shard.size_bytes == (tmp_path / "part-0.parquet").stat().st_size
    assert describe(tmp_path, "guidance", "part-0.parquet") == shard


def test_another_reader_agrees(tmp_path: Path) -> None:
    """DuckDB reads the files without our code, values and media alike."""
    write_parquet(tmp_path, "guidance", guidance_rows(3), name="part-0")
    found = duckdb.sql(
        f"select clip_id, frames, len(boxes), octet_length(rgb) from '{tmp_path}/part-0.parquet' "
        "order by clip_id"
    ).fetchall()
    assert found == [(f"clip-{i:03d}", 10 + i, 4 * (10 + i), 50_000) for i in range(3)]


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    """When a row cannot be made, no file appears, not even a temporary one."""

    def rows() -> Iterator[dict[str, object]]:
        yield from guidance_rows(2)
        raise OSError("the decoder went away")

    with pytest.raises(OSError, match="decoder"):
        write_parquet(tmp_path, "guidance", rows(), name="part-0")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"clip_id": "a"}, "needs 'recipe'"),
        ({"recipe": "r"}, "needs 'clip_id'"),
        ({"clip_id": "", "recipe": "r"}, "needs 'clip_id'"),
        ({"clip_id": "a", "recipe": "r", "colour": 1}, "no column 'colour'"),
        ({"clip_id": "a", "recipe": "r", "frames": "many"}, "'frames' of guidance is int32"),
        ({"clip_id": "a", "recipe": "r", "boxes": np.zeros((2, 4), np.float32)}, "'boxes'"),
    ],
)
def test_wrong_rows_are_named(tmp_path: Path, row: dict[str, object], message: str) -> None:
    """A row that does not fit is refused with the column and the type."""
    with pytest.raises(ValueError, match=message):
        write_parquet(tmp_path, "guidance", [row], name="part-0")


def test_empty_shards_are_refused(tmp_path: Path) -> None:
    """A shard without rows is a mistake."""
    with pytest.raises(ValueError, match="at least one row"):
        write_parquet(tmp_path, "guidance", [], name="part-0")


@pytest.mark.parametrize("name", ["../escape", "a/b", "", ".hidden", "x" * 201, "a b"])
def test_unsafe_names_are_refused(tmp_path: Path, name: str) -> None:
    """A name cannot leave the folder, hide, or need quoting."""
    with pytest.raises(ValueError, match="shard name"):
        write_parquet(tmp_path, "guidance", guidance_rows(1), name=name)

"""`champ files` names what others' readers open: each in a process of its own, without our code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from dataset.shards import describe
from dataset.tables import commit, live_files, write_shard
from pipeline.cli import app
from tests.unit.pipeline.chain_dataset import CLIPS, FRAMES, RECIPE, add, stream_frames, write_chain

READERS = {
    "duckdb": """
import duckdb
rows = duckdb.sql(f"from read_parquet({files}, union_by_name=true) order by clip_id")
ids, frames, streams = zip(*rows.project("clip_id, frames, normal").fetchall())
assert None in [row[0] for row in rows.project("joint_acceleration").fetchall()]
""",
    "pandas": """
import pandas
table = pandas.concat([pandas.read_parquet(file) for file in files]).sort_values("clip_id")
ids, frames, streams = list(table.clip_id), list(table.frames), list(table.normal)
assert table.joint_acceleration.isna().any()
""",
    "polars": """
import polars
table = polars.scan_parquet(files, missing_columns="insert").sort("clip_id").collect()
ids, frames, streams = (table[name].to_list() for name in ("clip_id", "frames", "normal"))
assert table["joint_acceleration"].null_count()
""",
    "datasets": """
import datasets
names = ["clip_id", "frames", "normal"]
table = datasets.load_dataset(
    "parquet", data_files=files, split="train", streaming=True, columns=names
)
rows = sorted(table, key=lambda row: row["clip_id"])
ids, frames, streams = ([row[name] for row in rows] for name in names)
""",
}
"""Reads ids, numbers of frames and the MP4 bytes of the normal maps from ``files``."""

SCRIPT = """
import io, json, sys
import av, numpy
files = json.load(sys.stdin)["files"]
{reader}
shown = []
for stream in streams:
    with av.open(io.BytesIO(stream)) as video:
        shown.append([frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)])
numpy.save("shown.npy", numpy.array(shown))
print(json.dumps([list(map(str, ids)), list(map(int, frames))]))
"""


OLD = "old-000000-0003"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a file that is older than one of the columns: such are never written again."""
    root = write_chain(tmp_path_factory.mktemp("chain"))
    rows = pq.read_table(live_files(root, "guidance")[0]).drop_columns(["joint_acceleration"])
    place = rows.schema.get_field_index("clip_id")
    rows = rows.set_column(place, "clip_id", pa.array([OLD]))
    pq.write_table(rows, root / "guidance" / "old.parquet")
    commit(root, "guidance", [describe(root / "guidance", "guidance", "old.parquet")], app="old")
    return root


def champ_files(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["files", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("reader", READERS)
def test_others_read_rows_and_video(dataset: Path, tmp_path: Path, reader: str) -> None:
    """Every clip with its numbers, and MP4 that any decoder turns into exactly what was drawn."""
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    homes = {"HOME": str(tmp_path), "HF_HOME": str(tmp_path / "hub")}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.replace("{reader}", READERS[reader])],
        input=champ_files(dataset, "guidance", "--json"),
        cwd=tmp_path,
        env={**os.environ, **offline, **homes, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    ids, frames = json.loads(done.stdout.splitlines()[-1])
    assert (ids, frames) == ([OLD, CLIPS["run"], CLIPS["walk"]], [FRAMES] * 3)
    for shown in np.load(tmp_path / "shown.npy"):
        np.testing.assert_array_equal(shown, stream_frames()["normal"])


def test_only_live_files_are_named(tmp_path: Path) -> None:
    """Neither what was never committed nor other recipes' files, where one recipe is asked for."""
    old = add(tmp_path, "clips", [{"clip_id": "a-000000-0009"}], name="old")
    new = add(tmp_path, "clips", [{"clip_id": "a-000000-0009", "recipe": "newer"}], name="new")
    write_shard(tmp_path, "clips", [{"clip_id": "b", "recipe": RECIPE}], name="orphan")
    assert set(champ_files(tmp_path, "clips").splitlines()) == {str(old), str(new)}
    assert champ_files(tmp_path, "clips", "--recipe", RECIPE).split() == [str(old)]
    told = json.loads(champ_files(tmp_path, "clips", "--recipe", "newest", "--json"))
    assert told == {"table": "clips", "recipe": "newer", "files": [str(new)]}


def test_no_such_table_or_dataset_is_a_value_error(tmp_path: Path) -> None:
    """And an empty table of a dataset names no files."""
    for arguments in ([str(tmp_path / "nowhere"), "clips"], [str(tmp_path), "clip"]):
        (tmp_path / "videos" / "_delta_log").mkdir(parents=True, exist_ok=True)
        result = CliRunner().invoke(app, ["files", *arguments])
        assert isinstance(result.exception, ValueError)
    add(tmp_path, "clips", [{"clip_id": "a"}], name="part")
    assert champ_files(tmp_path, "guidance").strip() == ""

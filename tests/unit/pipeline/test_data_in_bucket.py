"""Files, ledger, export and takedown of a dataset that is in an object store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner

from dataset.object_store import ObjectPath
from dataset.storage import files_below, read_file
from pipeline.cli import app
from tests.s3_server import s3_server
from tests.unit.pipeline.chain_dataset import CLIPS, CONTENTS, sha256, write_chain

ROOT = ObjectPath("champ", "sets/chain")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("bucket")
    with s3_server(), pytest.MonkeyPatch.context() as patched:
        patched.setenv("CHAMP_SCRATCH", str(folder / "scratch"))
        write_chain(ROOT)
        yield folder


def champ(*arguments: object) -> str:
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output


@pytest.mark.slow
def test_what_a_folder_gives_a_bucket_gives(folder: Path) -> None:
    """Files by their address, a clip's story, folders of pictures; then a source goes for good."""
    listed = json.loads(champ("files", ROOT, "videos", "--json"))["files"]
    assert listed[0].startswith("s3://champ/sets/chain/videos/")
    copy = folder / "videos.parquet"
    copy.write_bytes(read_file(ObjectPath.parse(listed[0])))
    found = duckdb.sql(f"select licence from '{copy}' where source_id = 'walk'").fetchall()
    assert found == [("CC-BY-4.0",)]
    assert (
        json.loads(champ("ledger", ROOT, CLIPS["walk"], "--json"))["source"][0]["platform"] == "web"
    )
    champ("export", ROOT, folder / "out")
    assert (folder / "out" / "web" / CLIPS["walk"] / "depth" / "0002.png").is_file()
    told = champ("forget", ROOT, "walk")
    assert "0 name the source or its content" in told
    left = [(str(file.path), read_file(file.path)) for file in files_below(ROOT)]
    assert not any(sha256("walk") in path or data == CONTENTS["walk"] for path, data in left)
    assert not any(CLIPS["walk"].encode() in data for _, data in left)
    assert any(data == CONTENTS["walk-2"] for _, data in left)
    assert champ("vacuum", ROOT, "--hours", 0) == ""

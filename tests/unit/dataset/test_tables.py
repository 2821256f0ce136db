"""Claims about tables: what is committed is seen, once, and nothing else is."""

import os
import threading
import time
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from dataset.errors import ItemError
from dataset.outcomes import Outcome, append_outcomes, finished_keys, read_outcomes
from dataset.schemas import SCHEMAS
from dataset.shards import ShardFile
from dataset.tables import (
    commit,
    committed,
    live_files,
    newest_recipe,
    read_row,
    read_rows,
    read_table,
    sweep_orphans,
    write_shard,
)


def shard(root: Path, name: str, *, recipe: str = "r1", keys: tuple[str, ...] = ()) -> ShardFile:
    """A shard of the guidance table with media that tells whose it is."""
    rows = [
        {"clip_id": key, "recipe": recipe, "rgb": f"{key} {recipe}".encode() * 100, "frames": 3}
        for key in keys or (name,)
    ]
    return write_shard(root, "guidance", rows, name=name)


def keys(root: Path, **options: str) -> list[str]:
    """The clips of the guidance table, with repeats."""
    return sorted(read_table(root, "guidance", **options).column("clip_id").to_pylist())


def test_what_is_not_committed_is_not_seen(tmp_path: Path) -> None:
    """A shard is invisible before its commit and whole after it; an absent table is empty."""
    assert live_files(tmp_path, "guidance") == []
    assert read_table(tmp_path, "guidance").num_rows == 0
    assert newest_recipe(tmp_path, "guidance") is None
    one = shard(tmp_path, "a", keys=("k1", "k2"))
    assert keys(tmp_path) == []
    assert commit(tmp_path, "guidance", [one], app="render-1")
    assert keys(tmp_path) == ["k1", "k2"]
    assert live_files(tmp_path, "guidance") == [tmp_path / "guidance" / "a.parquet"]


def test_repeating_a_commit_changes_nothing(tmp_path: Path) -> None:
    """The same application transaction is refused, also with other files and from a new process."""
    one, two = shard(tmp_path, "a"), shard(tmp_path, "b")
    assert commit(tmp_path, "guidance", [one], app="job", version=3)
    assert not commit(tmp_path, "guidance", [one], app="job", version=3)
    assert not commit(tmp_path, "guidance", [two], app="job", version=2)
    assert keys(tmp_path) == ["a"]
    assert committed(tmp_path, "guidance", app="job", version=3)
    assert not committed(tmp_path, "guidance", app="job", version=4)
    assert commit(tmp_path, "guidance", [two], app="job", version=4)
    assert keys(tmp_path) == ["a", "b"]


def test_concurrent_committers_lose_and_double_nothing(tmp_path: Path) -> None:
    """Four threads, each also repeating its neighbour's commits: every shard is there once."""
    shards = {f"s{i}": shard(tmp_path, f"s{i}") for i in range(12)}
    failures: list[BaseException] = []

    def work(start: int) -> None:
        try:
            for step in range(6):
                name = f"s{(start * 3 + step) % 12}"
                commit(tmp_path, "guidance", [shards[name]], app=f"app-{name}")
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert keys(tmp_path) == sorted(shards)


def test_media_is_left_out_unless_named(tmp_path: Path) -> None:
    """Reading a table does not read its videos."""
    commit(tmp_path, "guidance", [shard(tmp_path, "a")], app="j")
    assert "rgb" not in read_table(tmp_path, "guidance").column_names
    named = read_table(tmp_path, "guidance", columns=["clip_id", "rgb"])
    assert named.column("rgb")[0].as_py() == b"a r1" * 100


def test_recipes_do_not_mix(tmp_path: Path) -> None:
    """A reader names a recipe and gets its rows alone; the newest is the one written last."""
    commit(tmp_path, "guidance", [shard(tmp_path, "a", keys=("k1", "k2"))], app="1")
    time.sleep(0.002)
    commit(tmp_path, "guidance", [shard(tmp_path, "b", recipe="r0", keys=("k1",))], app="2")
    assert newest_recipe(tmp_path, "guidance") == "r0"
    assert keys(tmp_path, recipe="r0") == ["k1"]
    assert keys(tmp_path, recipe="r1") == ["k1", "k2"]
    assert keys(tmp_path, recipe="none") == []
    read = {
        r: read_row(tmp_path, "guidance", "k1", recipe=r, columns=["rgb"]) for r in ("r0", "r1")
    }
    assert read == {"r0": {"rgb": b"k1 r0" * 100}, "r1": {"rgb": b"k1 r1" * 100}}
    assert read_row(tmp_path, "guidance", "k1", columns=["recipe"]) == {"recipe": "r0"}
    assert read_row(tmp_path, "guidance", "k2", columns=["recipe"]) == {"recipe": "r1"}


def test_missing_rows_and_columns_are_named(tmp_path: Path) -> None:
    """A key, a column and a table that do not exist are the caller's mistake."""
    commit(tmp_path, "guidance", [shard(tmp_path, "a")], app="1")
    with pytest.raises(ValueError, match="no row 'zz' of any recipe"):
        read_row(tmp_path, "guidance", "zz", columns=["rgb"])
    with pytest.raises(ValueError, match="no row 'a' of recipe r9"):
        read_row(tmp_path, "guidance", "a", recipe="r9", columns=["rgb"])
    with pytest.raises(ValueError, match="no column 'colour'"):
        read_row(tmp_path, "guidance", "a", columns=["colour"])
    with pytest.raises(ValueError, match="table must be one of"):
        read_table(tmp_path, "guidence")


def test_a_committed_name_is_not_written_again(tmp_path: Path) -> None:
    """Live files cannot be overwritten, nor one file enter the table twice."""
    one = shard(tmp_path, "a")
    commit(tmp_path, "guidance", [one], app="1")
    with pytest.raises(ValueError, match="committed already"):
        shard(tmp_path, "a")
    with pytest.raises(ValueError, match="in the table already"):
        commit(tmp_path, "guidance", [one], app="2")


def test_remains_of_a_killed_attempt_are_replaced(tmp_path: Path) -> None:
    """A file that was written and never committed gives way to the second attempt's."""
    shard(tmp_path, "a", keys=("k1", "k2"))
    second = shard(tmp_path, "a", keys=("k1",))
    commit(tmp_path, "guidance", [second], app="1")
    assert keys(tmp_path) == ["k1"]


def test_files_are_checked_before_they_are_committed(tmp_path: Path) -> None:
    """A shard that is gone, or is not what was written, cannot be committed."""
    gone, changed = shard(tmp_path, "gone"), shard(tmp_path, "changed")
    (tmp_path / "guidance" / "gone.parquet").unlink()
    shard(tmp_path, "changed", keys=("k1", "k2", "k3"))
    with pytest.raises(ValueError, match="no such file"):
        commit(tmp_path, "guidance", [gone], app="1")
    with pytest.raises(ValueError, match="changed since"):
        commit(tmp_path, "guidance", [changed], app="1")
    with pytest.raises(ValueError, match="at least one shard"):
        commit(tmp_path, "guidance", [], app="1")
    assert keys(tmp_path) == []


def test_flipped_bits_are_found(tmp_path: Path) -> None:
    """Media whose bytes changed on disk is told as damaged, never handed out."""
    commit(tmp_path, "guidance", [shard(tmp_path, "a")], app="1")
    path = tmp_path / "guidance" / "a.parquet"
    data = bytearray(path.read_bytes())
    data[data.index(b"a r1a r1") + 5] ^= 1
    path.write_bytes(data)
    with pytest.raises(ItemError, match=r"shard\.damaged.*a\.parquet"):
        read_row(tmp_path, "guidance", "a", columns=["rgb"])


@pytest.mark.parametrize("content", [b"", b'{"commitInfo": {"timest'])
def test_torn_log_entries_are_found(tmp_path: Path, content: bytes) -> None:
    """A log entry that a power cut left empty or torn is named, with what to do, never skipped."""
    commit(tmp_path, "guidance", [shard(tmp_path, "a")], app="1")
    torn = tmp_path / "guidance" / "_delta_log" / f"{2:020d}.json"
    torn.write_bytes(content)
    with pytest.raises(ValueError, match=rf"{torn.name} is torn.*Remove"):
        read_table(tmp_path, "guidance")
    torn.unlink()
    assert keys(tmp_path) == ["a"]


def test_orphans_are_swept_by_age(tmp_path: Path) -> None:
    """Old files that no commit names go, with temporary ones; live and young ones stay."""
    folder = tmp_path / "guidance"
    commit(tmp_path, "guidance", [shard(tmp_path, "live")], app="1")
    shard(tmp_path, "young")
    shard(tmp_path, "old")
    (folder / ".half.123.tmp").write_bytes(b"PAR1")
    for name in ("live.parquet", "old.parquet", ".half.123.tmp"):
        os.utime(folder / name, (1, 1))
    swept = sweep_orphans(tmp_path, "guidance", older_than_seconds=60)
    assert [path.name for path in swept] == [".half.123.tmp", "old.parquet"]
    assert sorted(p.name for p in folder.glob("*.parquet")) == ["live.parquet", "young.parquet"]
    assert sweep_orphans(tmp_path, "clips", older_than_seconds=0) == []


def test_other_delta_readers_agree(tmp_path: Path) -> None:
    """The library's own reader sees the same rows and the row count in the log."""
    commit(tmp_path, "guidance", [shard(tmp_path, "a", keys=("k1", "k2"))], app="1")
    commit(tmp_path, "guidance", [shard(tmp_path, "b")], app="2")
    other = DeltaTable(str(tmp_path / "guidance"))
    assert other.count() == 3
    assert sorted(other.to_pyarrow_table().column("clip_id").to_pylist()) == ["b", "k1", "k2"]


def test_a_table_takes_a_column_that_came_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows written before a column existed have null there; new rows, and Delta's log, have it."""
    now = SCHEMAS["animations"]
    before = pa.schema([field for field in now if field.name != "alignment_iou"])
    row = {"animation_id": "old", "recipe": "r1", "frames": 3}
    with monkeypatch.context() as patched:
        patched.setitem(SCHEMAS, "animations", before)
        commit(
            tmp_path, "animations", [write_shard(tmp_path, "animations", [row], name="1")], app="1"
        )
    wanted = ["frames", "alignment_iou"]
    old = read_row(tmp_path, "animations", "old", columns=wanted)
    assert old == {"frames": 3, "alignment_iou": None}
    row = {"animation_id": "new", "recipe": "r1", "alignment_iou": 0.5}
    commit(tmp_path, "animations", [write_shard(tmp_path, "animations", [row], name="2")], app="2")
    values = read_table(tmp_path, "animations", columns=["alignment_iou"], recipe="r1")
    assert values.column(0).to_pylist() == [None, 0.5]
    assert (
        "alignment_iou" in DeltaTable(str(tmp_path / "animations")).to_pyarrow_table().schema.names
    )


def outcome(key: str, status: str = "ok", reason: str = "") -> Outcome:
    """An outcome of one job and recipe."""
    return Outcome(key=key, job="render", recipe="r1", status=status, reason=reason)


def test_the_newest_outcome_counts(tmp_path: Path) -> None:
    """An item that failed and was done again is ok; both outcomes stay on record, in order."""
    first = [outcome("k1"), outcome("k2", "failed", "decode.truncated")]
    assert append_outcomes(tmp_path, first)
    time.sleep(0.002)
    assert append_outcomes(tmp_path, [outcome("k2")])
    assert finished_keys(tmp_path, "render", "r1") == {"k1", "k2"}
    assert finished_keys(tmp_path, "render", "r1", statuses=("failed",)) == set()
    assert finished_keys(tmp_path, "render", "r2") == set()
    assert finished_keys(tmp_path, "curate", "r1") == set()
    told = [(row.key, row.status) for row in read_outcomes(tmp_path, "render", "r1")]
    assert told == [("k1", "ok"), ("k2", "failed"), ("k2", "ok")]


def test_outcomes_are_appended_once(tmp_path: Path) -> None:
    """Appending the same outcomes again, or none, changes nothing."""
    assert append_outcomes(tmp_path, [outcome("k1")])
    assert not append_outcomes(tmp_path, [outcome("k1")])
    assert not append_outcomes(tmp_path, [])
    assert read_outcomes(tmp_path) == [outcome("k1")]


@pytest.mark.parametrize(("status", "reason"), [("done", ""), ("failed", ""), ("ok", "why")])
def test_outcomes_are_checked(status: str, reason: str) -> None:
    """A status is one of four, and everything but ok has a reason."""
    with pytest.raises(ValueError, match=r"status must be|reason is for"):
        outcome("k1", status, reason)


def test_rows_of_keys_are_those_of_all_recipes_in_order(tmp_path: Path) -> None:
    """Only of these keys, the older first, and no media unless named."""
    for number, recipe in enumerate(("r1", "r2")):
        one = shard(tmp_path, f"part-{number}", recipe=recipe, keys=("k1", "k2", "k3"))
        commit(tmp_path, "guidance", [one], app=f"job-{number}")
    rows = read_rows(tmp_path, "guidance", {"k1", "k3", "none"})
    assert [(row["clip_id"], row["recipe"]) for row in rows] == [
        ("k1", "r1"), ("k3", "r1"), ("k1", "r2"), ("k3", "r2"),
    ]  # fmt: skip
    assert "rgb" not in rows[0]
    (first, _) = read_rows(tmp_path, "guidance", ["k2"], columns=["rgb"])
    assert first == {"rgb": b"k2 r1" * 100}
    assert read_rows(tmp_path, "guidance", []) == read_rows(tmp_path / "none", "clips", ["a"]) == []

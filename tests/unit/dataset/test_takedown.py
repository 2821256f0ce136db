"""Claims about takedown: the rows leave readers, files and log; all others stay as they are."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from dataset.faults import FAULT_POINTS
from dataset.schemas import SCHEMAS
from dataset.tables import commit, live_files, read_row, read_table, sweep_orphans, write_shard
from dataset.takedown import remove_rows

REPOSITORY = Path(__file__).resolve().parents[3]


def fill(root: Path, files: int = 4, each: int = 3) -> None:
    """``files`` shards of the guidance table with ``each`` clips, named k00, k01, ..."""
    for number in range(files):
        names = [f"k{number * each + i:02d}" for i in range(each)]
        rows = ({"clip_id": n, "recipe": "r1", "rgb": media(n), "frames": 3} for n in names)
        shard = write_shard(root, "guidance", rows, name=f"shard-{number}")
        commit(root, "guidance", [shard], app=f"job-{number}")


def media(name: str) -> bytes:
    """Bytes that tell whose they are, incompressible by their page."""
    return f"<media of {name}>".encode() * 500


def keys(root: Path) -> list[str]:
    """The clips that readers see, with repeats."""
    return sorted(read_table(root, "guidance").column("clip_id").to_pylist())


def holders(root: Path, text: str) -> list[str]:
    """Every file of the dataset in which these bytes are found."""
    found = (path for path in root.rglob("*") if path.is_file())
    return [str(path) for path in found if text.encode() in path.read_bytes()]


def check_without(root: Path, gone: set[str], *, of: int = 12) -> None:
    """All others are there once with their bytes, and nothing of ``gone`` is left anywhere."""
    rest = sorted({f"k{i:02d}" for i in range(of)} - gone)
    assert keys(root) == rest
    for key in rest:
        assert read_row(root, "guidance", key, columns=["rgb"])["rgb"] == media(key)
    for key in gone:
        assert holders(root, f"of {key}>") == []
        assert holders(root, f'"{key}"') == []  # statistics in the log


def test_rows_go_from_readers_files_and_log(tmp_path: Path) -> None:
    """Only the files concerned are rewritten; a file of such rows alone just goes."""
    fill(tmp_path)
    untouched = {p: p.stat().st_mtime_ns for p in live_files(tmp_path, "guidance")[2:]}
    removal = remove_rows(tmp_path, "guidance", ["k00", "k03", "k04", "k05", "nobody"])
    assert (removal.rows, len(removal.rewritten)) == (4, 1)
    assert removal.deleted == ("shard-0.parquet", "shard-1.parquet")
    check_without(tmp_path, {"k00", "k03", "k04", "k05"})
    assert {p: p.stat().st_mtime_ns for p in untouched} == untouched
    log = sorted(p.name for p in (tmp_path / "guidance" / "_delta_log").iterdir())
    assert [name.partition(".")[2] for name in log] == ["checkpoint.parquet", "json", ""]
    again = remove_rows(tmp_path, "guidance", ["k00"])
    assert (again.rows, again.rewritten, again.deleted) == (0, (), ())


def test_the_rewritten_file_is_like_the_others(tmp_path: Path) -> None:
    """One clip a row group, the time of writing kept, and other readers agree."""
    fill(tmp_path, files=1)
    before = read_table(tmp_path, "guidance", columns=["clip_id", "created_at"])
    (name,) = remove_rows(tmp_path, "guidance", ["k01"]).rewritten
    assert pq.read_metadata(tmp_path / "guidance" / name).num_row_groups == 2
    after = read_table(tmp_path, "guidance", columns=["clip_id", "created_at"])
    assert after.equals(before.filter(pa.array([True, False, True])))
    other = DeltaTable(str(tmp_path / "guidance"))
    assert (other.count(), len(other.file_uris())) == (2, 1)


def test_keys_may_come_back_and_go_again(tmp_path: Path) -> None:
    """The same shard, committed again under another transaction, is taken down again."""
    fill(tmp_path, files=2)
    for number in range(2):
        remove_rows(tmp_path, "guidance", ["k01"])
        check_without(tmp_path, {"k01"}, of=6)
        row = {"clip_id": "k01", "recipe": "r1", "rgb": media("k01")}
        shard = write_shard(tmp_path, "guidance", [row], name="shard-0")
        commit(tmp_path, "guidance", [shard], app=f"again-{number}")
        assert keys(tmp_path).count("k01") == 1


def test_every_row_of_a_key_goes(tmp_path: Path) -> None:
    """All recipes, and in a narrow table all rows; a table that does not exist has none."""
    rows = [{"key": f"v{i % 5}", "job": "fetch", "recipe": f"r{i % 3}"} for i in range(60)]
    commit(tmp_path, "outcomes", [write_shard(tmp_path, "outcomes", rows, name="a")], app="1")
    assert remove_rows(tmp_path, "outcomes", ["v1", "v2"]).rows == 24
    left = read_table(tmp_path, "outcomes").column("key").to_pylist()
    assert (len(left), set(left)) == (36, {"v0", "v3", "v4"})
    assert remove_rows(tmp_path, "videos", ["v1"]).rows == 0
    with pytest.raises(ValueError, match="at least one key"):
        remove_rows(tmp_path, "outcomes", [])


def test_uncommitted_files_that_hold_the_rows_go_too(tmp_path: Path) -> None:
    """What a killed job left is no hiding place; other orphans are not touched."""
    fill(tmp_path, files=1)
    for name, key in (("orphan", "k01"), ("other", "k77")):
        rows = [{"clip_id": key, "recipe": "r2", "rgb": media(key)}]
        write_shard(tmp_path, "guidance", rows, name=name)
    assert remove_rows(tmp_path, "guidance", ["k01"]).deleted == (
        "orphan.parquet",
        "shard-0.parquet",
    )
    assert (tmp_path / "guidance" / "other.parquet").is_file()


def test_older_files_get_the_columns_of_today(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file written before a column existed is rewritten with it, null."""
    now = SCHEMAS["animations"]
    with monkeypatch.context() as patched:
        before = pa.schema([field for field in now if field.name != "alignment_iou"])
        patched.setitem(SCHEMAS, "animations", before)
        rows = [{"animation_id": name, "recipe": "r1", "frames": 3} for name in "ab"]
        shard = write_shard(tmp_path, "animations", rows, name="1")
        commit(tmp_path, "animations", [shard], app="1")
    assert remove_rows(tmp_path, "animations", ["a"]).rows == 1
    row = read_row(tmp_path, "animations", "b", columns=["frames", "alignment_iou"])
    assert row == {"frames": 3, "alignment_iou": None}


def test_writers_and_readers_go_on_meanwhile(tmp_path: Path) -> None:
    """Appends during takedowns are all there afterwards, and no read ever fails."""
    fill(tmp_path)
    failures: list[BaseException] = []
    stop = threading.Event()

    def guarded(work) -> threading.Thread:
        def run() -> None:
            try:
                work()
            except BaseException as error:
                failures.append(error)
                raise

        return threading.Thread(target=run)

    def append() -> None:
        for number in range(10):
            rows = [{"clip_id": f"new{number}", "recipe": "r1", "rgb": b"x"}]
            shard = write_shard(tmp_path, "guidance", rows, name=f"new-{number}")
            assert commit(tmp_path, "guidance", [shard], app=f"new-{number}")

    def read() -> None:
        while not stop.is_set():
            assert read_row(tmp_path, "guidance", "k11", columns=["rgb"])["rgb"] == media("k11")
            keys(tmp_path)

    appending, reading = guarded(append), guarded(read)
    appending.start()
    reading.start()
    for key in ("k00", "k01", "k04", "k09", "k10"):
        assert remove_rows(tmp_path, "guidance", [key]).rows == 1
    appending.join()
    stop.set()
    reading.join()
    assert not failures
    expected = {f"k{i:02d}" for i in range(12)} - {"k00", "k01", "k04", "k09", "k10"}
    assert keys(tmp_path) == sorted(expected | {f"new{i}" for i in range(10)})


REMOVE = """
import sys
from pathlib import Path
from dataset.takedown import remove_rows
remove_rows(Path(sys.argv[1]), "guidance", ["k00", "k03", "k04", "k05"])
"""
ALWAYS = ("takedown.committed", "log.checkpointed")
OF_A_TAKEDOWN = [point for point in FAULT_POINTS if not point.startswith("outcomes")]


@pytest.mark.parametrize(
    "point",
    [
        pytest.param(point, marks=() if point in ALWAYS else pytest.mark.slow)
        for point in OF_A_TAKEDOWN
    ],
)
def test_a_killed_takedown_is_as_before_or_after_and_completes(tmp_path: Path, point: str) -> None:
    """kill -9 at each step: readers see the old rows or the new ones; the next call completes."""
    root, faults = tmp_path / "dataset", tmp_path / "faults"
    fill(root)
    faults.mkdir()
    (faults / f"{point}-1-kill").touch()
    command = [sys.executable, "-c", REMOVE, str(root)]
    killed = subprocess.run(command, cwd=REPOSITORY, env={"CHAMP_FAULTS": str(faults)})
    assert killed.returncode == -9
    everything = [f"k{i:02d}" for i in range(12)]
    gone = {"k00", "k03", "k04", "k05"}
    assert keys(root) in (everything, [key for key in everything if key not in gone])
    remove_rows(root, "guidance", gone)
    sweep_orphans(root, "guidance", older_than_seconds=0)
    check_without(root, gone)

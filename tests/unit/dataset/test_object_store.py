"""Claims about places in an object store, and about tables that live there."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dataset.delta import Change, LiveFiles, LockLostError, transact
from dataset.leases import Fence
from dataset.locks import dataset_lock
from dataset.object_store import ObjectPath, ObjectReader, create_object, put_object
from dataset.outcomes import Outcome, append_outcomes, finished_keys
from dataset.schemas import SCHEMAS
from dataset.storage import (
    Location,
    delete_file,
    file_status,
    files_below,
    files_in,
    is_file,
    local_file,
    location,
    read_file,
    store_file,
)
from dataset.tables import (
    commit,
    committed,
    live_files,
    raise_fence,
    read_row,
    read_table,
    sweep_orphans,
    write_shard,
)
from dataset.takedown import remove_rows
from tests.s3_server import OneAtATime, s3_server


@pytest.fixture(scope="module")
def server() -> Iterator[OneAtATime]:
    with s3_server() as app:
        yield app


@pytest.fixture
def root(
    server: OneAtATime, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch
) -> ObjectPath:
    """A dataset of its own for every test; copies go to the test's folder."""
    monkeypatch.setenv("CHAMP_SCRATCH", str(tmp_path / "scratch"))
    return ObjectPath.parse(f"s3://champ/{abs(hash(request.node.nodeid))}")


def fill(root: Location, *names: str, each: int = 2) -> None:
    """One committed shard of ``guidance`` a name, with clips NAME-0, NAME-1, ..."""
    for name in names:
        clips = [f"{name}-{number}" for number in range(each)]
        rows = ({"clip_id": clip, "recipe": "r", "rgb": media(clip)} for clip in clips)
        assert commit(root, "guidance", [write_shard(root, "guidance", rows, name=name)], app=name)


def media(clip: str) -> bytes:
    """Bytes that tell whose they are; large beside a Parquet footer."""
    return f"<{clip}>".encode() * 30_000


def keys(root: Location) -> list[str]:
    """The clips that readers see, with repeats."""
    return sorted(read_table(root, "guidance").column("clip_id").to_pylist())


def test_addresses() -> None:
    """s3://bucket/prefix is an object store, a path is a path, all else is refused by name."""
    assert location("s3://b/a//c/") == ObjectPath("b", "a/c")
    assert str(location("s3://b/a/c")) == "s3://b/a/c"
    assert str(location("s3://b")) == "s3://b"
    assert location("data/set") == Path("data/set")
    assert location(Path("x")) == Path("x")
    place = ObjectPath("b", "set") / "files/ab" / "video.mp4"
    assert (place.name, place.suffix) == ("video.mp4", ".mp4")
    assert str(place.relative_to(ObjectPath("b", "set"))) == "files/ab/video.mp4"
    for wrong in ("s3:///x", "s3://key:secret@b/x", "s3://b/x?sig=1", "gs://b/x", "s3://b/../x"):
        with pytest.raises(ValueError, match=r"object store|s3://"):
            location(wrong)
    with pytest.raises(ValueError, match=r"no '\.' or '\.\.'"):
        _ = ObjectPath("b", "set") / "../other"


@pytest.mark.parametrize("remote", [False, True])
def test_both_storages_keep_the_same_promises(
    remote: bool, root: ObjectPath, tmp_path: Path
) -> None:
    """What was stored is read, listed, lent as a file and deleted, on a disk and in a bucket."""
    place: Location = root if remote else tmp_path / "dataset"
    made = tmp_path / "made.bin"
    for content in (b"first", b"other"):  # of the same size, within the same second
        made.write_bytes(content)
        store_file(made, place / "files" / "ab" / "x.bin")
        assert not made.exists()
        assert read_file(place / "files/ab/x.bin") == content
        with local_file(place / "files/ab/x.bin") as copy:
            assert copy.read_bytes() == content
    assert file_status(place / "files/ab/x.bin").size_bytes == 5
    assert [file.path for file in files_in(place / "files/ab")] == [place / "files/ab/x.bin"]
    assert [file.path for file in files_below(place)] == [place / "files/ab/x.bin"]
    assert files_in(place / "files") == files_in(place / "nowhere") == []
    assert is_file(place / "files/ab/x.bin")
    assert not is_file(place / "files/ab")
    delete_file(place / "files/ab/x.bin")
    delete_file(place / "files/ab/x.bin")
    for read in (read_file, file_status):
        with pytest.raises(FileNotFoundError):
            read(place / "files/ab/x.bin")


def test_of_several_writers_one_creates(root: ObjectPath) -> None:
    """A conditional put wins once, whoever tries, and what it put stays."""
    won: list[tuple[int, int]] = []

    def work(writer: int) -> None:
        for number in range(10):
            if create_object(root / f"{number}", f"{writer}".encode()):
                won.append((number, writer))

    threads = [threading.Thread(target=work, args=(writer,)) for writer in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(number for number, _ in won) == list(range(10))
    assert all(read_file(root / f"{number}") == f"{writer}".encode() for number, writer in won)


def test_copies_stay_within_bounds(root: ObjectPath, tmp_path: Path, monkeypatch) -> None:
    """What was used longest ago gives way to what is needed; what is in use stays."""
    monkeypatch.setenv("CHAMP_SCRATCH_BYTES", "2500")
    for name in "abc":
        put_object(root / name, name.encode() * 1000)
    folder = tmp_path / "scratch" / "copies"
    with local_file(root / "a") as first:
        for name in "bc":
            with local_file(root / name) as copy:
                assert copy.read_bytes() == name.encode() * 1000
        assert first.read_bytes() == b"a" * 1000
    assert sum(path.stat().st_size for path in folder.iterdir()) == 2000
    with local_file(root / "b") as copy:  # fetched again
        assert copy.read_bytes() == b"b" * 1000


def test_a_reader_asks_for_ranges(root: ObjectPath, server: OneAtATime) -> None:
    """One column of one row is fetched as such: little of a file crosses the network."""
    fill(root, "a", each=5)
    size = file_status(live_files(root, "guidance")[0]).size_bytes
    server.requests.clear()
    assert read_row(root, "guidance", "a-3", columns=["rgb"])["rgb"] == media("a-3")
    ranges = [
        [int(end) for end in asked.rpartition("bytes=")[2].split("-")]
        for asked in server.requests
        if "parquet bytes=" in asked and "checkpoint" not in asked
    ]
    fetched = sum(last + 1 - first for first, last in ranges)
    footers = 2 * 65_536  # pyarrow reads the end of a file, and it is opened twice
    assert len(media("a-3")) < fetched < len(media("a-3")) + footers + 20_000 < size
    assert not [asked for asked in server.requests if asked.endswith(".parquet") and "GET" in asked]
    server.requests.clear()
    read_row(root, "guidance", "a-4", columns=["rgb"])
    assert len(server.requests) < 10  # the log is read again when it has grown


def test_a_table_in_a_bucket(root: ObjectPath, tmp_path: Path) -> None:
    """Shards are invisible before their commit, a repeated commit is refused, all is read back."""
    assert live_files(root, "guidance") == []
    assert read_table(root, "guidance").num_rows == 0
    one = write_shard(root, "guidance", [{"clip_id": "k", "recipe": "r"}], name="one")
    assert keys(root) == []
    assert commit(root, "guidance", [one], app="1")
    assert not commit(root, "guidance", [one], app="1")
    with pytest.raises(ValueError, match="in the table already"):
        commit(root, "guidance", [one], app="2")
    with pytest.raises(ValueError, match="committed already"):
        write_shard(root, "guidance", [{"clip_id": "k", "recipe": "r"}], name="one")
    fill(root, "a", "b")
    assert keys(root) == ["a-0", "a-1", "b-0", "b-1", "k"]
    assert committed(root, "guidance", app="a")
    assert read_row(root, "guidance", "b-1", columns=["rgb"])["rgb"] == media("b-1")
    outcome = Outcome(key="k", job="render", recipe="r", status="ok")
    assert append_outcomes(root, [outcome])
    assert not append_outcomes(root, [outcome])
    assert finished_keys(root, "render", "r") == {"k"}
    assert list((tmp_path / "scratch").iterdir()) == []  # nothing stays where shards are made


def test_two_attempts_never_share_an_object(root: ObjectPath) -> None:
    """A killed attempt's shard is not overwritten but left, never read, and swept."""
    row = {"clip_id": "k", "recipe": "r"}
    first, second = (write_shard(root, "guidance", [row], name="a") for _ in range(2))
    assert first.path != second.path
    commit(root, "guidance", [second], app="1")
    assert keys(root) == ["k"]
    time.sleep(1.1)  # the server tells whole seconds
    swept = sweep_orphans(root, "guidance", older_than_seconds=0)
    assert [path.name for path in swept] == [first.path]
    assert [path.name for path in live_files(root, "guidance")] == [second.path]
    assert keys(root) == ["k"]


def test_committers_of_one_version_cannot_both_win(root: ObjectPath) -> None:
    """Three threads commit at once, each also its neighbour's shards: every one is there once."""
    shards = {}
    for number in range(6):
        row = {"clip_id": f"k{number}", "recipe": "r"}
        shards[f"k{number}"] = write_shard(root, "guidance", [row], name=f"s{number}")
    failures: list[BaseException] = []

    def work(start: int) -> None:
        try:
            for step in range(4):
                name = f"k{(start * 2 + step) % 6}"
                commit(root, "guidance", [shards[name]], app=name)
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert keys(root) == sorted(shards)


def test_rows_are_taken_down_in_a_bucket(root: ObjectPath) -> None:
    """No object holds them afterwards, the log's neither; the others are untouched."""
    fill(root, "a", "b", "c")
    removal = remove_rows(root, "guidance", ["a-0", "c-0", "c-1"])
    assert (removal.rows, len(removal.rewritten), len(removal.deleted)) == (3, 1, 2)
    assert keys(root) == ["a-1", "b-0", "b-1"]
    assert read_row(root, "guidance", "a-1", columns=["rgb"])["rgb"] == media("a-1")
    contents = [read_file(file.path) for file in files_below(root / "guidance")]
    assert not [data for data in contents if b"<c-0>" in data or b'"c-0"' in data]
    fill(root, "d")
    assert keys(root) == ["a-1", "b-0", "b-1", "d-0", "d-1"]


def test_one_holds_a_lease_and_the_next_waits(root: ObjectPath, monkeypatch) -> None:
    """The second waits for the first, who keeps the lease for longer than it would last."""
    monkeypatch.setenv("CHAMP_LEASE_SECONDS", "0.4")
    told: list[str] = []

    def second() -> None:
        with dataset_lock(root, "job") as fence:
            assert fence is not None
            told.append(f"second holds {fence.number}")

    with dataset_lock(root, "job") as fence:
        assert fence == Fence(app="fence-job", number=1)
        waiting = threading.Thread(target=second)
        waiting.start()
        time.sleep(1.2)
        told.append("first ends")
    waiting.join()
    assert told == ["first ends", "second holds 2"]


def test_who_lost_the_lease_commits_nothing(root: ObjectPath) -> None:
    """After a takeover the table refuses the one who had it before."""
    old, new = (Fence(app="fence-render", number=number) for number in (1, 2))
    raise_fence(root, "guidance", old)
    shards = [
        write_shard(root, "guidance", [{"clip_id": name, "recipe": "r"}], name=name)
        for name in "abc"
    ]
    assert commit(root, "guidance", shards[:1], app="1", fence=old)
    raise_fence(root, "guidance", new)
    with pytest.raises(LockLostError, match="took over"):
        commit(root, "guidance", shards[1:2], app="2", fence=old)
    assert commit(root, "guidance", shards[2:], app="3", fence=new)
    assert keys(root) == ["a", "c"]


def test_who_loses_the_lease_in_the_middle_of_a_commit_fails(root: ObjectPath) -> None:
    """The takeover may come between the last look and the entry: the put is refused then."""
    schema, row = SCHEMAS["guidance"], {"clip_id": "late", "recipe": "r"}
    late = write_shard(root, "guidance", [row], name="late")

    def overtaken(live: LiveFiles) -> Change:
        assert not live
        raise_fence(root, "guidance", Fence(app="fence-render", number=2))
        return Change(added=[late])

    with pytest.raises(LockLostError, match="took over"):
        transact(
            root / "guidance",
            schema,
            overtaken,
            app="1",
            fence=Fence(app="fence-render", number=1),
        )
    assert keys(root) == []


def test_nothing_secret_is_in_a_message(root: ObjectPath) -> None:
    """Addresses are shown without credentials: these come from the environment alone."""
    with pytest.raises(FileNotFoundError) as error:
        ObjectReader(root / "nothing")
    assert os.environ["AWS_SECRET_ACCESS_KEY"] not in str(error.value)

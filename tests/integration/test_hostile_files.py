"""300 damaged and hostile files cost a row each: the fetch job ends well, reaching nothing else."""

from __future__ import annotations

import csv
import ctypes
import os
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import psutil
import pytest

from dataset.errors import ItemError
from dataset.outcomes import Outcome, read_outcomes
from dataset.tables import read_table
from dataset.video import probe_video, read_frames, write_playable
from pipeline.config import load_config
from pipeline.job import RunOptions
from pipeline.jobs.fetch import fetch
from pipeline.workspace import Workspace
from tests.integration.hostile_files import write_hostile_files

_IN_ACCESS, _IN_OPEN = 0x1, 0x20
_BOUND_SECONDS = 60.0  # it takes about 5; a hang would take the watchdog's 60 for each file


@contextmanager
def _watched(path: Path) -> Iterator[int]:
    """A descriptor that reads something once the file is opened or read (Linux's inotify)."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    assert libc.inotify_add_watch(descriptor, os.fsencode(path), _IN_ACCESS | _IN_OPEN) >= 0
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What the job over all files left behind."""

    workspace: Workspace
    files: list[Path]
    outcomes: dict[str, Outcome]
    calls: int  # to the address that the files name
    opened: bool  # the file that they name
    decoders: set[int]  # processes that were seen
    seconds: float


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    """The real fetch job, in process, over all 300 files."""
    folder = tmp_path_factory.mktemp("hostile")
    canary = folder / "canary.mp4"
    write_playable(canary, [np.zeros((64, 96, 3), np.uint8)] * 5, fps=25.0)
    (folder / "files").mkdir()
    with closing(socket.create_server(("127.0.0.1", 0))) as server, _watched(canary) as watch:
        server.settimeout(0.2)
        address = f"127.0.0.1:{server.getsockname()[1]}"
        files = write_hostile_files(folder / "files", canary=canary, address=address)
        manifest = folder / "sources.csv"
        with manifest.open("w", newline="") as handle:
            writer = csv.writer(handle)
            writer.writerow(["source_id", "path", "platform", "licence", "consent"])
            writer.writerows([f"h{n:03}", path, "", "test", "test"] for n, path in enumerate(files))
        config = load_config("tiny", [f"fetch.max_bytes={64 << 20}"])
        options = RunOptions(in_process=True, quiet=True)
        workspace = Workspace(root=folder / "dataset", config=config, options=options)
        started = time.monotonic()
        fetch(workspace, manifest)
        seconds = time.monotonic() - started
        yield Ran(
            workspace=workspace,
            files=files,
            outcomes={row.key: row for row in read_outcomes(workspace.root, "fetch")},
            calls=_calls(server),
            opened=_was_touched(watch),
            decoders=_decoders(),
            seconds=seconds,
        )


def _calls(server: socket.socket) -> int:
    count = 0
    while True:
        try:
            server.accept()[0].close()
        except TimeoutError:
            return count
        count += 1


def _was_touched(watch: int) -> bool:
    try:
        return bool(os.read(watch, 4096))
    except BlockingIOError:
        return False


def _decoders() -> set[int]:
    children = psutil.Process().children()
    return {child.pid for child in children if "decoder_child" in " ".join(child.cmdline())}


def test_every_file_has_its_row(ran: Ran) -> None:
    """300 files, 300 outcomes, no defect; all but the ones that are whole have a reason."""
    assert len(ran.files) == len(set(ran.files)) == 300
    assert len(ran.outcomes) == 300
    for row in ran.outcomes.values():
        assert row.status in ("ok", "failed", "rejected")
        assert row.status == "ok" or row.reason.startswith(("probe.", "decode.", "fetch.", "manif"))
    assert sum(row.status == "ok" for row in ran.outcomes.values()) < 200


def test_nothing_but_the_file_itself_is_reached(ran: Ran) -> None:
    """Playlists, references and names open no other file and call no address."""
    assert ran.calls == 0
    assert not ran.opened


def test_the_job_neither_hangs_nor_leaves_processes(ran: Ran) -> None:
    """One child serves all of them, and it is the only one that is still there."""
    assert ran.seconds < _BOUND_SECONDS
    assert len(ran.decoders) <= 2
    assert not list((ran.workspace.root / "files").glob(".fetch-*"))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("hls-file.mp4", "probe.not_video"),
        ("concat.mp4", "probe.not_video"),
        ("subtitles.srt", "probe.not_video"),
        ("canvas-65535.gif", "probe.not_video"),
        ("mp4-steps-many.mp4", "probe.damaged"),
        ("mp4-codec-none.mp4", "probe.unknown_codec"),
        ("bomb.png", "probe.not_video"),
        ("empty.mp4", "probe.empty"),
        ("sound.m4a", "probe.no_video_stream"),
        ("cut-50-back.mp4", "probe.truncated"),
        ("cut-50-front.mp4", "probe.truncated"),
        ("sparse.mp4", "fetch.too_large"),
        ("pipe.mp4", "fetch.missing_file"),
        ("zero.mp4", "fetch.missing_file"),
    ],
)
def test_the_reason_says_what_is_wrong(ran: Ran, name: str, reason: str) -> None:
    """Well-known kinds of bad file have their own reasons."""
    (number,) = [n for n, path in enumerate(ran.files) if path.name == name]
    assert ran.outcomes[f"h{number:03}"].reason == reason


def test_what_came_in_is_read_or_refused(ran: Ran) -> None:
    """Every file that the probe let in gives frames of one size, or bad data's error."""
    rows = read_table(ran.workspace.root, "videos").to_pylist()
    ends: Counter[str] = Counter()
    for row in rows:
        frames = read_frames(ran.workspace.root / row["path"], fps=12.0, max_side=48)
        with closing(frames):  # type: ignore[arg-type]
            try:
                assert len({frame.shape for frame in islice(frames, 200)}) == 1
                ends["read"] += 1
            except ItemError as error:
                ends[error.kind] += 1
    assert ends["read"] > 10
    assert not ends["decode.timeout"] + ends["decode.memory"]


@pytest.mark.parametrize("read", [probe_video, lambda path: next(read_frames(path))])
def test_nothing_waits_for_what_is_no_file(ran: Ran, read) -> None:
    """Pipes, devices, sockets and folders are refused at once by the decoder itself too."""
    names = {"pipe.mp4", "folder.mp4", "zero.mp4", "loop.mp4", "dangling.mp4", "socket.mp4"}
    paths = [path for path in ran.files if path.name in names]
    assert len(paths) == len(names)
    for path in paths:
        with pytest.raises(ItemError, match=r"probe\.missing"):
            read(path)

"""Claims about the supervised child: whatever happens to it costs one file and nothing else."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import psutil
import pytest

from dataset import video
from dataset.decoder_pool import DecoderPool
from dataset.decoder_process import DecoderLimits
from dataset.errors import ItemError
from dataset.video import probe_video, read_frames, write_playable
from tests.unit.dataset.foreign_videos import grey_frames, write_video

MODULE = "tests.unit.dataset.breaking_decoder"
WANTED = {"max_side": 64}


def children() -> set[int]:
    """The decoders that this process runs."""
    found = psutil.Process().children()
    return {child.pid for child in found if "decoder" in " ".join(child.cmdline())}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """100 frames of 640 x 480 whose grey level is twice their number."""
    path = tmp_path_factory.mktemp("decoder") / "clip.mp4"
    frames = (np.full((480, 640, 3), 2 * number, np.uint8) for number in range(100))
    write_playable(path, frames, fps=25.0)
    return path


@pytest.fixture(scope="module")
def pool() -> Iterator[DecoderPool]:
    """Decoders that break when they are told to."""
    made = DecoderPool(DecoderLimits(silent_seconds=20), module=MODULE)
    yield made
    made.close()


def named(clip: Path, name: str) -> Path:
    """The clip under a name that tells the decoder what to do."""
    path = clip.with_name(f"{name}.mp4")
    path.unlink(missing_ok=True)
    path.symlink_to(clip)
    return path


def check_usable(pool: DecoderPool, clip: Path) -> None:
    """The next file is read as if nothing had been."""
    assert pool.probe(clip, max_pixels=10**6)["frames"] == 100
    assert len(list(pool.pictures(clip, WANTED))) == 100


def check_order(frames: list[np.ndarray]) -> None:
    """These are the clip's frames from the second on."""
    greys = [float(frame.mean()) for frame in frames]
    assert np.diff(greys).min() > 0
    np.testing.assert_allclose(greys, 2.0 * np.arange(1, 100), atol=2.0)  # what the codec loses


@pytest.mark.parametrize(
    ("name", "kind", "text"),
    [
        ("segfault", "decode.crashed", "SIGSEGV"),
        ("exit", "decode.crashed", "exit code 0"),
        ("killed", "decode.memory", "killed"),
        ("memory", "decode.memory", "memory"),
    ],
)
def test_a_death_costs_one_file(
    pool: DecoderPool, clip: Path, name: str, kind: str, text: str
) -> None:
    """A real segfault, exit, kill or burst of memory is that file's error; a reader beside it
    and the next file do not notice."""
    beside = pool.pictures(clip, WANTED)
    first = list(islice(beside, 5))
    with pytest.raises(ItemError, match=text) as caught:
        pool.probe(named(clip, name), max_pixels=10**6)
    assert caught.value.kind == kind
    assert name in caught.value.message
    assert len(first) + len(list(beside)) == 100
    check_usable(pool, clip)


@pytest.mark.parametrize(
    "limits", [DecoderLimits(silent_seconds=0.4), DecoderLimits(cpu_seconds=1, silent_seconds=20)]
)
def test_a_decoder_that_hangs_is_ended(clip: Path, limits: DecoderLimits) -> None:
    """Neither silence nor CPU time goes on for ever."""
    before = children()
    pool = DecoderPool(limits, module=MODULE)
    with pytest.raises(ItemError, match=r"decode\.timeout"):
        pool.probe(named(clip, "spin"), max_pixels=10**6)
    assert children() == before


def test_a_defect_is_not_bad_data(pool: DecoderPool, clip: Path) -> None:
    """A mistake in our own code stops the job; it does not refuse every video in silence."""
    with pytest.raises(RuntimeError, match="TypeError: a mistake of ours"):
        pool.probe(named(clip, "defect"), max_pixels=10**6)
    check_usable(pool, clip)


def test_a_huge_picture_meets_the_memory_limit(tmp_path: Path) -> None:
    """A real file whose frames need more than the limit is told as such, by probe or reader."""
    write_playable(tmp_path / "huge.mp4", [np.zeros((4000, 5000, 3), np.uint8)], fps=25.0)
    pool = DecoderPool(DecoderLimits(memory_bytes=560 << 20))
    with pytest.raises(ItemError) as caught:
        list(pool.pictures(tmp_path / "huge.mp4", {}))
    pool.close()
    assert caught.value.kind == "decode.memory"


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"not json",
        b"[" * 60000,
        b"[]",
        b'{"say": 1}',
        b'{"say": "probe", "probe": 3}',
        b'{"say": "frame", "seconds": 1.0}',
        b'{"say": "error", "kind": "select.kept", "status": "failed", "message": ""}',
        b'{"say": "error", "kind": "probe.empty", "status": "ok", "message": ""}',
    ],
)
def test_a_decoder_that_was_taken_over_is_not_believed(
    pool: DecoderPool, clip: Path, message: bytes
) -> None:
    """What is no answer to the request is the file's error, and that process is not used again."""
    told = clip.with_name("says-it.mp4")
    told.write_bytes(message or b"{}")
    with pytest.raises(ItemError, match=r"decode\.crashed: .*says-it\.mp4"):
        pool.probe(told, max_pixels=10**6)
    check_usable(pool, clip)


@pytest.mark.parametrize("size", [(-1, 5), (1 << 40, 1 << 40), (5, None)])
def test_sizes_beyond_the_shared_memory_are_not_believed(clip: Path, size: tuple) -> None:
    """Nothing is read outside the memory both share, whatever size the decoder claims."""
    pool = DecoderPool(module=MODULE)
    pool.probe(clip, max_pixels=10**6)
    (child,) = pool._idle
    with pytest.raises(ItemError, match=r"decode\.crashed"):
        child._slots({"say": "size", "height": size[0], "width": size[1]})
    assert not child.is_running()


def test_a_decoder_reaches_nothing_else(
    pool: DecoderPool, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a file is read no other file or connection can be opened, and no secret is at hand."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden")
    fresh = DecoderPool(module=MODULE)
    with pytest.raises(ItemError) as caught:
        fresh.probe(named(clip, "reaches"), max_pixels=10**6)
    fresh.close()
    reached = set(caught.value.message.split())
    assert not reached & {"FILE", "SOCKET", "WRITE", "AWS_SECRET_ACCESS_KEY", "HOME"}
    assert "PYTHONPATH" in reached


def test_who_stops_early_leaves_the_decoder_usable(clip: Path) -> None:
    """A closed reader frees its child at once; the same one serves the next file."""
    pool = DecoderPool()
    pids = set()
    for count in (0, 1, 3, 40):
        frames = pool.pictures(clip, {})
        assert len(list(islice(frames, count))) == count
        started = time.monotonic()
        frames.close()
        assert time.monotonic() - started < 1.5
        pids |= {child._process.pid for child in pool._idle}
    assert len(pids) == 1
    pool.close()


def test_who_stops_in_a_long_still_is_not_kept_waiting(tmp_path: Path) -> None:
    """A picture that is shown for an hour is no flood: the child stops when it is told to."""
    path = write_video(
        tmp_path / "still.mkv", grey_frames([10, 20]), rate=1000, times=[0, 3_600_000]
    )
    pool = DecoderPool()
    for _ in range(2):
        frames = pool.pictures(path, {"fps": 30.0})
        assert [seconds for seconds, _ in islice(frames, 500)] == [0.0] * 500
        time.sleep(0.2)
        started = time.monotonic()
        frames.close()
        assert time.monotonic() - started < 1.5
    assert len(pool._idle) == 1
    pool.close()


def test_a_slow_consumer_holds_the_decoder_back(clip: Path) -> None:
    """The child decodes no further ahead than the ring: then it waits without using CPU time."""
    pool = DecoderPool()
    frames = pool.pictures(clip, {})
    next(frames)
    (child,) = pool._busy
    process = psutil.Process(child._process.pid)
    time.sleep(0.5)
    used = sum(process.cpu_times()[:2])
    time.sleep(0.3)
    assert sum(process.cpu_times()[:2]) == used
    assert process.status() == psutil.STATUS_SLEEPING
    check_order([frame for _, frame in frames])
    pool.close()


def test_frames_are_the_readers_own(clip: Path) -> None:
    """A frame that was handed out stays as it is, and may be written to."""
    frames = list(read_frames(clip, max_side=64))
    frames[0][:] = 255
    check_order(frames[1:])


def test_readers_side_by_side(clip: Path) -> None:
    """Two readers at once get a child each; no more than two are kept."""
    pool = DecoderPool()
    readers = [pool.pictures(clip, WANTED) for _ in range(4)]
    for rows in zip(*readers, strict=True):
        assert len({seconds for seconds, _ in rows}) == 1
    assert len(pool._idle) == 2
    assert not pool._busy
    pool.close()


def test_threads_share_the_pool(clip: Path) -> None:
    """Calls from several threads do not meet."""
    found: list[int] = []
    threads = [
        threading.Thread(target=lambda: found.append(len(list(read_frames(clip, max_side=32)))))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [100] * 4


def test_a_decoder_that_died_idle_is_replaced(clip: Path) -> None:
    """Who kills a child between two files costs neither of them."""
    probe_video(clip)
    for child in video._POOL._idle:
        os.kill(child._process.pid, signal.SIGKILL)
        child._process.wait()
    assert probe_video(clip).frames == 100


@pytest.mark.parametrize("doing", ["idle", "reading", "spinning"])
def test_children_die_with_their_parent(clip: Path, doing: str) -> None:
    """kill -9 of the parent ends the child whatever it is doing, with its shared memory."""
    script = f"""
import sys, threading, time
from dataset.decoder_pool import DecoderPool
pool = DecoderPool(module={MODULE!r})
pool.probe({str(clip)!r}, max_pixels=10**6)
print(pool._idle[0]._process.pid, flush=True)
if {doing!r} == "reading":
    frames = pool.pictures({str(clip)!r}, {{}})
    next(frames)
if {doing!r} == "spinning":
    threading.Thread(target=pool.probe, args=({str(named(clip, "spin"))!r},),
                     kwargs={{"max_pixels": 10**6}}, daemon=True).start()
print("now", flush=True)
time.sleep(60)
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    parent = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, env=environment, text=True
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert parent.stdout.readline() == "now\n"
    assert psutil.pid_exists(pid)
    time.sleep(0.2)
    parent.kill()
    parent.communicate()
    deadline = time.monotonic() + 10
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "the child outlived its parent"
        time.sleep(0.05)


def test_an_interpreter_that_ends_leaves_nothing(clip: Path) -> None:
    """A program that stops in the middle of a video ends without a warning or a child."""
    script = f"""
from dataset.video import read_frames, _POOL
frames = read_frames({str(clip)!r})
next(frames)
print([child._process.pid for child in _POOL._busy])
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, env=environment
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert not any(psutil.pid_exists(pid) for pid in json.loads(done.stdout))


def test_a_forked_process_starts_its_own(clip: Path) -> None:
    """A child made by fork, as data loaders make them, does not talk to its parent's decoder."""
    script = f"""
import os
from dataset.video import probe_video, _POOL
probe_video({str(clip)!r})
pid = os.fork()
if pid == 0:
    probe_video({str(clip)!r})
    _POOL.close()
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
assert probe_video({str(clip)!r}).frames == 100
print("well")
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, env=environment, text=True
    )
    assert (done.stdout, done.returncode) == ("well\n", 0), done.stderr

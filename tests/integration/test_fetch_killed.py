"""A worker that is killed in the middle of a download costs the bytes in its buffer, no more."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from curation.fetch import FetchStage
from curation.fetching.partials import partials_folder
from curation.fetching.settings import FetchSettings
from dataset.video import write_playable
from tests.unit.curation.loopback import Page, serve

REPOSITORY = Path(__file__).resolve().parents[2]
WORKER = """
import json
import sys
from pathlib import Path
from curation.fetch import FetchStage
from curation.fetching.settings import FetchSettings
settings, root, item = json.loads(sys.argv[1])
stage = FetchStage(FetchSettings.model_validate(settings), Path(root))
stage.load()
list(stage.process(item))
"""


def test_a_killed_download_goes_on(tmp_path: Path) -> None:
    """After kill -9 the next worker asks for the rest, and gets the file that the server has."""
    rng = np.random.default_rng(0)
    noise = (rng.integers(0, 256, (128, 128, 3), dtype=np.uint8) for _ in range(6))
    write_playable(tmp_path / "v.mp4", noise, fps=20)
    video, root = (tmp_path / "v.mp4").read_bytes(), tmp_path / "root"
    with serve() as server:
        headers = {"ETag": '"1"'}
        server.pages["/v"] = Page(
            body=video, headers=headers, ranges="right", seconds_per_byte=1e-5
        )
        settings = {"allow_addresses": [server.address]}
        item = {"source_id": "a", "url": server.url("/v"), "licence": "x", "consent": "x"}
        told = json.dumps([settings, str(root), item])
        worker = subprocess.Popen([sys.executable, "-c", WORKER, told], cwd=REPOSITORY)
        wait_for_half(root, len(video))
        worker.send_signal(signal.SIGKILL)
        assert worker.wait(10) == -signal.SIGKILL
        there = next(partials_folder(root).glob("*/content")).stat().st_size
        server.pages["/v"] = Page(body=video, headers=headers, ranges="right")
        stage = FetchStage(FetchSettings.model_validate(settings), root)
        stage.load()
        (row,) = stage.process(item)
    assert server.asked[-1]["Range"] == f"bytes={there}-"
    assert row["content_sha256"] == hashlib.sha256(video).hexdigest()
    assert (root / str(row["path"])).read_bytes() == video
    assert list(partials_folder(root).iterdir()) == []


def wait_for_half(root: Path, size: int) -> None:
    """Until about half of the file lies there, with the worker still at it."""
    for _ in range(3000):
        found = list(partials_folder(root).glob("*/content"))
        if found and found[0].stat().st_size > size // 3:
            return
        time.sleep(0.01)
    raise AssertionError("the worker got nowhere")

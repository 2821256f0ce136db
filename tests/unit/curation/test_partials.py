"""Claims about the folders that downloads grow in."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from curation.fetching.partials import partial_folder, partials_folder, sweep_partial_downloads
from dataset.errors import ItemDeferredError, ItemError


def break_off(root: Path, error: BaseException) -> None:
    """A fetch that gets half of its file."""
    with partial_folder(root, "a") as folder:
        (folder / "content").write_bytes(b"half")
        raise error


@pytest.mark.parametrize(
    ("error", "stays"),
    [
        (ItemError("fetch.truncated", "x"), True),
        (ItemError("fetch.http_404", "x"), False),
        (ItemError("probe.not_video", "x"), False),
        (ItemDeferredError("fetch.platform_paused", "x"), True),
        (KeyboardInterrupt(), True),
    ],
)
def test_what_may_go_on_stays(tmp_path: Path, error: BaseException, stays: bool) -> None:
    """The bytes of a fetch that may still succeed are there at the next try, others are not."""
    with pytest.raises(type(error)):
        break_off(tmp_path, error)
    with partial_folder(tmp_path, "a") as folder:
        assert (folder / "content").exists() == stays
    assert not folder.exists()


def test_names_tell_nothing(tmp_path: Path) -> None:
    """The folder's name is made from the id, of fixed length."""
    with partial_folder(tmp_path, "..") as one, partial_folder(tmp_path, "x" * 128) as two:
        assert one.parent == two.parent == partials_folder(tmp_path)
        assert len(one.name) == len(two.name) == 32


def test_a_second_worker_does_not_disturb_the_first(tmp_path: Path) -> None:
    """A worker of a lost node may still write: who takes its source over begins elsewhere."""
    with partial_folder(tmp_path, "a") as first, partial_folder(tmp_path, "a") as second:
        assert first != second
        (first / "content").write_bytes(b"1")
        assert list(second.iterdir()) == []


def test_what_nobody_went_on_with_is_swept(tmp_path: Path) -> None:
    """Old folders go with their content; young ones, and one in use, stay."""
    for name in ("old", "young"):
        (partials_folder(tmp_path) / name).mkdir(parents=True)
        (partials_folder(tmp_path) / name / "content").write_bytes(b"half a video")
    for path in ("old/content", "old"):
        os.utime(partials_folder(tmp_path) / path, (1, 1))
    with partial_folder(tmp_path, "a") as used:
        os.utime(used, (1, 1))
        swept = sweep_partial_downloads(tmp_path, older_than_seconds=60)
        assert [path.name for path in swept] == ["old"]
        assert used.is_dir()
    assert [path.name for path in partials_folder(tmp_path).iterdir()] == ["young"]

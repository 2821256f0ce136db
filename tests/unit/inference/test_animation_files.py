"""Both files of an animation are written while its frames are made."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from dataset.streams import decode_stream
from dataset.video import probe_video
from inference.animation_files import write_animation

FRAMES = 40


def picture(index: int) -> np.ndarray:
    return np.random.default_rng(index).integers(0, 256, (21, 34, 3), dtype=np.uint8)


def test_frames_go_to_both_files_and_are_let_go(tmp_path: Path) -> None:
    """The exact frames in one, as many to be played in the other; two alive at a time."""
    alive, most = 0, 0

    def gone() -> None:
        nonlocal alive
        alive -= 1

    def made() -> Iterator[np.ndarray]:
        nonlocal alive, most
        for index in range(FRAMES):
            frame = picture(index)
            weakref.finalize(frame, gone)
            alive += 1
            most = max(most, alive)
            yield frame

    video, exact = write_animation(tmp_path, "outputs/r/walk", made(), fps=30.0)
    assert (video, exact) == ("outputs/r/walk.mp4", "outputs/r/walk.frames.mp4")
    frames = decode_stream((tmp_path / exact).read_bytes())
    np.testing.assert_array_equal(frames, [picture(index) for index in range(FRAMES)])
    assert probe_video(tmp_path / video).frames == FRAMES
    assert most <= 3  # the first sets the size and is held beside the current one and the next


def test_a_failure_in_the_middle_leaves_no_file(tmp_path: Path) -> None:
    """Frames that cannot be made end the animation, and nothing looks like one."""

    def breaks() -> Iterator[np.ndarray]:
        yield picture(0)
        raise RuntimeError("the maps ended")

    with pytest.raises(RuntimeError, match="the maps ended"):
        write_animation(tmp_path, "outputs/r/walk", breaks(), fps=30.0)
    assert not list(tmp_path.rglob("*.mp4"))

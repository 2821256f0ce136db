"""Windows cover a clip evenly, and their shares sum to one."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.windows import Merging, windows

SIZES = st.integers(1, 30).flatmap(lambda size: st.tuples(st.just(size), st.integers(0, size - 1)))
MERGINGS = st.sampled_from(["uniform", "tapered"])


def frames_of(
    frames: int, size: int, overlap: int, *, closed_loop: bool = False
) -> list[list[int]]:
    """The windows' frames alone."""
    return [list(part.frames) for part in windows(frames, size, overlap, closed_loop=closed_loop)]


@given(st.integers(1, 200), SIZES, st.booleans())
def test_windows_cover_every_frame(frames: int, sizes: tuple[int, int], closed_loop: bool) -> None:
    """Every frame is in a window, none twice in the same; all windows are as long as asked."""
    size, overlap = sizes
    parts = frames_of(frames, size, overlap, closed_loop=closed_loop)
    assert {frame for part in parts for frame in part} == set(range(frames))
    assert all(len(set(part)) == len(part) == min(size, frames) for part in parts)


@given(st.integers(1, 200), SIZES, st.booleans(), MERGINGS)
def test_shares_of_a_frame_sum_to_one(
    frames: int, sizes: tuple[int, int], closed_loop: bool, merging: Merging
) -> None:
    """Over all windows the weights of each frame are positive and sum to one."""
    size, overlap = sizes
    sums = [0.0] * frames
    for part in windows(frames, size, overlap, closed_loop=closed_loop, merging=merging):
        assert len(part.weights) == len(part.frames)
        assert min(part.weights) > 0
        for at, weight in zip(part.frames, part.weights, strict=True):
            sums[at] += weight
    assert sums == pytest.approx([1.0] * frames)


@given(st.integers(1, 200), SIZES)
def test_open_windows_are_in_order_and_overlap(frames: int, sizes: tuple[int, int]) -> None:
    """Without the loop a window is a run of the clip's frames that shares the overlap with the
    last one; none leaves the clip."""
    size, overlap = sizes
    parts = frames_of(frames, size, overlap)
    assert all(part == list(range(part[0], part[-1] + 1)) for part in parts)
    for before, after in pairwise(parts):
        assert before[0] < after[0]
        assert len(set(before) & set(after)) >= overlap
    assert parts[0][0] == 0
    assert parts[-1][-1] == frames - 1


@given(st.integers(1, 200), SIZES)
def test_a_closed_loop_is_a_row_of_equal_strides(frames: int, sizes: tuple[int, int]) -> None:
    """Windows of a loop begin a stride apart and run round the end into the first frames."""
    size, overlap = sizes
    parts = frames_of(frames, size, overlap, closed_loop=True)
    assert [part[0] for part in parts] == list(range(0, frames, size - overlap))[: len(parts)]
    assert all((b - a) % frames == 1 % frames for part in parts for a, b in pairwise(part))


def test_tapered_shares_fall_towards_the_ends() -> None:
    """Two windows of four frames that share two: the first fades out as the second fades in."""
    first, second = windows(6, 4, 2, merging="tapered")
    assert first.weights == pytest.approx((1, 1, 2 / 3, 1 / 3))
    assert second.weights == pytest.approx((1 / 3, 2 / 3, 1, 1))


def test_uniform_shares_are_one_over_the_number_of_windows() -> None:
    """Frames of one window count whole, shared ones half."""
    first, second = windows(6, 4, 2)
    assert first.weights == (1, 1, 0.5, 0.5)
    assert second.weights == (0.5, 0.5, 1, 1)


def test_closed_loop_is_the_official_order() -> None:
    """Thirty frames in windows of 24 with overlap 4: the second begins at 20 and wraps round."""
    assert frames_of(30, 24, 4, closed_loop=True) == [
        list(range(24)),
        [*range(20, 30), *range(14)],
    ]


def test_open_windows_of_thirty_frames() -> None:
    """The last window is moved back instead, to end with the clip."""
    assert frames_of(30, 24, 4) == [list(range(24)), list(range(6, 30))]


def test_a_window_as_long_as_the_clip_is_one() -> None:
    """No second window where the first shows everything."""
    assert frames_of(24, 24, 4) == frames_of(24, 24, 4, closed_loop=True) == [list(range(24))]
    assert frames_of(44, 24, 4) == [list(range(24)), list(range(20, 44))]


@pytest.mark.parametrize(
    ("frames", "size", "overlap"), [(0, 4, 1), (9, 0, 0), (9, 4, 4), (9, 4, -1)]
)
def test_windows_that_cannot_be_are_refused(frames: int, size: int, overlap: int) -> None:
    """No frames, no size, or an overlap that never gets on is a ValueError with the numbers."""
    with pytest.raises(ValueError, match=f"frames {frames}, size {size}, overlap {overlap}"):
        windows(frames, size, overlap)

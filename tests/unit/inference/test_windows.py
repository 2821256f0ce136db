"""Windows cover a clip evenly."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.windows import windows

SIZES = st.integers(2, 30).flatmap(lambda size: st.tuples(st.just(size), st.integers(0, size - 1)))


@given(st.integers(1, 200), SIZES, st.booleans())
def test_windows_cover_every_frame(frames: int, sizes: tuple[int, int], closed_loop: bool) -> None:
    """Every frame is in a window, none twice in the same, no window longer than asked."""
    size, overlap = sizes
    parts = windows(frames, size, overlap, closed_loop=closed_loop)
    assert {frame for part in parts for frame in part} == set(range(frames))
    assert all(len(set(part)) == len(part) == min(size, frames) for part in parts)


@given(st.integers(1, 200), SIZES)
def test_open_windows_are_in_order_and_overlap(frames: int, sizes: tuple[int, int]) -> None:
    """Without the loop a window is a run of frames that shares the overlap with the last one."""
    size, overlap = sizes
    parts = windows(frames, size, overlap)
    assert all(part == list(range(part[0], part[-1] + 1)) for part in parts)
    for before, after in pairwise(parts):
        assert before[0] < after[0]
        assert len(set(before) & set(after)) >= overlap
    assert parts[0][0] == 0
    assert parts[-1][-1] == frames - 1


def test_closed_loop_is_the_official_order() -> None:
    """Thirty frames in windows of 24 with overlap 4: the second begins at 20 and wraps round."""
    assert windows(30, 24, 4, closed_loop=True) == [
        list(range(24)),
        [*range(20, 30), *range(14)],
    ]


def test_open_windows_of_thirty_frames() -> None:
    """The last window is moved back instead, to end with the clip."""
    assert windows(30, 24, 4) == [list(range(24)), list(range(6, 30))]


def test_a_window_as_long_as_the_clip_is_one() -> None:
    """No second window where the first shows everything."""
    assert windows(24, 24, 4) == windows(24, 24, 4, closed_loop=True) == [list(range(24))]
    assert windows(44, 24, 4) == [list(range(24)), list(range(20, 44))]


@pytest.mark.parametrize(
    ("frames", "size", "overlap"), [(0, 4, 1), (9, 0, 0), (9, 4, 4), (9, 4, -1)]
)
def test_windows_that_cannot_be_are_refused(frames: int, size: int, overlap: int) -> None:
    """No frames, no size, or an overlap that never gets on is a ValueError with the numbers."""
    with pytest.raises(ValueError, match=f"frames {frames}, size {size}, overlap {overlap}"):
        windows(frames, size, overlap)

"""A long animation says how far it is; a short one says nothing."""

from __future__ import annotations

from inference.progress import SpacedProgress


def test_lines_are_spaced() -> None:
    """With no time between lines every window is told, with an hour between none."""
    told: list[str] = []
    often = SpacedProgress("walk", told.append, seconds=0.0)
    seldom = SpacedProgress("run", told.append, seconds=3600.0)
    for done in range(1, 4):
        often(done, 3)
        seldom(done, 3)
    assert [line.split(",")[0] for line in told] == [
        f"walk: {done} of 3 windows" for done in range(1, 4)
    ]
    assert told[-1].endswith("about 0 s left")

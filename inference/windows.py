"""How a long clip is cut into windows that the motion modules take, and how these are merged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Merging = Literal["uniform", "tapered"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Frames that are denoised together, by number in the clip.

    ``weights`` are their shares in the clip's prediction: over all windows, those of a frame sum to
    one.
    """

    frames: tuple[int, ...]
    weights: tuple[float, ...]


def windows(
    frames: int,
    size: int,
    overlap: int,
    *,
    closed_loop: bool = False,
    merging: Merging = "uniform",
) -> list[Window]:
    """Overlapping windows that together show every frame.

    All windows have ``size`` frames; a clip no longer than that is one window. Each begins
    ``size - overlap`` frames after the one before, except that the last is moved back to end with
    the clip. With ``closed_loop`` none is moved: the last ones run on into the first frames, as in
    the official code (conventions: Noise schedule, training, sampling).

    Args:
        frames: Of the clip.
        size: Frames of a window.
        overlap: Frames that two neighbours share.
        closed_loop: The clip's end is followed by its beginning.
        merging: ``uniform`` averages the windows of a frame; ``tapered`` weighs each by the
            frame's distance to the window's nearer end, so that no window begins abruptly.

    Raises:
        ValueError: No frames, no window, or an overlap that leaves no progress.
    """
    parts = _spans(frames, size, overlap, closed_loop=closed_loop)
    rises = [_rise(len(part), merging) for part in parts]
    totals: Counter[int] = Counter()
    for part, rise in zip(parts, rises, strict=True):
        totals.update(dict(zip(part, rise, strict=True)))
    return [
        Window(
            frames=tuple(part),
            weights=tuple(height / totals[at] for at, height in zip(part, rise, strict=True)),
        )
        for part, rise in zip(parts, rises, strict=True)
    ]


def _spans(frames: int, size: int, overlap: int, *, closed_loop: bool) -> list[Sequence[int]]:
    if frames < 1 or size < 1 or not 0 <= overlap < size:
        raise ValueError(
            "windows need frames >= 1, size >= 1 and 0 <= overlap < size, "
            f"got frames {frames}, size {size}, overlap {overlap}"
        )
    if frames <= size:
        return [range(frames)]
    stride = size - overlap
    if closed_loop:
        return [[(start + i) % frames for i in range(size)] for start in range(0, frames, stride)]
    starts = [*range(0, frames - size, stride), frames - size]
    return [range(start, start + size) for start in starts]


def _rise(size: int, merging: Merging) -> list[int]:
    """What each frame of a window weighs before the weights are made to sum to one."""
    if merging == "uniform":
        return [1] * size
    return [min(i + 1, size - i) for i in range(size)]

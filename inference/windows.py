"""How a long clip is cut into windows that the motion modules take."""

from __future__ import annotations


def windows(frames: int, size: int, overlap: int, *, closed_loop: bool = False) -> list[list[int]]:
    """Frame indices of overlapping windows that together show every frame.

    All windows have ``size`` frames; a clip no longer than that is one window. Each begins
    ``size - overlap`` frames after the one before, except that the last is moved back to end with
    the clip. With ``closed_loop`` none is moved: the last ones run on into the first frames, as in
    the official code (conventions: Noise schedule, training, sampling).

    Raises:
        ValueError: No frames, no window, or an overlap that leaves no progress.
    """
    if frames < 1 or size < 1 or not 0 <= overlap < size:
        raise ValueError(
            "windows need frames >= 1, size >= 1 and 0 <= overlap < size, "
            f"got frames {frames}, size {size}, overlap {overlap}"
        )
    if frames <= size:
        return [list(range(frames))]
    stride = size - overlap
    if closed_loop:
        return [[(start + i) % frames for i in range(size)] for start in range(0, frames, stride)]
    starts = [*range(0, frames - size, stride), frames - size]
    return [list(range(start, start + size)) for start in starts]

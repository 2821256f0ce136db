"""Pictures that come round: a looped GIF, a clip shown again and again."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int, UInt8

_MIN_SECONDS, _MAX_SECONDS = 0.4, 30.0
_SAME = 2.0  # grey levels of mean difference: what encoding makes of a copy
_OF_USUAL = 0.2  # of the median difference: a movement done again is not this alike
_COMPARED = 60  # frames of a span, at most twice as many: enough to tell
_MOVES = 3.0  # grey levels; a still scene comes round all the time


def loop_seconds(
    thumbs: UInt8[np.ndarray, "frames cells"], start: int, end: int, *, fps: float
) -> float:
    """After how many seconds the pictures of a span are shown once more; 0: they are not.

    Every frame of the span is compared with the one P frames later, or earlier, for all P up to 30
    s; the least P of those that match is taken. People who repeat an exercise come round too, but
    never as exactly as a copy. Under 0.4 s it is a flicker and not looked for; a copy that is
    mirrored, cut or of another rate is the duplicates' business.

    Args:
        thumbs: Small grey pictures of all frames of the video.
        start: First frame of the span.
        end: The frame after its last one.
    """
    sampled = np.arange(start, end, max(1, (end - start) // _COMPARED))
    distances = {}
    for lag in range(round(_MIN_SECONDS * fps), round(_MAX_SECONDS * fps) + 1):
        for shift in (lag, -lag):
            distance = _distance(thumbs, sampled, shift)
            if distance is not None:
                distances[shift] = distance
    if not distances:
        return 0.0
    usual = float(np.median(list(distances.values())))
    limit = min(_SAME, _OF_USUAL * usual)
    matches = [abs(shift) for shift, distance in distances.items() if distance <= limit]
    return min(matches) / fps if matches and usual >= _MOVES else 0.0


def _distance(
    thumbs: UInt8[np.ndarray, "frames cells"], frames: Int[np.ndarray, " n"], shift: int
) -> float | None:
    """Mean difference of frames and those ``shift`` later; at least half must be there."""
    there = frames[(frames + shift >= 0) & (frames + shift < len(thumbs))]
    if 2 * len(there) < len(frames):
        return None
    return float(np.abs(thumbs[there].astype(np.int16) - thumbs[there + shift]).mean())

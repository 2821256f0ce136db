"""Where a track goes over from one person to another, and is to be two."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from jaxtyping import Float32

from curation.people.appearance import unlike
from curation.people.tracking import Track

# In longer sides of the box. A sprinter makes 0.13 a frame at 30 frames a second.
_FARTHEST_PER_FRAME = 0.17
_LARGEST_GROWTH = 0.5  # of the logarithm of the longer side; a jump from a wall makes 0.41
_LOOKS = 5  # on each side of a seam that are compared
_OTHER_CLOTHES = 30.0  # CIE Lab; one person stays under 23 over such a time. Ours.


def split_at_jumps(track: Track, looks: Sequence[Float32[np.ndarray, "2 3"]]) -> list[Track]:
    """The parts of a track between implausible steps; usually the one track.

    A step from one sighting to the next is implausible when the box goes farther or changes more
    in size than people do, or when the clothes before it and after it are others: a cut that was
    overlooked, or a detector that took somebody else.

    Args:
        looks: `appearance` at each of the track's sightings.

    Raises:
        ValueError: Not one for every sighting.
    """
    if len(looks) != len(track.sightings):
        raise ValueError(f"expected {len(track.sightings)} appearances, got {len(looks)}")
    frames = [frame for frame, _ in track.sightings]
    boxes = track.boxes[np.array(frames, int) - int(track.frames[0]), :4] if frames else []
    seams = [
        index
        for index, (before, after) in enumerate(pairwise(frames), 1)
        if _leaps(boxes[index - 1], boxes[index], after - before) or _changes(looks, index)
    ]
    edges = [0, *seams, len(frames)]
    return [track.part(frames[a], frames[b - 1] + 1) for a, b in pairwise(edges)] or [track]


def _leaps(
    before: Float32[np.ndarray, " 4"], after: Float32[np.ndarray, " 4"], frames: int
) -> bool:
    sides = [max(float((box[2:] - box[:2]).max()), 1.0) for box in (before, after)]
    way = np.linalg.norm((after[:2] + after[2:] - before[:2] - before[2:]) / 2)
    far = float(way) > _FARTHEST_PER_FRAME * frames * max(sides)
    return far or abs(np.log(sides[1] / sides[0])) > _LARGEST_GROWTH


def _changes(looks: Sequence[Float32[np.ndarray, "2 3"]], seam: int) -> bool:
    """Whether the clothes at a seam are others at once, and stay so."""
    before, after = looks[max(0, seam - _LOOKS) : seam], looks[seam : seam + _LOOKS]
    at_once = unlike(np.stack(before[-1:]), np.stack(after[:1]))
    return at_once > _OTHER_CLOTHES and unlike(np.stack(before), np.stack(after)) > _OTHER_CLOTHES

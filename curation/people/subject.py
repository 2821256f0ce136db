"""Who of several people a clip or a motion is about, by a rule of the configuration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import numpy as np

from curation.people.settings import SubjectRule
from curation.people.tracking import Track


def choose_subject(tracks: Sequence[Track], rule: SubjectRule, size: tuple[int, int]) -> int:
    """The index of the track that the rule chooses; of equal ones the first.

    ``largest``: whose boxes, summed over time, cover most. ``central``: whose box's centre is on
    average nearest to the picture's, among those who are there at least half as long as anybody.
    ``longest``: who is there on most frames.

    Args:
        size: Width and height of the picture that the boxes lie in, pixels.

    Raises:
        ValueError: No tracks, or another rule.
    """
    if not tracks:
        raise ValueError("expected at least one track to choose from, got none")
    lengths = np.array([len(track.frames) for track in tracks])
    if rule == "longest":
        return int(lengths.argmax())
    if rule == "largest":
        return int(np.argmax([_covered(track) for track in tracks]))
    if rule == "central":
        distances = np.array([_off_centre(track, size) for track in tracks])
        return int(np.where(2 * lengths >= lengths.max(), distances, np.inf).argmin())
    raise ValueError(f"expected a rule of {', '.join(get_args(SubjectRule))}, got {rule!r}")


def _covered(track: Track) -> float:
    return float((track.boxes[:, 2:4] - track.boxes[:, :2]).prod(axis=1).sum())


def _off_centre(track: Track, size: tuple[int, int]) -> float:
    centres = (track.boxes[:, :2] + track.boxes[:, 2:4]) / 2
    return float(np.linalg.norm(centres - np.array(size) / 2, axis=1).mean())

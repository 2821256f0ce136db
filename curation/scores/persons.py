"""How many people there are, and how much of the time and the picture is the subject's."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float32


def persons_scores(persons: Float[np.ndarray, " frames"]) -> dict[str, float | int]:
    """Mean and largest number of people, and the share of frames with more than one.

    Counts are of tracks (``curation.people.tracking``): who the detector overlooks is not there;
    pictures of people, mirrors and dolls are people to it.
    """
    return {
        "persons_mean": float(persons.mean()),
        "persons_max": int(persons.max()),
        "second_person_share": float((persons > 1).mean()),
    }


def track_coverage(sightings: int, looked_at: int) -> float:
    """Share of the looked-at frames in which the subject was seen; 0 to 1.

    A track is filled up to ``MAX_GAP_FRAMES`` where nobody was seen: those looks are missing here.
    """
    return min(1.0, sightings / max(looked_at, 1))


def person_share(boxes: Float32[np.ndarray, "frames 4"], size: tuple[int, int]) -> float:
    """Mean area of the subject's box (pixels) relative to a picture of ``size``; 0 to 1.

    A box is larger than the person: arms held out make it grow.
    """
    areas = np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(axis=1)
    return min(1.0, float(areas.mean()) / (size[0] * size[1]))

"""All scores of a candidate clip, from what one pass over the video has left behind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from jaxtyping import Float, Float32

from curation.duplicates.hashing import HASH_BYTES
from curation.scores.body_motion import body_motion
from curation.scores.borders import border_share
from curation.scores.camera import camera_scores
from curation.scores.cartoon import cartoon_likelihood
from curation.scores.flow import flow_motion
from curation.scores.framing import framing_scores
from curation.scores.loops import loop_seconds
from curation.scores.meter import Measures, RareMeasures
from curation.scores.overlay import overlay_share
from curation.scores.persons import person_share, persons_scores, track_coverage
from curation.scores.repeats import repeat_scores
from curation.scores.sighting import Sighting
from curation.scores.slow_motion import slow_motion

Scores = dict[str, float | int | str | bytes | None]
_T = TypeVar("_T")


def person_scores(
    sightings: list[Sighting],
    boxes: Float32[np.ndarray, "frames 4"],
    persons: Float[np.ndarray, " frames"],
    *,
    looked_at: int,
    size: tuple[int, int],
    fps: float,
) -> Scores:
    """The columns of ``clips`` that are about the subject and the people around it.

    Args:
        sightings: The subject in the clip's looked-at frames, in order.
        boxes: The subject's box on every frame, in pixels of the decoded frame.
        persons: Number of people on every frame, the subject among them.
        looked_at: How many of the clip's frames were searched for people.
        size: Width and height of the decoded frame.
        fps: Frames per second.

    Raises:
        ValueError: No sightings.
    """
    if not sightings:
        raise ValueError("expected at least one sighting of the subject, got none")
    points = np.stack([sighting.person.points for sighting in sightings])
    return {
        **persons_scores(persons),
        "track_coverage": track_coverage(len(sightings), looked_at),
        "person_share": person_share(boxes, size),
        **framing_scores(points, size),
        "sharpness": float(np.mean([sighting.sharpness for sighting in sightings])),
        "motion": body_motion(sightings, fps=fps),
        "flow_motion": flow_motion([sighting.flow for sighting in sightings]),
    }


def picture_scores(
    measures: Measures, start: int, end: int, *, fps: float, source_fps: float
) -> Scores:
    """The columns of ``clips`` that are about the pictures from ``start`` to ``end`` (exclusive).

    ``skipped_scores`` names those that are null, with the reason.

    Args:
        measures: Of the whole video: overlays and loops are told by what is beside the clip.
        fps: Rate of the frames that were measured.
        source_fps: Rate of the file.
    """
    looks = [measures.looks[at] for at in sorted(measures.looks) if start <= at < end]
    looks = looks or [_nearest(measures.looks, start)]
    # What moved before the clip's first picture is none of its business.
    later = [measures.looks[at] for at in sorted(measures.looks) if start < at < end]
    speeds = [look.camera_speed for look in later if look.camera_speed is not None]
    changes = [look.picture_change for look in later if look.picture_change is not None]
    return {
        "source_fps": source_fps,
        "brightness": _mean([look.exposure.brightness for look in looks]),
        "dark_share": _mean([look.exposure.dark_share for look in looks]),
        "bright_share": _mean([look.exposure.bright_share for look in looks]),
        "blockiness": _mean([look.blockiness for look in looks]),
        **camera_scores(speeds),
        "border_share": border_share([look.borders for look in looks]),
        "picture_motion": _mean(changes) if changes else 0.0,
        **_of_every_frame(measures, start, end, fps=fps, source_fps=source_fps),
        **_of_rare_looks(measures, start, end),
        "frame_hashes": b"".join(
            value.to_bytes(HASH_BYTES, "big")
            for at, value in sorted(measures.hashes.items())
            if start <= at < end
        ),
    }


def _of_every_frame(
    measures: Measures, start: int, end: int, *, fps: float, source_fps: float
) -> Scores:
    changes = measures.changes[start + 1 : end]  # the first frame's is the cut's, or of before it
    if not len(changes):
        changes = np.zeros(1, np.float32)
    residuals = measures.residuals[start + 1 : end]
    if not len(residuals):
        residuals = np.ones(1, np.float32)
    return {
        **repeat_scores(changes, fps=fps),
        "slow_motion": slow_motion(residuals, changes, fps=fps, source_fps=source_fps),
        "loop_seconds": loop_seconds(measures.thumbs, start, end, fps=fps),
    }


def _of_rare_looks(measures: Measures, start: int, end: int) -> Scores:
    own = [rare for at, rare in measures.rare.items() if start <= at < end]
    others = [rare for at, rare in measures.rare.items() if not start <= at < end]
    overlay = overlay_share(_edges(own), _edges(others), measures.edge_shape)
    own = own or [_nearest(measures.rare, start)]
    scores: Scores = {
        "text_share": _mean([rare.text_share for rare in own]),
        "overlay_share": overlay,
        "cartoon": cartoon_likelihood(np.stack([rare.cartoon for rare in own])),
        "indoor": _mean_of_known([rare.given.get("indoor") for rare in own]),
        "aesthetic": _mean_of_known([rare.given.get("aesthetic") for rare in own]),
    }
    reasons = {
        "overlay_share": "nothing changes behind it",
        "indoor": "no network given",
        "aesthetic": "no network given",
    }
    skipped = [f"{name}: {why}" for name, why in reasons.items() if scores[name] is None]
    return {**scores, "skipped_scores": "; ".join(skipped)}


def _edges(looks: Sequence[RareMeasures]) -> np.ndarray:
    return np.stack([look.edges for look in looks]) if looks else np.zeros((0, 1), np.uint8)


def _nearest(by_frame: dict[int, _T], frame: int) -> _T:
    return by_frame[min(by_frame, key=lambda at: abs(at - frame))]


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


def _mean_of_known(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return _mean(known) if known else None

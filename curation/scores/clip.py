"""All scores of a candidate clip, from what one pass over the video has left behind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

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
from curation.scores.meter import Measures
from curation.scores.overlay import overlay_share
from curation.scores.persons import person_share, persons_scores, track_coverage
from curation.scores.repeats import repeat_scores
from curation.scores.sighting import Sighting
from curation.scores.slow_motion import slow_motion
from curation.scores.stillness import picture_motion

Scores = dict[str, Any]  # columns of `clips`
_T = TypeVar("_T")
_MOST_OTHERS = 32  # looks outside of a clip that tell overlays from the background


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
        "flow_motion": flow_motion([sighting.flow for sighting in sightings[1:]]),
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
    looks = _within(measures.looks, start, end)
    later = looks[1:]  # the first one's motion is since a look before the clip, or the cut
    camera = camera_scores([look.camera_speed for look in later if look.camera_speed is not None])
    changes = [look.picture_change for look in later if look.picture_change is not None]
    return {
        "source_fps": source_fps,
        "brightness": _mean([look.exposure.brightness for look in looks]),
        "dark_share": _mean([look.exposure.dark_share for look in looks]),
        "bright_share": _mean([look.exposure.bright_share for look in looks]),
        "blockiness": _mean([look.blockiness for look in looks]),
        **camera,
        "border_share": border_share([look.borders for look in looks]),
        "picture_motion": picture_motion(changes, camera["camera_motion"]),
        **_of_every_frame(measures, start, end, fps=fps, source_fps=source_fps),
        **_of_rare_looks(measures, start, end, camera_moves=camera["static_camera_share"] < 0.5),
        "frame_hashes": b"".join(
            measures.hashes[at].to_bytes(HASH_BYTES, "big")
            for at in range(start, end)
            if at in measures.hashes
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


def _of_rare_looks(measures: Measures, start: int, end: int, *, camera_moves: bool) -> Scores:
    own = _within(measures.rare, start, end)
    others = [rare for at, rare in measures.rare.items() if not start <= at < end]
    others = others[:: 1 + len(others) // _MOST_OTHERS]
    overlay = overlay_share(
        [rare.edges for rare in own],
        [rare.edges for rare in others],
        measures.edge_shape,
        camera_moves=camera_moves,
    )
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


def _within(by_frame: dict[int, _T], start: int, end: int) -> list[_T]:
    """What was measured from ``start`` to ``end`` (exclusive), else what was nearest before."""
    found = [by_frame[at] for at in range(start, end) if at in by_frame]
    return found or [by_frame[max(at for at in by_frame if at <= start)]]


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


def _mean_of_known(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return _mean(known) if known else None

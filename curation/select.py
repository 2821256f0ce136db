"""Which candidate clips are good enough, by thresholds on their scores; no video is touched.

Decisions are apart from scores, so that other thresholds cost seconds. "Ours" in a comment means
measured on the labelled sample media that `benchmarks/people.py` goes through.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import Field

from dataset.settings import Settings


class SelectSettings(Settings):
    """Thresholds on the columns of ``clips``; a clip must pass them all."""

    # Twice the clip length of the stage 2 recipe's shortest demo window, as a floor: ours.
    min_seconds: float = Field(default=1.0, ge=0, description="Shorter clips are not selected")
    # The person is what is learned, not the frame: small sources are caught by sharpness. Ours.
    min_short_side: int = Field(default=256, ge=1, description="Shorter side of the source, pixels")
    # One person at a time is Champ's premise; a few frames of a passer-by are survivable. Ours.
    max_second_person_share: float = Field(
        default=0.05, ge=0, le=1, description="Share of frames with a second person"
    )
    # Seen in half of the looked-at frames means interpolated boxes in between. Ours.
    min_track_coverage: float = Field(
        default=0.8,
        ge=0,
        le=1,
        description="Share of looked-at frames in which the subject was seen",
    )
    # The smallest person whose keypoints held up filled 2.5 % of the frame. Ours.
    min_person_share: float = Field(
        default=0.015, ge=0, le=1, description="Subject's box relative to the frame, by area"
    )
    min_keypoint_confidence: float = Field(
        default=0.6, ge=0, le=1, description="Mean confidence of the 17 body points"
    )
    min_full_body_share: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Share of frames with the body in view from nose to ankles",
    )
    min_sharpness: float = Field(
        default=20.0,
        ge=0,
        description="Variance of the Laplacian on the subject, at 256 pixels of height",
    )
    min_motion: float = Field(
        default=0.02, ge=0, description="Speed of the body's points, body heights a second"
    )


def decide(clip: Mapping[str, Any], settings: SelectSettings) -> tuple[bool, str]:
    """Whether a row of ``clips`` is selected, and if not the first reason against it.

    Reasons are ``select.second_person``, ``select.too_short``, ``select.too_small``,
    ``select.lost_track``, ``select.far_away``, ``select.unclear_points``,
    ``select.not_full_body``, ``select.blurred``, ``select.still``; ``""`` when selected.
    """
    checks = (
        ("second_person", clip["second_person_share"] <= settings.max_second_person_share),
        ("too_short", clip["end_seconds"] - clip["start_seconds"] >= settings.min_seconds - 1e-6),
        ("too_small", min(clip["width"], clip["height"]) >= settings.min_short_side),
        ("lost_track", clip["track_coverage"] >= settings.min_track_coverage),
        ("far_away", clip["person_share"] >= settings.min_person_share),
        ("unclear_points", clip["keypoint_confidence"] >= settings.min_keypoint_confidence),
        ("not_full_body", clip["full_body_share"] >= settings.min_full_body_share),
        ("blurred", clip["sharpness"] >= settings.min_sharpness),
        ("still", clip["motion"] >= settings.min_motion),
    )
    reason = next((f"select.{name}" for name, passed in checks if not passed), "")
    return not reason, reason


class SelectStage:
    """Turns a row of ``clips`` into a row of ``selection``."""

    name = "select"
    version = 1
    cpus = 1.0
    gpus = 0.0

    def __init__(self, settings: SelectSettings) -> None:
        self.settings = settings

    def load(self) -> None:
        """Nothing to load."""

    def process(self, item: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Decide over one clip."""
        selected, reason = decide(item, self.settings)
        yield {
            "clip_id": item["clip_id"],
            "source_id": item["source_id"],
            "curate_recipe": item["recipe"],
            "selected": selected,
            "reason": reason,
        }

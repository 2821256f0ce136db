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

    # A second is the least that shows a movement; stage 2 wants 93 frames and cuts what it gets.
    min_seconds: float = Field(default=1.0, ge=0, description="Shorter clips are not selected")
    # Half of the 768 pixels of the official recipe: smaller sources can only blur. Second people
    # were overlooked in sources of 270 and 360 pixels, and not above. Ours.
    min_short_side: int = Field(default=384, ge=1, description="Shorter side of the source, pixels")
    # One person at a time is Champ's premise; a few frames of a passer-by are survivable. Ours.
    max_second_person_share: float = Field(
        default=0.05, ge=0, le=1, description="Share of frames with a second person"
    )
    # Real people were seen in 0.94 of the frames or more, a cartoon rabbit in 0.77. Ours.
    min_track_coverage: float = Field(
        default=0.8,
        ge=0,
        le=1,
        description="Share of looked-at frames in which the subject was seen",
    )
    # Keypoints held up down to people of a quarter of the frame's height, some 2 %. Ours.
    min_person_share: float = Field(
        default=0.015, ge=0, le=1, description="Subject's box relative to the frame, by area"
    )
    # Full bodies measured 0.75 (from behind, in a coat) to 0.99, a head alone 0.41. Ours.
    min_keypoint_confidence: float = Field(
        default=0.6, ge=0, le=1, description="Mean confidence of the 17 body points"
    )
    # Champ's maps are of whole bodies; lower it for half bodies. The coat from behind is at 0.55.
    min_full_body_share: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Share of frames with the body in view from nose to ankles",
    )
    # Usable people measured 130 to 1080, an upscaled head 38, a speck taken for a person 5. Ours.
    min_sharpness: float = Field(
        default=20.0,
        ge=0,
        description="Variance of the Laplacian on the subject, at 256 pixels of height",
    )
    # Standing people with little motion measured 0.03, a talking head 0.014, a photo 0. Ours.
    min_motion: float = Field(
        default=0.02, ge=0, description="Speed of the body's points, body heights a second"
    )
    # People who run, kick and jump stayed under 0.95; points that leap about on a cartoon, on
    # hands or on cars measured 1.6 to 2.4. Ours.
    max_motion: float = Field(
        default=1.5, gt=0, description="The same; faster points are not those of a person"
    )


def decide(clip: Mapping[str, Any], settings: SelectSettings) -> tuple[bool, str]:
    """Whether a row of ``clips`` is selected, and if not the first reason against it.

    Reasons are ``select.second_person``, ``select.too_short``, ``select.too_small``,
    ``select.lost_track``, ``select.far_away``, ``select.unclear_points``,
    ``select.not_full_body``, ``select.blurred``, ``select.still``, ``select.erratic``; ``""`` when
    selected.
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
        ("erratic", clip["motion"] <= settings.max_motion),
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

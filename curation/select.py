"""Which candidate clips are good enough: the thresholds, and the reasons against a clip.

Decisions are apart from scores, so that other thresholds cost seconds and touch no video.
``configs/curate.yaml`` has every default with where it comes from; docs/selection.md tells how to
choose others. ``curation.decisions`` applies them.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from pydantic import Field

from curation.quotas import Quotas
from dataset.settings import Settings

Framing = Literal["full_body", "half_body", "close_up"]


class SelectSettings(Settings):
    """Thresholds on the columns of ``clips``; a clip must pass them all.

    ``min_x`` and ``max_x`` are bounds of the column x; ``seconds`` is the clip's length and
    ``short_side`` the shorter side of the source.
    """

    min_seconds: float = Field(default=1.0, ge=0, description="Shorter clips are not selected")
    min_short_side: int = Field(default=384, ge=1, description="Shorter side of the source, pixels")
    min_effective_fps: float = Field(
        default=4.0, ge=0, description="New pictures a second where something moves"
    )
    max_second_person_share: float = Field(
        default=0.05, ge=0, le=1, description="Share of frames with a second person"
    )
    min_track_coverage: float = Field(
        default=0.8,
        ge=0,
        le=1,
        description="Share of looked-at frames in which the subject was seen",
    )
    min_person_share: float = Field(
        default=0.015, ge=0, le=1, description="Subject's box relative to the frame, by area"
    )
    min_keypoint_confidence: float = Field(
        default=0.6, ge=0, le=1, description="Mean confidence of the 17 body points"
    )
    framing: tuple[Framing, ...] = Field(
        default=("full_body",), min_length=1, description="The framing classes that are admitted"
    )
    min_full_body_share: float = Field(
        default=0.0, ge=0, le=1, description="Share of frames with nose to ankles in view"
    )
    min_upper_body_share: float = Field(
        default=0.0, ge=0, le=1, description="Share of frames with head to hips in view"
    )
    min_face_visible_share: float = Field(
        default=0.0, ge=0, le=1, description="Share of frames in which the face is turned to us"
    )
    min_hands_visible_share: float = Field(
        default=0.0, ge=0, le=1, description="Share of frames with both wrists in view"
    )
    min_sharpness: float = Field(
        default=20.0,
        ge=0,
        description="Variance of the Laplacian on the subject, at 256 pixels of height",
    )
    max_dark_share: float = Field(default=0.5, ge=0, le=1, description="Share of black pixels")
    max_bright_share: float = Field(default=0.2, ge=0, le=1, description="Share of white pixels")
    max_blockiness: float = Field(
        default=0.06, ge=0, le=1, description="Share of differences that stand on a codec's grid"
    )
    min_motion: float = Field(
        default=0.02, ge=0, description="Speed of the body's points, body heights a second"
    )
    max_motion: float = Field(
        default=1.5, gt=0, description="The same; faster points are not those of a person"
    )
    min_flow_motion: float = Field(
        default=0.0, ge=0, description="Speed of the subject's picture, body heights a second"
    )
    min_picture_motion: float = Field(
        default=0.003, ge=0, le=1, description="Change that the camera does not explain; photos: 0"
    )
    max_camera_motion: float = Field(
        default=0.3, ge=0, description="Speed of the camera, frame widths a second"
    )
    min_static_camera_share: float = Field(
        default=0.0, ge=0, le=1, description="Share of the time in which the camera stands still"
    )
    max_cartoon: float = Field(
        default=0.5, ge=0, le=1, description="Likelihood of a cartoon or a computer film"
    )
    max_text_share: float = Field(
        default=0.02, ge=0, le=1, description="Share of the area under lines of text"
    )
    max_overlay_share: float = Field(
        default=0.02, ge=0, le=1, description="Share of the area under static overlays, watermarks"
    )
    max_border_share: float = Field(
        default=0.5, ge=0, le=1, description="Share of the area that is bars"
    )
    max_repeated_share: float = Field(
        default=1.0, ge=0, le=1, description="Share of frames that repeat the one before"
    )
    max_slow_motion: float = Field(
        default=10.0, ge=1, description="Shown frames for one picture that was taken"
    )
    min_loop_seconds: float = Field(
        default=2.0, ge=0, description="What is shown again after less than this is a loop"
    )
    min_aesthetic: float = Field(
        default=0.0, ge=0, description="The given network's score; no network: not looked at"
    )
    admit_copies: bool = Field(
        default=False, description="Select copies of selected clips too, not only the best of them"
    )
    quotas: Quotas = Field(
        default={},
        description="Column to value to the most clips (a number) or share (a fraction) of it",
    )
    best_by: tuple[str, ...] = Field(
        default=("keypoint_confidence", "sharpness", "frames"),
        description="What quotas take first: scores from the highest; `-score` from the lowest",
    )


class Check(NamedTuple):
    """A reason against a clip, and the threshold that it is about."""

    reason: str
    setting: str


CHECKS = (
    Check("second_person", "max_second_person_share"),
    Check("too_short", "min_seconds"),
    Check("too_small", "min_short_side"),
    Check("low_rate", "min_effective_fps"),
    Check("lost_track", "min_track_coverage"),
    Check("far_away", "min_person_share"),
    Check("framing", "framing"),
    Check("unclear_points", "min_keypoint_confidence"),
    Check("not_full_body", "min_full_body_share"),
    Check("not_upper_body", "min_upper_body_share"),
    Check("no_face", "min_face_visible_share"),
    Check("no_hands", "min_hands_visible_share"),
    Check("blurred", "min_sharpness"),
    Check("dark", "max_dark_share"),
    Check("bright", "max_bright_share"),
    Check("blocky", "max_blockiness"),
    Check("still", "min_motion"),
    Check("erratic", "max_motion"),
    Check("no_flow", "min_flow_motion"),
    Check("still_picture", "min_picture_motion"),
    Check("camera_moves", "max_camera_motion"),
    Check("camera_not_static", "min_static_camera_share"),
    Check("cartoon", "max_cartoon"),
    Check("text", "max_text_share"),
    Check("overlay", "max_overlay_share"),
    Check("borders", "max_border_share"),
    Check("repeated", "max_repeated_share"),
    Check("slow_motion", "max_slow_motion"),
    Check("loop", "min_loop_seconds"),
    Check("unaesthetic", "min_aesthetic"),
)
"""In the order in which they are told: a clip's reason is the first that is against it."""

DUPLICATE = "select.duplicate"
QUOTA = "select.quota"
"""Reasons against clips that pass all checks: a better copy is there, or enough of their kind."""


def column_of(check: Check) -> str:
    """What a check is about: a column of ``clips``, ``seconds`` or ``short_side``."""
    return check.setting.removeprefix("min_").removeprefix("max_")

"""How people are found and told apart: settings, and what they are bounded by."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from dataset.settings import Settings

SubjectRule = Literal["largest", "central", "longest"]

MAX_GAP_FRAMES = 8
"""A person who is not seen for longer is taken for gone."""


class PeopleSettings(Settings):
    """How people are found. Scores are the networks' own, in [0, 1]."""

    min_detection_score: float = Field(
        default=0.5, ge=0, le=1, description="Person detector: below, a proposal is not looked at"
    )
    min_presence: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Landmark networks: below, there is no person, hand or face",
    )
    min_followed_presence: float = Field(
        default=0.8, ge=0, le=1, description="The same where a person was, with no proposal there"
    )
    tiles: int = Field(
        default=1, ge=0, le=4, description="Crops along the short side for small people; 0: none"
    )
    max_readings: int = Field(
        default=8, ge=1, description="Readings of a frame in which the body seems to leap"
    )
    # Running, kicking and jumping people stay under 0.03 at 30 fps; a front taken for a back
    # measured 0.06 to 0.2. Second readings brought it to 0.041, at 1.1 readings a frame.
    calm_leap: float = Field(
        default=0.03, ge=0, description="Mean way of the body's points, in sides of the region"
    )
    max_overlap: float = Field(
        default=0.5, ge=0, le=1, description="Two boxes with a larger IoU are one person"
    )
    max_contained: float = Field(
        default=0.75,
        ge=0,
        le=1,
        description="A box with a larger share inside a better one is part of it",
    )
    min_box_overlap: float = Field(
        default=0.3, ge=0, le=1, description="A tracked pose with a smaller IoU to its box is lost"
    )

"""When a clip is a copy of another: what a configuration can say of it."""

from __future__ import annotations

from pydantic import Field

from dataset.settings import Settings

DUPLICATES_VERSION = 1
"""Of the rules in this package: a part of the recipe of ``duplicates``."""


class DuplicateSettings(Settings):
    """When two clips show the same pictures."""

    # Re-encoded, scaled, bordered, brighter or marked copies measured 3.2 and less, other people
    # before the same fixed camera 5.1 and more. Ours.
    max_distance: float = Field(
        default=4.0,
        ge=0,
        le=7,
        description="Bits (of 64) by which two clips' frames may differ on average, beyond what "
        "changes in either clip from one hash to the next",
    )
    # A copy that was cut elsewhere still shares most of itself; less is another clip. Ours.
    min_overlap: float = Field(
        default=0.5, gt=0, le=1, description="Share of a copy's frames that the kept clip shows too"
    )
    # One frame alike may be a title or a logo. Ours.
    min_frames: int = Field(default=2, ge=1, description="Frames that must be compared")

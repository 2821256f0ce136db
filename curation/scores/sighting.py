"""The subject of a clip in one looked-at frame."""

from __future__ import annotations

from dataclasses import dataclass

from curation.people.detector import PersonBox


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """The subject in one looked-at frame, in pixels of the decoded frame.

    ``flow`` is how fast the picture moves in the box against the background, in heights of the box
    a second since the look before; ``None`` where it could not be followed.
    """

    frame: int
    person: PersonBox
    sharpness: float
    flow: float | None = None

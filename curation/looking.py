"""One pass over a video's frames: shots, people and sharpness; the frames themselves are let go."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, UInt8

from curation.people.detector import PersonBox, PoseDetector
from curation.people.tracking import Track, track_people
from curation.scores import Sighting, sharpness
from curation.shots import ShotFinder


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What a pass leaves behind: a few numbers a frame, whatever the video's length.

    ``people`` and ``sharpness`` hold an entry for every ``stride``-th frame; ``size`` is width and
    height of the frames that were looked at.
    """

    frames: int
    size: tuple[int, int]
    stride: int
    shots: list[tuple[int, int]]
    people: list[list[PersonBox]]
    sharpness: list[list[float]]

    def looked_at(self, start: int, end: int) -> range:
        """Steps (indices of ``people``) of the frames from ``start`` to ``end`` (exclusive)."""
        return range(-(-start // self.stride), -(-end // self.stride))

    def tracks(self, shot: tuple[int, int], *, min_frames: int) -> list[Track]:
        """Who is seen in a shot for at least ``min_frames``, longest first.

        Tracks begin and end with looked-at frames, so each is held until just before the next one.
        """
        steps = self.looked_at(*shot)
        found = [_rows(self.people[step]) for step in steps]
        tracks = track_people(found, first_frame=steps.start * self.stride, stride=self.stride)
        return [
            track.extended(self.stride - 1, start=shot[0], end=shot[1])
            for track in tracks
            if len(track.sightings) * self.stride >= min_frames
        ]

    def sightings(self, track: Track, start: int, end: int) -> list[Sighting]:
        """A track's person in the looked-at frames from ``start`` to ``end`` (exclusive)."""
        return [
            Sighting(
                frame=frame,
                person=self.people[frame // self.stride][index],
                sharpness=self.sharpness[frame // self.stride][index],
            )
            for frame, index in track.sightings
            if start <= frame < end
        ]


def look_through(
    frames: Iterable[UInt8[np.ndarray, "height width 3"]],
    detector: PoseDetector,
    finder: ShotFinder,
    *,
    stride: int,
) -> Looked:
    """Looks at every frame once, and for people in every ``stride``-th one.

    A picture that only repeats the one looked at before (a slow source at a higher rate) costs
    nothing: the people in it are the same.
    """
    count, looked = 0, np.zeros((0, 0, 3), np.uint8)
    people: list[list[PersonBox]] = []
    sharp: list[list[float]] = []
    for frame in frames:
        finder.add(frame)
        if count % stride == 0 and np.array_equal(frame, looked):
            people.append(people[-1])
            sharp.append(sharp[-1])
        elif count % stride == 0:
            found = detector.find_people(frame, people[-1] if people else ())
            people.append(found)
            sharp.append([sharpness(frame, person.box) for person in found])
            looked = frame
        count += 1
    return Looked(
        frames=count,
        size=(looked.shape[1], looked.shape[0]),
        stride=stride,
        shots=finder.shots(),
        people=people,
        sharpness=sharp,
    )


def without_bystanders(tracks: list[Track], share: float) -> list[Track]:
    """Tracks whose box is at least ``share`` of the largest one's area (medians over time)."""
    areas = [float(np.median((t.boxes[:, 2:4] - t.boxes[:, :2]).prod(axis=1))) for t in tracks]
    return [track for track, area in zip(tracks, areas, strict=True) if area >= share * max(areas)]


def _rows(people: list[PersonBox]) -> Float32[np.ndarray, "people 5"]:
    rows = [[*person.box, person.score] for person in people]
    return np.array(rows, np.float32).reshape(-1, 5)

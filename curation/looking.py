"""One pass over a video's frames: shots, people and scores; the frames themselves are let go."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32, UInt8

from curation.people.appearance import appearance
from curation.people.detector import PersonBox, PoseDetector
from curation.people.jumps import split_at_jumps
from curation.people.tracking import Track, track_people
from curation.scores.meter import Measures, Meter
from curation.scores.sharpness import sharpness
from curation.scores.sighting import Sighting
from curation.shots import ShotFinder


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What a pass leaves behind: a few numbers a frame, whatever the video's length.

    ``looked_at`` are the numbers of the frames that were searched for people: every ``stride``-th,
    and more where people come and go. ``people``, ``sharpness`` and ``appearances`` hold an entry
    for each of them; ``size`` is width and height of the frames, ``seconds`` are the source's
    times of all of them, and ``measures`` are of the pictures.
    """

    frames: int
    size: tuple[int, int]
    stride: int
    shots: list[tuple[int, int]]
    looked_at: list[int]
    people: list[list[PersonBox]]
    sharpness: list[list[float]]
    appearances: list[list[np.ndarray]]
    seconds: list[float]
    measures: Measures

    def regular_looks(self, start: int, end: int) -> range:
        """The ``stride``-th frames from ``start`` to ``end`` (exclusive)."""
        return range(-(-start // self.stride) * self.stride, end, self.stride)

    def tracks(self, shot: tuple[int, int], *, min_frames: int) -> list[Track]:
        """Who is seen in a shot for at least ``min_frames``, longest first.

        Tracks begin and end with sightings; each is held from just after the look before it until
        just before the look after it. Where the person seems to have become another one, a track
        ends and the next begins.
        """
        looks = slice(*(bisect_left(self.looked_at, edge) for edge in shot))
        looked_at = self.looked_at[looks]
        tracks = track_people([_rows(people) for people in self.people[looks]], looked_at)
        tracks = [part for track in tracks for part in self._parts(track)]
        edges = [shot[0], *looked_at, shot[1]]
        held = []
        for track in tracks:
            regular = sum(frame % self.stride == 0 for frame, _ in track.sightings)
            if regular * self.stride >= min_frames:
                before = bisect_left(looked_at, track.frames[0])
                after = bisect_left(looked_at, track.frames[-1]) + 2
                held.append(track.held(edges[before] + (before > 0), edges[after]))
        return sorted(held, key=lambda track: (-len(track.frames), track.frames[0]))

    def sightings(self, track: Track, start: int, end: int) -> list[Sighting]:
        """A track's person in the regular looks from ``start`` to ``end`` (exclusive).

        Other looks are left out, as scores are to weigh all times alike.
        """
        regular = self.regular_looks(start, end)
        found = []
        for frame, index in track.sightings:
            if frame in regular:
                look = bisect_left(self.looked_at, frame)
                person, sharp = self.people[look][index], self.sharpness[look][index]
                flow = self.measures.looks[frame].flows[index]
                found.append(Sighting(frame=frame, person=person, sharpness=sharp, flow=flow))
        return found

    def _parts(self, track: Track) -> list[Track]:
        """A track without the steps at which somebody else takes over."""
        looks = [bisect_left(self.looked_at, frame) for frame, _ in track.sightings]
        seen = [
            self.appearances[look][index]
            for look, (_, index) in zip(looks, track.sightings, strict=True)
        ]
        return split_at_jumps(track, seen)


def look_through(
    timed: Iterable[tuple[float, UInt8[np.ndarray, "height width 3"]]],
    detector: PoseDetector,
    finder: ShotFinder,
    meter: Meter,
    *,
    stride: int,
) -> Looked:
    """Looks at every frame once, and for people in every ``stride``-th one.

    Where their number has changed since the look before, the frames in between are searched too:
    so it is known to the frame when somebody came, went or was hidden.

    Args:
        timed: Frames at a constant rate, each with the source's time of it in seconds.
    """
    looks = _Looks(detector=detector, meter=meter)
    between: list[np.ndarray] = []
    seconds: list[float] = []
    for count, (at, frame) in enumerate(timed):
        seconds.append(at)
        finder.add(frame)
        meter.add(frame)
        if count % stride:
            between.append(frame)
        else:
            looks.look(count, frame, between)
            between = []
    return Looked(
        frames=len(seconds),
        size=(looks.last.shape[1], looks.last.shape[0]),
        stride=stride,
        shots=finder.shots(),
        looked_at=looks.looked_at,
        people=looks.people,
        sharpness=looks.sharpness,
        appearances=looks.appearances,
        seconds=seconds,
        measures=meter.measures(),
    )


@dataclass(slots=True, kw_only=True)
class _Looks:
    """Searches frames for people, and keeps what was found where."""

    detector: PoseDetector
    meter: Meter
    last: np.ndarray = field(default_factory=lambda: np.zeros((0, 0, 3), np.uint8))
    looked_at: list[int] = field(default_factory=list)
    people: list[list[PersonBox]] = field(default_factory=list)
    sharpness: list[list[float]] = field(default_factory=list)
    appearances: list[list[np.ndarray]] = field(default_factory=list)

    def look(self, number: int, frame: np.ndarray, between: list[np.ndarray]) -> None:
        """Search a frame, and those just before it if somebody came or went since."""
        found = self._search(frame)
        if self.people and len(found) != len(self.people[-1]):
            for earlier, picture in enumerate(between, number - len(between)):
                self._keep(earlier, picture, self._search(picture))
        self._keep(number, frame, found)
        self.meter.look(number, frame, found)

    def _search(self, frame: np.ndarray) -> list[PersonBox]:
        """The people in a frame, looked for where they were.

        A picture that only repeats the one before (a slow source at a higher rate) costs nothing:
        the people in it are the same.
        """
        if np.array_equal(frame, self.last):
            return self.people[-1]
        return self.detector.find_people(frame, self.people[-1] if self.people else ())

    def _keep(self, number: int, frame: np.ndarray, found: list[PersonBox]) -> None:
        repeated = bool(self.people) and found is self.people[-1]
        self.looked_at.append(number)
        self.people.append(found)
        self.sharpness.append(
            self.sharpness[-1] if repeated else [sharpness(frame, one.box) for one in found]
        )
        self.appearances.append(
            self.appearances[-1] if repeated else [appearance(frame, one) for one in found]
        )
        self.last = frame


def without_bystanders(tracks: list[Track], share: float) -> list[Track]:
    """Tracks whose box is at least ``share`` of the largest one's area (medians over time)."""
    areas = [float(np.median((t.boxes[:, 2:4] - t.boxes[:, :2]).prod(axis=1))) for t in tracks]
    return [track for track, area in zip(tracks, areas, strict=True) if area >= share * max(areas)]


def _rows(people: list[PersonBox]) -> Float32[np.ndarray, "people 5"]:
    rows = [[*person.box, person.score] for person in people]
    return np.array(rows, np.float32).reshape(-1, 5)

"""One track per person through a shot: boxes are joined by where people are expected to be.

A person is expected where the last sighting and the velocity before it lead, the less surely the
longer nobody saw them; who passes behind somebody else so keeps their track. After SORT (Bewley et
al., 2016) and the gate on the Mahalanobis distance of DeepSORT (Wojke et al., 2017), without their
filter.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int
from scipy.optimize import linear_sum_assignment

from curation.people.settings import MAX_GAP_FRAMES

# In lengths of the box's longer side, per frame at about 30 frames a second; a walker makes 0.03 a
# frame, a sprinter 0.13.
_SPREAD = 0.03  # boxes waver with arms and legs
_SPREAD_PER_FRAME = 0.01  # people speed up, stop and turn
_SPREAD_OF_STRANGERS = 0.03  # the same for who was seen once and may be going anywhere
_LARGEST_SPREAD = 0.15
_SIZE_SPREAD = 0.17  # of the logarithm of the longer side
_GATE = 4.5  # spreads; arms thrown up are no new person
_VELOCITY_MEMORY = MAX_GAP_FRAMES + 1  # frames; at least two sightings of whoever was seen twice
_STANDING_PRIOR = 2.0  # frames squared: two near sightings say little about a velocity


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """One person through consecutive frames.

    ``frames`` are the frame numbers without holes, ``boxes`` (x0, y0, x1, y1) and a score; rows
    between two sightings are interpolated. ``filled`` marks those of a gap: frames between two
    sightings with a looked-at frame among them in which the person was not seen. ``sightings`` are
    pairs of frame number and the index of the detection there, for whoever wants more of a
    detection than its box.
    """

    frames: Int[np.ndarray, " frames"]
    boxes: Float32[np.ndarray, "frames 5"]
    filled: Bool[np.ndarray, " frames"]
    sightings: tuple[tuple[int, int], ...]

    def held(self, start: int, end: int) -> Track:
        """Held at both ends as far as ``start`` and ``end`` (exclusive); never shortened."""
        before = max(0, int(self.frames[0]) - start)
        after = max(0, end - 1 - int(self.frames[-1]))
        return Track(
            frames=np.arange(self.frames[0] - before, self.frames[-1] + after + 1),
            boxes=np.pad(self.boxes, ((before, after), (0, 0)), mode="edge"),
            filled=np.pad(self.filled, (before, after)),
            sightings=self.sightings,
        )

    def part(self, start: int, end: int) -> Track:
        """The track from frame ``start`` to ``end`` (exclusive).

        Raises:
            ValueError: The track does not cover these frames.
        """
        first = int(self.frames[0])
        if start < first or end > first + len(self.frames):
            raise ValueError(
                f"expected frames within {first}..{first + len(self.frames)}, got {start}..{end}"
            )
        rows = slice(start - first, end - first)
        return Track(
            frames=self.frames[rows],
            boxes=self.boxes[rows],
            filled=self.filled[rows],
            sightings=tuple(at for at in self.sightings if start <= at[0] < end),
        )


def track_people(
    detections: Sequence[Float32[np.ndarray, "people 5"]],
    looked_at: Sequence[int],
    *,
    max_gap: int = MAX_GAP_FRAMES,
) -> list[Track]:
    """Joins the boxes of a shot into tracks, longest first.

    In every looked-at frame detections and open tracks are matched one to one (Hungarian) for the
    largest likelihood of place and size. A track that misses more than ``max_gap`` frames in a row
    is closed.

    Args:
        detections: One array a looked-at frame: x0, y0, x1, y1, score. May be empty.
        looked_at: The numbers of these frames, rising.
        max_gap: Longest run of frames without a sighting that is filled.

    Raises:
        ValueError: Not one number for every array, or frames too far apart to follow anybody.
    """
    if len(detections) != len(looked_at):
        raise ValueError(
            f"expected a number for each of {len(detections)} frames, got {len(looked_at)}"
        )
    steps = np.diff(np.asarray(looked_at, int))
    if len(steps) and not (steps.min() >= 1 and steps.max() <= max_gap + 1):
        raise ValueError(
            f"looked-at frames must lie 1 to {max_gap + 1} (max_gap + 1) frames apart, got "
            f"{steps.min()} to {steps.max()}"
        )
    paths: list[_Path] = []
    for frame, found in zip(looked_at, detections, strict=True):
        live = [path for path in paths if frame - path.frames[-1] - 1 <= max_gap]
        matched = _match(live, frame, found[:, :4].astype(np.float64))
        for path, index in matched:
            path.add(frame, index, found[index])
        new = set(range(len(found))) - {index for _, index in matched}
        for index in sorted(new):
            paths.append(_Path(frames=[frame], indices=[index], boxes=[found[index]]))
    tracks = [path.filled(looked_at) for path in paths]
    return sorted(tracks, key=lambda track: (-len(track.frames), track.frames[0]))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Path:
    """A track that is being made: where and as which detection a person was seen."""

    frames: list[int]
    indices: list[int]
    boxes: list[np.ndarray]

    def add(self, frame: int, index: int, box: np.ndarray) -> None:
        self.frames.append(frame)
        self.indices.append(index)
        self.boxes.append(box)

    def expected(self, frame: int) -> tuple[np.ndarray, float, float]:
        """Where the box's centre should be, its longer side (px), and the spread (in sides)."""
        gone = frame - self.frames[-1]
        recent = [i for i, at in enumerate(self.frames) if at >= self.frames[-1] - _VELOCITY_MEMORY]
        times = np.array([self.frames[i] for i in recent], np.float64)
        boxes = np.array([self.boxes[i][:4] for i in recent], np.float64)
        centres, sides = _centres_and_sides(boxes)
        times -= times.mean()
        velocity = times @ centres / (times @ times + _STANDING_PRIOR)
        growth = _SPREAD_OF_STRANGERS if len(recent) == 1 else _SPREAD_PER_FRAME
        spread = min(_SPREAD + growth * gone, _LARGEST_SPREAD)
        return centres[-1] + gone * velocity, float(sides[-1]), spread

    def filled(self, looked_at: Sequence[int]) -> Track:
        """The track with a box on every frame between the first sighting and the last."""
        seen = np.array(self.frames)
        known = np.array(self.boxes, np.float64)
        frames = np.arange(seen[0], seen[-1] + 1)
        boxes = np.stack([np.interp(frames, seen, column) for column in known.T], axis=1)
        missed = np.setdiff1d(np.asarray(looked_at), seen)
        # Sightings up to each frame name the gap that it lies in.
        gaps = np.searchsorted(seen, frames, side="right")
        gapped = np.isin(gaps, np.searchsorted(seen, missed, side="right"))
        return Track(
            frames=frames,
            boxes=boxes.astype(np.float32),
            filled=gapped & ~np.isin(frames, seen),
            sightings=tuple(zip(self.frames, self.indices, strict=True)),
        )


def _match(
    paths: Sequence[_Path], frame: int, found: Float32[np.ndarray, "people 4"]
) -> list[tuple[_Path, int]]:
    """Who is seen in a frame as which detection; what is too unlikely is left unmatched."""
    if not paths or not len(found):
        return []
    centres, sides = _centres_and_sides(found)
    gain = np.stack([_gain(path, frame, centres, sides) for path in paths])
    rows, columns = linear_sum_assignment(gain, maximize=True)
    return [
        (paths[row], int(column))
        for row, column in zip(rows, columns, strict=True)
        if gain[row, column] > 0
    ]


def _gain(path: _Path, frame: int, centres: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """How far each detection is above the least likelihood of being this person; 0 where below.

    Twice the logarithm of a Gaussian's density, which falls with the square of its spread: whoever
    was just seen goes before somebody lost who may be there as well.
    """
    place, side, spread = path.expected(frame)
    distance = np.linalg.norm(centres - place, axis=1) / (spread * np.maximum(side, sides))
    deviation = distance**2 + (np.log(sides / side) / _SIZE_SPREAD) ** 2
    gain = _GATE**2 - deviation + 4 * math.log(_LARGEST_SPREAD / spread)
    return np.where(deviation < _GATE**2, gain, 0.0)


def _centres_and_sides(boxes: Float32[np.ndarray, "n 4"]) -> tuple[np.ndarray, np.ndarray]:
    """Centres, and longer sides (at least a pixel): arms change a box's area far more than them."""
    sides = (boxes[:, 2:4] - boxes[:, :2]).max(axis=1)
    return (boxes[:, :2] + boxes[:, 2:4]) / 2, np.maximum(sides, 1.0)

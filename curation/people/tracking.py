"""One track per person through a shot: boxes are joined by overlap, short gaps are filled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int
from scipy.optimize import linear_sum_assignment

from curation.people.anchors import box_overlap

MAX_GAP_FRAMES = 8
_MIN_OVERLAP = 0.15  # people move; two people's boxes seldom overlap by less than their own do


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """One person through consecutive frames.

    ``frames`` are the frame numbers without holes, ``boxes`` (x0, y0, x1, y1) and a score; rows
    between two sightings are interpolated. ``sightings`` are pairs of frame number and the index
    of the detection there, for whoever wants more of a detection than its box.
    """

    frames: Int[np.ndarray, " frames"]
    boxes: Float32[np.ndarray, "frames 5"]
    sightings: tuple[tuple[int, int], ...]

    def extended(self, by: int, *, start: int, end: int) -> Track:
        """Held for ``by`` frames longer at both ends, within ``start`` to ``end`` (exclusive)."""
        before = min(by, int(self.frames[0]) - start)
        after = min(by, end - 1 - int(self.frames[-1]))
        frames = np.arange(self.frames[0] - before, self.frames[-1] + after + 1)
        boxes = np.pad(self.boxes, ((before, after), (0, 0)), mode="edge")
        return Track(frames=frames, boxes=boxes, sightings=self.sightings)

    def between(self, start: int, end: int) -> Float32[np.ndarray, "frames 4"]:
        """The boxes, without scores, of frames ``start`` to ``end`` (exclusive)."""
        first = int(self.frames[0])
        if start < first or end > first + len(self.frames):
            raise ValueError(
                f"expected frames within {first}..{first + len(self.frames)}, got {start}..{end}"
            )
        return self.boxes[start - first : end - first, :4]


def track_people(
    detections: Sequence[Float32[np.ndarray, "people 5"]],
    *,
    first_frame: int = 0,
    stride: int = 1,
    max_gap: int = MAX_GAP_FRAMES,
) -> list[Track]:
    """Joins the boxes of a shot into tracks, longest first.

    In every frame detections and open tracks are matched one to one (Hungarian) for the largest
    sum of overlaps with where the tracks were last seen. A track that misses more than ``max_gap``
    frames in a row is closed.

    Args:
        detections: One array a looked-at frame: x0, y0, x1, y1, score. May be empty.
        first_frame: Number of the first looked-at frame.
        stride: Frames from one looked-at frame to the next.
        max_gap: Longest run of frames without a box that is filled.
    """
    if stride < 1 or stride - 1 > max_gap:
        raise ValueError(f"stride must lie in 1..{max_gap + 1} (max_gap + 1), got {stride}")
    paths: list[list[tuple[int, int]]] = []  # of (step, index of the detection)
    for step, found in enumerate(detections):
        live = [path for path in paths if (step - path[-1][0]) * stride - 1 <= max_gap]
        last = np.array([detections[seen][index, :4] for seen, index in (p[-1] for p in live)])
        matched = _match(last.reshape(-1, 4), found[:, :4])
        for track, index in matched:
            live[track].append((step, index))
        new = set(range(len(found))) - {index for _, index in matched}
        paths += [[(step, index)] for index in sorted(new)]
    tracks = [_filled(path, detections, first_frame, stride) for path in paths]
    return sorted(tracks, key=lambda track: (-len(track.frames), track.frames[0]))


def _match(last: np.ndarray, found: np.ndarray) -> list[tuple[int, int]]:
    if not len(last) or not len(found):
        return []
    overlap = box_overlap(last, found)
    rows, columns = linear_sum_assignment(overlap, maximize=True)
    return [
        (int(row), int(column))
        for row, column in zip(rows, columns, strict=True)
        if overlap[row, column] >= _MIN_OVERLAP
    ]


def _filled(
    path: list[tuple[int, int]], detections: Sequence[np.ndarray], first_frame: int, stride: int
) -> Track:
    seen = np.array([first_frame + step * stride for step, _ in path])
    known = np.array([detections[step][index] for step, index in path], np.float64)
    frames = np.arange(seen[0], seen[-1] + 1)
    boxes = np.stack([np.interp(frames, seen, column) for column in known.T], axis=1)
    sightings = tuple((int(at), index) for at, (_, index) in zip(seen, path, strict=True))
    return Track(frames=frames, boxes=boxes.astype(np.float32), sightings=sightings)

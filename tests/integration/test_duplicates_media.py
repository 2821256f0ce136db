"""Copies of real footage, edited and encoded again as uploads are: found, and nothing else."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache
from itertools import combinations

import av
import cv2
import numpy as np
import pytest

from curation.duplicates.copies import HashedClips, find_copies
from curation.duplicates.hashing import HASHES_PER_SECOND, frame_hash
from curation.duplicates.settings import DuplicateSettings
from dataset.video import read_frames
from tests.unit.curation.sample_media import media

FILMS = (
    "pos_juggle.mp4",
    "pos_squats.mp4",
    "pos_beam_cam01.mp4",
    "multi_lab_cam01.mp4",  # the same room
    "pos_onebyone_1.mp4",
    "pos_onebyone_2.mp4",  # the same camera and place, another person
    "pos_onebyone_3.mp4",
)
SECONDS = 3.0
Edit = Callable[[np.ndarray], np.ndarray]


def scaled(factor: float) -> Edit:
    return lambda frame: cv2.resize(frame, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)


def barred(rows: float, columns: float, colour: tuple[int, int, int]) -> Edit:
    def edit(frame: np.ndarray) -> np.ndarray:
        down, across = int(frame.shape[0] * rows), int(frame.shape[1] * columns)
        return cv2.copyMakeBorder(
            frame, down, down, across, across, cv2.BORDER_CONSTANT, value=colour
        )

    return edit


def marked(frame: np.ndarray) -> np.ndarray:
    """With a name written over it."""
    frame, height = frame.copy(), frame.shape[0]
    place = (frame.shape[1] // 20, height - height // 12)
    cv2.putText(frame, "@name", place, cv2.FONT_HERSHEY_SIMPLEX, height / 500, (255,) * 3, 2)
    return frame


EDITS: dict[str, tuple[Edit, float, int]] = {  # edit, offset in seconds, constant rate factor
    "original": (lambda frame: frame, 0.0, 18),
    "strong compression": (lambda frame: frame, 0.0, 38),
    "half the size": (scaled(0.5), 0.0, 28),
    "letterbox": (barred(0.12, 0.0, (0, 0, 0)), 0.0, 28),
    "white pillars": (barred(0.0, 0.2, (255, 255, 255)), 0.0, 28),
    "mirrored": (lambda frame: np.ascontiguousarray(frame[:, ::-1]), 0.0, 28),
    "begins later": (lambda frame: frame, 0.15, 28),
    "watermark": (marked, 0.0, 28),
    "all of it": (lambda frame: barred(0.1, 0.1, (20, 30, 40))(scaled(0.5)(frame)), 0.15, 32),
}


def encoded_again(frames: list[np.ndarray], crf: int) -> list[np.ndarray]:
    """What is left of frames in an H.264 file."""
    file = io.BytesIO()
    height, width = (side // 2 * 2 for side in frames[0].shape[:2])
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=3, options={"crf": str(crf)})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.thread_count = 1
        for frame in frames:
            even = np.ascontiguousarray(frame[:height, :width])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(even, format="rgb24")))
        container.mux(stream.encode(None))
    file.seek(0)
    with av.open(file) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


@cache
def frames_of(film: str, offset: float) -> list[np.ndarray]:
    until = offset + SECONDS
    frames = read_frames(
        media(film), fps=HASHES_PER_SECOND, start_seconds=offset, end_seconds=until, max_side=480
    )
    return list(frames)


def hashes_of(film: str, edit: Edit, offset: float, crf: int) -> list[int]:
    edited = [edit(frame) for frame in frames_of(film, offset)]
    return [frame_hash(frame) for frame in encoded_again(edited, crf)]


@pytest.fixture(scope="module")
def uploads() -> list[tuple[str, str, list[int]]]:
    """(film, edit, hashes) of every film in every edit."""
    return [(film, name, hashes_of(film, *how)) for film in FILMS for name, how in EDITS.items()]


def linked_pairs(
    uploads: list[tuple[str, str, list[int]]],
) -> set[tuple[tuple[str, str], tuple[str, str]]]:
    """Every two uploads that are in one cluster."""
    count = np.arange(len(uploads))
    clips = HashedClips(
        hashes=np.array([value for *_, hashes in uploads for value in hashes], np.uint64),
        starts=np.cumsum([0, *(len(hashes) for *_, hashes in uploads)]),
        sources=count,
        contents=count,
        tracks=np.zeros(len(uploads), np.int64),
        seconds=np.tile([[0.0, SECONDS]], (len(uploads), 1)),
    )
    kept = find_copies(clips, DuplicateSettings()).kept
    return {
        (uploads[a][:2], uploads[b][:2])
        for a, b in combinations(range(len(uploads)), 2)
        if kept[a] == kept[b]
    }


def test_uploads_of_a_film_are_one_cluster_and_films_are_not(uploads) -> None:
    """F1 of pairs in one cluster is 0.98 or more, the fixed camera's three people among them."""
    found = linked_pairs(uploads)
    truth = {(a[:2], b[:2]) for a, b in combinations(uploads, 2) if a[0] == b[0]}
    wrong, missed = found - truth, truth - found
    f1 = 2 * len(found & truth) / (len(found) + len(truth))
    assert f1 >= 0.98, f"F1 {f1:.3f}; wrong: {sorted(wrong)[:5]}; missed: {sorted(missed)[:5]}"

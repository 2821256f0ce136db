"""What our own code says of the labelled set: shots, clips with their scores, pictures, hashes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.curation_films import Film
from curation.curate import CurateStage
from curation.duplicates.hashing import HASHES_PER_SECOND, frame_hash
from curation.people.settings import PeopleSettings
from curation.scores.clip import picture_scores
from curation.scores.meter import Meter
from curation.settings import CurateSettings
from curation.shots import find_shots
from dataset.errors import ItemError
from dataset.video import probe_video, read_frames

Measured = dict[str, Any]
"""By film name: its shots, the rows of ``clips``, the scores of its pictures, or its hashes."""


def measure(films: list[Film], kept: Path | None) -> Measured:
    """Everything that decisions are made from.

    Args:
        films: The labelled set.
        kept: A JSON file that is read where it has a film already, and written.
    """
    known: Measured = json.loads(kept.read_text()) if kept and kept.is_file() else {}
    stage = CurateStage(CurateSettings(), PeopleSettings(), Path("/"))
    for film in films:
        if film.name not in known:
            known[film.name] = _measured(film, stage)
            if kept:
                kept.write_text(json.dumps(known))
    return known


def _measured(film: Film, stage: CurateStage) -> Any:
    if film.purpose == "shots":
        return find_shots(_frames(film), fps=CurateSettings().fps)
    if film.purpose == "copies":
        return _hashes(film)
    if film.purpose == "defects":
        return _pictures(film)
    stage.load()
    return {"rows": list(_rows(film, stage)), "hashes": _hashes(film)}


def _frames(film: Film) -> Iterator[np.ndarray]:
    settings = CurateSettings()
    return read_frames(film.path, fps=settings.fps, max_side=settings.proxy_size)


def _rows(film: Film, stage: CurateStage) -> Iterator[dict[str, Any]]:
    """A film's clips as JSON holds them."""
    probe = probe_video(film.path)
    item = {
        "source_id": film.name,
        "path": film.path,
        "width": probe.width,
        "height": probe.height,
        "fps": probe.fps,
    }
    left_out = {"boxes", "filled_frames", "frame_hashes", "frame_seconds"}
    try:
        for row in stage.process(item):
            yield {name: value for name, value in row.items() if name not in left_out}
    except ItemError as error:
        if error.kind != "curate.no_person":
            raise


def _hashes(film: Film) -> list[int]:
    step = round(CurateSettings().fps / HASHES_PER_SECOND)
    return [frame_hash(frame) for k, frame in enumerate(_frames(film)) if k % step == 0]


def _pictures(film: Film) -> dict[str, Any]:
    """The scores that need nobody in the picture, of a whole film."""
    settings = CurateSettings()
    meter = Meter(fps=settings.fps, stride=settings.detect_every)
    count = 0
    for count, frame in enumerate(_frames(film), 1):
        meter.add(frame)
        if (count - 1) % settings.detect_every == 0:
            meter.look(count - 1, frame, [])
    scores = picture_scores(meter.measures(), 0, count, fps=settings.fps, source_fps=film.fps)
    return {name: value for name, value in scores.items() if name != "frame_hashes"}

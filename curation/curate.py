"""The curate job: a video in, candidate clips with every score out, from one decode."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from curation.looking import Looked, look_through, without_bystanders
from curation.people.detector import PoseDetector
from curation.people.mediapipe import MediaPipeDetector
from curation.people.settings import PeopleSettings
from curation.people.tracking import Track
from curation.scores.clip import person_scores, picture_scores
from curation.scores.given_models import PictureScorer, load_scorers
from curation.scores.meter import Meter
from curation.settings import CURATE_VERSION, CurateSettings
from curation.shots import ShotFinder
from curation.spans import Span, candidate_spans, people_present, trimmed_shots
from dataset.errors import ItemError
from dataset.storage import Location, local_file
from dataset.video import read_timed_frames


class CurateStage:
    """``videos`` row -> ``clips`` rows; the detector is made in ``load``, in the worker."""

    name = "curate"
    version = CURATE_VERSION
    cpus = 1.0
    gpus = 0.0

    def __init__(self, settings: CurateSettings, people: PeopleSettings, root: Location) -> None:
        self._settings = settings
        self._people = people
        self._root = root
        self._detector: PoseDetector | None = None
        self._scorers: dict[str, PictureScorer] = {}

    def load(self) -> None:
        """The networks, once in every worker.

        Raises:
            ValueError: A network of `models` is not there or of another kind.
        """
        if self._detector is None:
            self._scorers = load_scorers(self._settings.models)
            self._detector = MediaPipeDetector(self._people)

    def process(self, item: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """A video's candidate clips in order of time.

        Raises:
            ItemError: ``curate.no_person`` (rejected); whatever reading the video raises.
        """
        looked = self._look(item)
        found = 0
        trim = round(self._settings.trim_seconds * self._settings.fps)
        for shot in trimmed_shots(looked.shots, looked.frames, trim):
            for row in self._clips_of(item, looked, shot):
                found += 1
                yield row
        if not found:
            raise ItemError(
                "curate.no_person",
                f"{item['path']}: nobody is seen for {self._settings.min_track_seconds} s or more",
                status="rejected",
            )

    def _look(self, item: dict[str, Any]) -> Looked:
        if self._detector is None:
            raise RuntimeError("load() comes before process()")
        settings = self._settings
        finder = ShotFinder(settings.shots, fps=settings.fps)
        meter = Meter(
            fps=settings.fps,
            stride=settings.detect_every,
            source_width=item["width"],
            scorers=self._scorers,
        )
        with local_file(self._root / item["path"]) as path:
            frames = read_timed_frames(
                path,
                fps=settings.fps,
                start_seconds=item.get("start_seconds") or 0.0,
                end_seconds=item.get("end_seconds"),
                max_side=settings.proxy_size,
            )
            return look_through(frames, self._detector, finder, meter, stride=settings.detect_every)

    def _clips_of(
        self, item: dict[str, Any], looked: Looked, shot: tuple[int, int]
    ) -> Iterator[dict[str, Any]]:
        settings = self._settings
        tracks = looked.tracks(shot, min_frames=round(settings.min_track_seconds * settings.fps))
        tracks = without_bystanders(tracks, settings.bystander_share)
        spans = candidate_spans(
            tracks,
            shot,
            min_frames=round(settings.min_clip_seconds * settings.fps),
            max_frames=round(settings.max_clip_seconds * settings.fps),
            overlap=round(settings.part_overlap_seconds * settings.fps),
            subject=settings.subject,
            size=looked.size,
        )
        for span in spans:
            scores = self._scores(item, looked, tracks, span)
            if scores is not None:
                yield {**self._place(item, looked, tracks[span.subject], span), **scores}

    def _place(
        self, item: dict[str, Any], looked: Looked, track: Track, span: Span
    ) -> dict[str, Any]:
        """Where a clip lies: times are the file's, boxes in pixels of the source."""
        fps = self._settings.fps
        begin = item.get("start_seconds") or 0.0
        to_source = np.array([item["width"] / looked.size[0], item["height"] / looked.size[1]] * 2)
        part = track.part(span.start, span.end)
        boxes = part.boxes[:, :4] * to_source
        return {
            "clip_id": f"{item['source_id']}-{span.start:06d}-{span.frames:04d}",
            "source_id": item["source_id"],
            "video_path": item["path"],
            "track": span.subject,
            "start_seconds": begin + span.start / fps,
            "end_seconds": begin + span.end / fps,
            "fps": fps,
            "frames": span.frames,
            "width": item["width"],
            "height": item["height"],
            "boxes": boxes.astype(np.float32).ravel().tolist(),
            "filled_frames": np.flatnonzero(part.filled).tolist(),
        }

    def _scores(
        self, item: dict[str, Any], looked: Looked, tracks: list[Track], span: Span
    ) -> dict[str, Any] | None:
        track, fps = tracks[span.subject], self._settings.fps
        sightings = looked.sightings(track, span.start, span.end)
        if not sightings:  # a sliver between two looked-at frames
            return None
        person = person_scores(
            sightings,
            track.part(span.start, span.end).boxes[:, :4],
            people_present(tracks, span.start, span.end).sum(axis=0),
            looked_at=len(looked.regular_looks(span.start, span.end)),
            size=looked.size,
            fps=fps,
        )
        pictures = picture_scores(
            looked.measures, span.start, span.end, fps=fps, source_fps=item.get("fps") or fps
        )
        return {**person, **pictures, "frame_seconds": looked.seconds[span.start : span.end]}

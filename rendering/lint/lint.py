"""The linter: every clip at a path, some of its frames, every check; bounded memory.

A frame is decoded, checked and forgotten before the next; what remains of it are its symptoms.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path

import numpy as np

from dataset.errors import ItemError
from rendering.lint.depth import check_depth, check_depth_curve
from rendering.lint.edges import check_edges
from rendering.lint.findings import ClipReport, Symptom, merge
from rendering.lint.frame import make_frame
from rendering.lint.guess import guess_map
from rendering.lint.normals import check_normals
from rendering.lint.palette import check_semantic_map
from rendering.lint.settling import settle_backgrounds, settle_channels
from rendering.lint.silhouettes import check_silhouettes
from rendering.lint.skeleton import check_skeleton
from rendering.lint.sources import LINTED, ClipMaps, MapFrames, open_clips, unreadable_symptom

MAX_FRAMES = 24
"""Frames of a clip that are looked at, evenly spread, unless told otherwise."""

CHECKS = (
    check_edges,  # first: it notes which maps the others must not take by the letter
    check_silhouettes,
    check_depth,
    check_normals,
    check_semantic_map,
    check_skeleton,
)
_NEEDED = ("depth", "normal", "semantic_map", "dwpose", "mask")

Seen = tuple[int | None, Symptom]


def lint(
    path: Path, *, map_name: str | None = None, max_frames: int = MAX_FRAMES
) -> Iterator[ClipReport]:
    """Check every clip at a path (``rendering.lint.sources.open_clips`` says which there may be).

    Raises:
        ValueError: Nothing to look at, an unknown map, fewer than one frame, or a single video
            whose map cannot be guessed.
        ItemError: A single video or a shard that cannot be opened.
    """
    if max_frames < 1:
        raise ValueError(f"at least one frame must be looked at, got {max_frames}")
    for clip in open_clips(path, map_name):
        yield lint_clip(clip, max_frames=max_frames)


def lint_clip(clip: ClipMaps, *, max_frames: int = MAX_FRAMES) -> ClipReport:
    """Check one clip."""
    maps = _named(clip.maps)
    numbers = sorted({number for frames in maps.values() for number in frames.numbers})
    chosen = _spread(numbers, max_frames)
    seen: list[Seen] = [(None, symptom) for symptom in clip.unreadable]
    if clip.whole:
        seen += [(None, symptom) for symptom in _check_presence(clip)]
    seen += _check_counts(maps, clip.frames_of_others)
    drawn: Counter[str] = Counter()
    for number in chosen:
        seen += [(number, symptom) for symptom in _lint_frame(maps, number, drawn)]
    seen += [(None, symptom) for symptom in _check_drawn(maps, drawn)]
    return ClipReport(
        clip=clip.clip,
        maps=tuple(name for name in LINTED if name in maps),
        frames=len(numbers),
        looked_at=len(chosen),
        findings=merge(clip.clip, seen),
    )


def _named(maps: Mapping[str, MapFrames]) -> dict[str, MapFrames]:
    """The maps by name; a lone one without a name gets it from a frame in its middle."""
    if "" not in maps:
        return dict(maps)
    frames = maps[""]
    return {guess_map(frames.read(frames.numbers[len(frames.numbers) // 2])): frames}


def _spread(numbers: list[int], most: int) -> list[int]:
    places = np.linspace(0, len(numbers) - 1, min(most, len(numbers))).round().astype(int)
    return [numbers[place] for place in places]


def _check_presence(clip: ClipMaps) -> Iterator[Symptom]:
    broken = {symptom.map for symptom in clip.unreadable}
    for name in _NEEDED:
        if name not in clip.maps and name not in broken:
            yield Symptom(
                check="file", map=name, cause="map_missing", measured="none", expected="a map"
            )


def _check_counts(maps: Mapping[str, MapFrames], others: Mapping[str, int]) -> Iterator[Seen]:
    """Frames that a map lacks and another has."""
    counts = {**{name: len(frames.numbers) for name, frames in maps.items()}, **others}
    most = max(counts.values(), default=0)
    union = {number for frames in maps.values() for number in frames.numbers}
    for name, count in counts.items():
        lacking = sorted(union - set(maps[name].numbers)) if name in maps else []
        if count == most and not lacking:
            continue
        symptom = Symptom(
            check="frames.count",
            map=name,
            cause="frames_missing",
            measured=f"{count} frames",
            expected=f"{most}, as {max(counts, key=lambda key: counts[key])} has",
        )
        yield from ((number, symptom) for number in lacking or [None])


def _lint_frame(
    maps: Mapping[str, MapFrames], number: int, drawn: Counter[str]
) -> Iterator[Symptom]:
    pictures: dict[str, np.ndarray] = {}
    for name, frames in maps.items():
        try:
            picture = frames.read(number) if number in frames.numbers else None
        except ItemError as error:
            yield unreadable_symptom(name, error)
            continue
        if picture is None:
            continue
        settled, symptoms = settle_channels(name, picture)
        yield from symptoms
        if settled is None:
            drawn[name] += 1
        else:
            pictures[name] = settled
    same_size = yield from _same_size(pictures)
    yield from _check_pictures(same_size, drawn)
    for name, picture in pictures.items():
        if name not in same_size:
            yield from _check_pictures({name: picture}, drawn)


def _same_size(
    pictures: Mapping[str, np.ndarray],
) -> Generator[Symptom, None, dict[str, np.ndarray]]:
    """The maps of the size that most have; a generator of symptoms that returns them."""
    sizes = Counter(picture.shape[:2] for picture in pictures.values())
    if not sizes:
        return {}
    height, width = sizes.most_common(1)[0][0]
    for name, picture in pictures.items():
        if picture.shape[:2] != (height, width):
            yield Symptom(
                check="frames.size",
                map=name,
                cause="other_size",
                measured=f"{picture.shape[1]} x {picture.shape[0]}",
                expected=f"{width} x {height}, as most maps",
            )
    return {name: p for name, p in pictures.items() if p.shape[:2] == (height, width)}


def _check_pictures(pictures: Mapping[str, np.ndarray], drawn: Counter[str]) -> Iterator[Symptom]:
    """All checks of maps of one size, with a word less where one fault explains another."""
    if not pictures:
        return
    cleared, symptoms = settle_backgrounds(pictures)
    drawn.update(name for name, picture in cleared.items() if picture.any())
    frame = make_frame(cleared)
    symptoms += [symptom for check in CHECKS for symptom in check(frame)]
    if not any(symptom.map in ("depth", "normal") for symptom in symptoms):
        symptoms += check_depth_curve(frame)
    if any(symptom.cause == "depth_inverted" for symptom in symptoms):
        symptoms = [s for s in symptoms if not _is_white_depth(s)]
    yield from symptoms


def _is_white_depth(symptom: Symptom) -> bool:
    """A background that is white because the whole picture is inverted."""
    return symptom.map == "depth" and symptom.cause == "background" and symptom.measured == "255"


def _check_drawn(maps: Mapping[str, MapFrames], drawn: Mapping[str, int]) -> Iterator[Symptom]:
    for name in maps:
        if not drawn.get(name) and len(maps[name].numbers):
            yield Symptom(
                check="content",
                map=name,
                cause="nothing_drawn",
                measured="all frames looked at are empty",
                expected="a body",
            )

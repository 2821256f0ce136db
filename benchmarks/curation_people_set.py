"""The part of the labelled set that shows who is seen how, and copies of the same footage."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks import curation_edits as edits
from benchmarks.curation_drawing import drawn_figure
from benchmarks.curation_films import Film, Reel, Seen, write_film
from benchmarks.curation_labels import Half, Label
from benchmarks.curation_sources import Sources

_SEED = 21
_COPIED_SECONDS = 4.0

Edit = Callable[[edits.Frames], edits.Frames]
_COPIES: dict[str, tuple[Edit, str, int]] = {
    "encoded": (lambda frames: frames, "libx264", 35),
    "mpeg4": (lambda frames: frames, "mpeg4", 32),
    "scaled": (lambda frames: [_halved(frame) for frame in frames], "libx264", 26),
    "bordered": (lambda frames: edits.bordered(frames, 0.08), "libx264", 26),
    "mirrored": (edits.mirrored, "libx264", 26),
    "marked": (lambda frames: edits.watermarked(frames, "@champion"), "libx264", 26),
    "offset": (lambda frames: frames[7:], "libx264", 26),
    "all": (
        lambda frames: edits.bordered(edits.mirrored(frames[5:]), 0.06),
        "libx264",
        32,
    ),
}
"""What happens to footage on its way between platforms: the edit, the codec, its quality."""


def people_films(sources: Sources, folder: Path, half: Half) -> Iterator[Film]:
    """The sources themselves, copies of their beginnings, reels, still pictures and drawings."""
    files = sorted({label.file for label in sources.labels if label.half == half})
    for file in files:
        labels = [label for label in sources.labels if label.file == file]
        if labels[0].is_photo:
            yield from _stills(sources, folder, labels[0])
            continue
        yield _source(sources, folder, file, labels)
        yield from _copies(sources, folder, file, labels)
    yield from _reels(sources, folder, half)
    if half == "calibration":
        yield _drawing(folder)


def _source(sources: Sources, folder: Path, file: str, labels: list[Label]) -> Film:
    path = folder / f"source-{file}"
    shutil.copyfile(sources.folder / file, path)
    seen = [_seen(label, 0.0, label.end_seconds) for label in labels]
    return _film(path, labels[0], (file, "none", "people"), sources.own_rate(file), seen)


def _copies(sources: Sources, folder: Path, file: str, labels: list[Label]) -> Iterator[Film]:
    """Copies of a file's first seconds; two of them are of use for people as well."""
    fps = min(30.0, sources.own_rate(file))
    frames = [_even(frame) for frame in sources.read(file, fps, 0.0, _COPIED_SECONDS)]
    for name, (edit, codec, crf) in _COPIES.items():
        edited = edit(frames)
        path = folder / f"copy-{name}-{Path(file).stem}.mp4"
        write_film(path, edited, fps=fps, codec=codec, crf=crf)
        end = len(frames) / fps
        seen = [_seen(label, (len(edited) - len(frames)) / fps, end) for label in labels]
        seen = [one for one in seen if one.end_seconds > one.start_seconds]
        yield _film(path, labels[0], (file, name, "copies"), fps, seen)


def _seen(label: Label, shift: float, end: float) -> Seen:
    """A label's span after the film was moved by ``shift`` and ended at ``end`` before that."""
    return Seen(
        start_seconds=max(0.0, label.start_seconds + shift),
        end_seconds=min(label.end_seconds, end) + shift,
        scene=label.scene,
        persons=label.persons,
        framing=label.framing,
        kind=label.kind,
    )


def _reels(sources: Sources, folder: Path, half: Half) -> Iterator[Film]:
    """Compilations as platforms have them: people between other things, cuts, one at each size."""
    rng = np.random.default_rng([_SEED, half == "report"])
    for name, size in (("wide", (854, 480)), ("tall", (480, 854))):
        labels = [one for one in sources.films(half) if _fits(sources, one, size)]
        reel = Reel(30.0)
        for label in rng.permutation(np.array(labels, dtype=object)):
            length = min(2.5, label.end_seconds - label.start_seconds - 0.05)
            slack = label.end_seconds - label.start_seconds - length - 0.05
            start = label.start_seconds + float(rng.uniform(0, max(slack, 1e-3)))
            frames = sources.read(label.file, 30.0, start, start + length)
            begin = len(reel.frames)
            reel.join([edits.fitted(frame, size) for frame in frames], "cut")
            reel.see(begin, len(reel.frames), **_what(label))
        if reel.frames:
            path = folder / f"{half}-reel-{name}.mp4"
            write_film(path, reel.frames, fps=30.0, codec="libx264", crf=24)
            names = (path.stem, "reel", "people")
            yield _film(path, labels[0], names, 30.0, reel.seen)


def _what(label: Label) -> dict[str, Any]:
    return {
        "scene": label.scene,
        "persons": label.persons,
        "framing": label.framing,
        "kind": label.kind,
    }


def _fits(sources: Sources, label: Label, size: tuple[int, int]) -> bool:
    """Whether a file's frame has nearly the shape of ``size``, so that nobody is cropped."""
    height, width = sources.read(label.file, 1.0, 0.0, 0.5)[0].shape[:2]
    return abs(np.log(width / height * size[1] / size[0])) < 0.06


def _stills(sources: Sources, folder: Path, label: Label) -> Iterator[Film]:
    """A photo as a slide, with a slow move over it, and with grain and a trembling hand."""
    photo = sources.photo(label.file)
    tall = photo.shape[0] > photo.shape[1]
    size = (480, 640) if tall else (640, 480)
    rng = np.random.default_rng([_SEED, len(label.file)])
    steps = np.linspace(0, 1, 90)
    rest = np.stack([np.full(90, 0.5), np.full(90, 0.5), np.ones(90)], axis=1)
    slow = np.stack([0.5 + 0.06 * steps, 0.5 - 0.05 * steps, 1 - 0.25 * steps], axis=1)
    tremble = 0.5 + 0.004 * np.cumsum(rng.normal(0, 1, (90, 2)), axis=0) / 3
    shaky = np.column_stack([tremble, np.full(90, 0.9)])
    films = {
        "slide": edits.panned(photo, size, rest),
        "kenburns": edits.panned(photo, size, slow),
        "shaky": edits.grainy(edits.panned(photo, size, shaky), 4.0, rng),
    }
    for name, frames in films.items():
        path = folder / f"still-{name}-{Path(label.file).stem}.mp4"
        write_film(path, frames, fps=30.0, codec="libx264", crf=23)
        seen = Seen(start_seconds=0.0, end_seconds=3.0, **_what(label))
        yield _film(path, label, (f"{label.file}-{name}", name, "people"), 30.0, [seen])


def _drawing(folder: Path) -> Film:
    path = folder / "drawn-figure.mp4"
    write_film(path, drawn_figure((854, 480), 150, 30.0), fps=30.0, codec="libx264", crf=20)
    seen = Seen(
        start_seconds=0, end_seconds=5, scene="drawn", persons=0, framing=None, kind="cartoon"
    )
    return Film(
        name=path.stem,
        path=str(path),
        half="calibration",
        purpose="people",
        footage="drawn",
        edit="drawn",
        fps=30.0,
        seen=(seen,),
    )


def _film(
    path: Path, label: Label, names: tuple[str, str, str], fps: float, seen: list[Seen]
) -> Film:
    footage, edit, purpose = names
    return Film(
        name=path.stem,
        path=str(path),
        half=label.half,
        purpose=purpose,
        footage=footage,
        edit=edit,
        fps=fps,
        seen=tuple(seen),
    )


def _even(frame: np.ndarray) -> np.ndarray:
    height, width = frame.shape[:2]
    return np.ascontiguousarray(frame[: height // 2 * 2, : width // 2 * 2])


def _halved(frame: np.ndarray) -> np.ndarray:
    height, width = frame.shape[:2]
    size = width // 4 * 2, height // 4 * 2
    return cv2.resize(frame, size, interpolation=cv2.INTER_AREA)

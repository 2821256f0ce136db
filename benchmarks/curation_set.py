"""Builds the labelled set: films with known cuts, people and copies, from the sample media.

    python -m benchmarks.curation_set --media FOLDER --out FOLDER

The same seed gives the same films; what is already in the folder is not built again.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from benchmarks import curation_edits as edits
from benchmarks.curation_crops import crop_films
from benchmarks.curation_defects import defect_films
from benchmarks.curation_films import Film, Reel, read_films, write_film, write_films
from benchmarks.curation_labels import Half, Label, read_labels
from benchmarks.curation_people_set import people_films
from benchmarks.curation_sources import Sources

VERSION = 3
"""Changed with what is built, so that an older folder is not taken for it."""

_SEED = 20
_FORMATS = (  # frames a second, size, codec, quality: what platforms hand out, worst last
    (30.0, (640, 360), "libx264", 23),
    (25.0, (480, 480), "libx264", 30),
    (24.0, (360, 640), "libx265", 30),
    (30.0, (320, 240), "mpeg4", 24),
    (60.0, (640, 360), "libx264", 28),
    (15.0, (426, 240), "libvpx-vp9", 40),
    (30.0, (854, 480), "libx264", 38),
    (29.97, (360, 640), "libx264", 33),
)


def build(media: Path, out: Path) -> list[Film]:
    """All films, built where they are missing."""
    folder = out / f"v{VERSION}"
    listing = folder / "films.json"
    if listing.is_file():
        return read_films(listing)
    folder.mkdir(parents=True, exist_ok=True)
    sources = Sources(media, read_labels())
    films = []
    for half in ("calibration", "report"):
        films += _shot_films(sources, folder, half)
        films += people_films(sources, folder, half)
        films += crop_films(sources, folder, half)
        films += defect_films(sources, folder, half)
    write_films(listing, films)
    return films


def _shot_films(sources: Sources, folder: Path, half: Half) -> Iterator[Film]:
    rng = np.random.default_rng([_SEED, half == "report"])
    for number, (fps, size, codec, crf) in enumerate(_FORMATS * 2):
        for name, make in (("cuts", _cuts), ("soft", _soft)):
            if name == "soft" and number >= len(_FORMATS):
                continue
            reel = make(sources, half, (fps, size), rng)
            yield _write(folder, half, f"{name}{number:02d}", reel, (codec, crf))
    for number, (name, reel) in enumerate(_without_cuts(sources, half, rng)):
        codec, crf = _FORMATS[number % 4][2:]
        yield _write(folder, half, name, reel, (codec, crf))
    for number, reel in enumerate(_jumps(sources, half, rng)):
        yield _write(folder, half, f"jump{number:02d}", reel, ("libx264", 26))


def _write(folder: Path, half: Half, name: str, reel: Reel, coding: tuple[str, int]) -> Film:
    path = folder / f"{half}-{name}.mp4"
    write_film(path, reel.frames, fps=reel.fps, codec=coding[0], crf=coding[1])
    return Film(
        name=f"{half}-{name}",
        path=str(path),
        half=half,
        purpose="shots",
        footage=f"{half}-{name}",
        edit=name.rstrip("0123456789"),
        fps=reel.fps,
        changes=tuple(reel.changes),
    )


def _cuts(
    sources: Sources, half: Half, form: tuple[float, tuple[int, int]], rng: np.random.Generator
) -> Reel:
    """Eight shots of 0.7 to 3 s from different scenes, hard cuts between them."""
    reel = Reel(form[0])
    for label in _scenes(sources, half, 8, rng):
        reel.join(_some(sources, label, form, rng, (0.7, 3.0)), "cut")
    return reel


def _soft(
    sources: Sources, half: Half, form: tuple[float, tuple[int, int]], rng: np.random.Generator
) -> Reel:
    """Six shots with fades, dissolves and a cut between them, and a flash in every other one."""
    reel = Reel(form[0])
    kinds = ["first", *rng.permutation(["cut", "fade_black", "fade_white", "dissolve", "dissolve"])]
    for number, (label, kind) in enumerate(zip(_scenes(sources, half, 6, rng), kinds, strict=True)):
        frames = _some(sources, label, form, rng, (2.2, 3.5))
        if number % 2:
            frames = edits.flashed(frames, len(frames) // 2, (0.8, 0.9, 0.5, 0.2))
        reel.join(frames, str(kind), float(rng.uniform(0.3, 0.7)))
    return reel


def _scenes(sources: Sources, half: Half, count: int, rng: np.random.Generator) -> Iterator[Label]:
    """Labelled spans, no two of one scene in a row."""
    labels = sources.films(half)
    last = ""
    for _ in range(count):
        label = rng.choice(np.array([one for one in labels if one.scene != last], dtype=object))
        last = label.scene
        yield label


def _some(
    sources: Sources,
    label: Label,
    form: tuple[float, tuple[int, int]],
    rng: np.random.Generator,
    seconds: tuple[float, float],
) -> edits.Frames:
    """A part of random length and place of a labelled span, filling the film's frame."""
    length = min(float(rng.uniform(*seconds)), label.end_seconds - label.start_seconds - 0.1)
    slack = label.end_seconds - label.start_seconds - length - 0.1
    start = label.start_seconds + float(rng.uniform(0, max(slack, 1e-3)))
    frames = sources.read(label.file, form[0], start, start + length)
    return [edits.fitted(frame, form[1]) for frame in frames]


def _without_cuts(
    sources: Sources, half: Half, rng: np.random.Generator
) -> Iterator[tuple[str, Reel]]:
    """What looks like a cut and is none."""
    size = (640, 360)
    for label in sources.films(half):
        frames = _some(sources, label, (30.0, size), rng, (3.0, 4.0))
        middle = len(frames) // 2
        strong = [0.95, 0.6] if rng.random() < 0.5 else [0.7, 0.9, 0.9, 0.5, 0.2]
        yield f"flash-{label.file}", Reel(30.0, edits.flashed(frames, middle, tuple(strong)))
        shown = edits.captioned(frames, "NEW EPISODE EVERY DAY", middle, len(frames))
        yield f"caption-{label.file}", Reel(30.0, shown)
        slow = [frames[index // 6 * 6] for index in range(len(frames))]
        yield f"repeated-{label.file}", Reel(30.0, slow)
        yield f"fast-{label.file}", Reel(30.0, frames[::3])
    for label in sources.photos(half):
        photo = sources.photo(label.file)
        yield f"whip-{label.file}", Reel(30.0, edits.panned(photo, size, _whip()))
        yield f"zoom-{label.file}", Reel(30.0, edits.panned(photo, size, _crash_zoom()))


def _whip() -> np.ndarray:
    """Rest, a swing from left to right within a third of a second, rest."""
    x = np.concatenate([np.full(25, 0.25), np.linspace(0.25, 0.75, 10), np.full(25, 0.75)])
    return np.stack([x, np.full(60, 0.5), np.full(60, 0.5)], axis=1)


def _crash_zoom() -> np.ndarray:
    part = np.concatenate([np.full(20, 1.0), np.geomspace(1.0, 0.45, 12), np.full(28, 0.45)])
    return np.stack([np.full(60, 0.5), np.full(60, 0.4), part], axis=1)


def _jumps(sources: Sources, half: Half, rng: np.random.Generator) -> Iterator[Reel]:
    """Cuts within a scene: the camera stays, somebody else or another moment is seen."""
    labels = sources.films(half)
    for scene in sorted({label.scene for label in labels}):
        files = sorted({label.file for label in labels if label.scene == scene})
        if len(files) < 2 or scene == "park":  # the park's files show other parts of the picture
            continue
        reel = Reel(30.0)
        for file in files:
            label = next(one for one in labels if one.file == file)
            reel.join(_some(sources, label, (30.0, (640, 360)), rng, (1.5, 2.5)), "jump")
        yield reel


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--media", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    films = build(arguments.media, arguments.out)
    print(f"{len(films)} films in {arguments.out}")


if __name__ == "__main__":
    main()

"""How right curation is: shots, filters, selection and duplicates on the labelled set.

    python -m benchmarks.curation --media FOLDER [--out FOLDER] [--measured FILE] [--json]

``--media`` has the files that benchmarks/data/curation_labels.csv names. The set is built into
``--out`` once (some minutes), and looked through (people are searched for: some more minutes);
``--measured`` keeps what was seen, so that other thresholds take seconds. Thresholds come from the
calibration half alone; what is printed is of both halves, and the report half is what counts.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import cv2
import numpy as np
import yaml

from benchmarks.curation_defects import DEFECTS
from benchmarks.curation_films import Film, Seen
from benchmarks.curation_labels import Half
from benchmarks.curation_measure import Measured, measure
from benchmarks.curation_scoring import (
    best_threshold,
    score_answers,
    score_pairs,
    score_shots,
    seen_in,
    shared_seconds,
)
from benchmarks.curation_set import build
from curation.decisions import decide
from curation.duplicates.copies import HashedClips, find_copies
from curation.duplicates.settings import DuplicateSettings
from curation.select import Framing, SelectSettings
from curation.settings import CurateSettings

_EDGE_SECONDS = 0.15
"""Beside a cut, what curation trims and rounds away is no one's footage."""

_ALL_FRAMINGS: tuple[Framing, ...] = get_args(Framing)
_MOSTLY = 0.5
_PROFILES = Path(__file__).parents[1] / "configs" / "profiles"

Profiles = dict[str, SelectSettings]
"""By framing class."""


def read_profiles() -> Profiles:
    """By framing class, the thresholds that select it."""
    profiles = {}
    for framing in _ALL_FRAMINGS:
        written = yaml.safe_load((_PROFILES / f"{framing}.yaml").read_text())
        profiles[framing] = SelectSettings(**written["select"])
    return profiles


def report(films: list[Film], measured: Measured, profiles: Profiles) -> dict[str, Any]:
    """All figures by half."""
    halves: dict[str, Any] = {}
    for half in get_args(Half):
        ours = [film for film in films if film.half == half]
        halves[half] = {
            "shots": _shots(ours, measured),
            "selection": _selection(ours, measured, profiles),
            "filters": _people_filters(ours, measured, profiles),
            "pictures": _picture_filters(films, half, measured, profiles["full_body"]),
            "duplicates": _duplicates(ours, measured),
        }
    return halves


def _shots(films: list[Film], measured: Measured) -> dict[str, Any]:
    found = [(film, measured[film.name]) for film in films if film.purpose == "shots"]
    scores = score_shots(found, fps=CurateSettings().fps)
    return {kind: score.as_dict() for kind, score in scores.items()}


def _clips(films: list[Film], measured: Measured) -> Iterator[tuple[Film, dict[str, Any], Seen]]:
    """Every clip with the label that most of it is under."""
    for film in films:
        if film.purpose == "people":
            for row in measured[film.name]["rows"]:
                seen = seen_in(film, row)
                if seen is not None:
                    yield film, row, seen


def _selection(films: list[Film], measured: Measured, profiles: Profiles) -> dict[str, Any]:
    """Seconds of single-person footage, how many of them the profile of their framing selects.

    And what should not be selected by any profile, but is by one of them.
    """
    totals: defaultdict[str, float] = defaultdict(float)
    selected: defaultdict[str, float] = defaultdict(float)
    missed: dict[str, float] = {}
    for film in (one for one in films if one.purpose == "people"):
        for seen in (one for one in film.seen if one.wanted):
            profile = profiles[str(seen.framing)]
            rows = [row for row in measured[film.name]["rows"] if decide(row, profile)[0]]
            cut = _EDGE_SECONDS if len(film.seen) > 1 else 0.0
            start, end = seen.start_seconds + cut, seen.end_seconds - cut
            spans = [(row["start_seconds"], row["end_seconds"]) for row in rows]
            if end - start >= profile.min_seconds:
                got = shared_seconds(start, end, spans)
                totals[str(seen.framing)] += end - start
                selected[str(seen.framing)] += got
                missed[f"{film.name} {start:.1f}"] = end - start - got
    wrong: dict[str, list[str]] = {what: [] for what in ("cartoon", "still", "nobody", "several")}
    for film, row, seen in _clips(films, measured):
        if not seen.wanted and _is_selected(row, profiles):
            people = "several" if seen.persons else "nobody"
            what = people if seen.kind == "real" else seen.kind
            wrong[what].append(f"{film.name} at {row['start_seconds']:.1f} s")
    return {
        "seconds": totals,
        "selected_seconds": selected,
        "share": sum(selected.values()) / max(sum(totals.values()), 1e-9),
        "missed": {name: round(lost, 2) for name, lost in missed.items() if lost > _MOSTLY},
        "wrongly_selected": wrong,
        "films": len([film for film in films if film.purpose == "people"]),
    }


def _is_selected(row: dict[str, Any], profiles: Profiles) -> bool:
    return any(decide(row, profile)[0] for profile in profiles.values())


def _people_filters(films: list[Film], measured: Measured, profiles: Profiles) -> dict[str, Any]:
    """Every filter that is about people, cartoons and photos, on the candidate clips."""
    settings = profiles["full_body"]
    clips = list(_clips(films, measured))
    wanted = [(row, seen) for _, row, seen in clips if seen.wanted]
    tests = {
        "second_person": [
            (row["second_person_share"] > settings.max_second_person_share, seen.persons > 1)
            for _, row, seen in clips
            if seen.kind == "real" and seen.persons
        ],
        "cartoon": [
            (row["cartoon"] > settings.max_cartoon, seen.kind == "cartoon")
            for _, row, seen in clips
            if seen.kind == "cartoon" or seen.wanted
        ],
        "still_picture": [
            (row["picture_motion"] < settings.min_picture_motion, seen.kind == "still")
            for _, row, seen in clips
            if seen.kind == "still" or seen.wanted
        ],
        "any reason": [
            (not _is_selected(row, profiles), not seen.wanted) for _, row, seen in clips
        ],
    }
    for framing in _ALL_FRAMINGS:
        tests[f"framing {framing}"] = [
            (row["framing"] == framing, seen.framing == framing) for row, seen in wanted
        ]
    return {name: score_answers(pairs).as_dict() for name, pairs in tests.items()}


def _picture_filters(
    films: list[Film], half: str, measured: Measured, settings: SelectSettings
) -> dict[str, Any]:
    """Every score that tells a defect: at the default threshold, and at the calibration half's."""
    results = {}
    for name, (_, column) in DEFECTS.items():
        if not column:
            continue
        lower = column == "loop_seconds"
        bound = _calibrated(films, measured, name, column)
        setting = getattr(settings, f"min_{column}" if lower else f"max_{column}")
        answers = list(_answers(films, half, measured, (name, column)))
        default = 1.0 / max(setting, 1e-9) if lower else setting
        results[column] = {
            "default": setting,
            "at_default": score_answers((v > default, t) for v, t in answers).as_dict(),
            "calibrated": 1.0 / bound if lower else bound,
            "at_calibrated": score_answers((v > bound, t) for v, t in answers).as_dict(),
        }
    return results


def _calibrated(films: list[Film], measured: Measured, name: str, column: str) -> float:
    answers = list(_answers(films, "calibration", measured, (name, column)))
    return best_threshold([v for v, t in answers if t], [v for v, t in answers if not t])


def _answers(
    films: list[Film], half: str, measured: Measured, defect: tuple[str, str]
) -> Iterator[tuple[float, bool]]:
    """A score, growing with the defect, of films that have it and of all others, and which it is.

    A loop counts as its inverse length, the shorter the worse.
    """
    for film in films:
        if film.purpose == "defects" and film.half == half:
            value = measured[film.name][defect[1]]
            if value is None:
                continue
            if defect[1] == "loop_seconds":
                value = 1.0 / value if value else 0.0
            yield float(value), film.edit == defect[0]


def _duplicates(films: list[Film], measured: Measured) -> dict[str, Any]:
    """Pairs of copies among the sources and what platforms make of them, each from elsewhere.

    Of every source there is an exact copy too: the same content under another name.
    """
    sources = [film for film in films if film.purpose == "people" and film.edit == "none"]
    copies = [film for film in films if film.purpose == "copies"]
    clips = [*sources, *sources, *copies]
    hashes = [
        measured[film.name] if film.purpose == "copies" else measured[film.name]["hashes"]
        for film in clips
    ]
    names = [film.name for film in clips]
    found = find_copies(
        HashedClips(
            hashes=np.array([one for some in hashes for one in some], np.uint64),
            starts=np.cumsum([0, *(len(some) for some in hashes)]),
            sources=np.arange(len(clips)),
            contents=np.array([names.index(name) for name in names]),
            tracks=np.zeros(len(clips), np.int64),
            seconds=np.array([[0.0, len(some) / 3.0] for some in hashes]),
        ),
        DuplicateSettings(),
    )
    clusters = [int(one) for one in found.kept]
    edits = ["exact"] * len(sources) + [film.edit for film in copies]
    origin = {film.footage: k for k, film in enumerate(sources)}
    joined: dict[str, list[bool]] = {}
    for place, edit in enumerate(edits, len(sources)):
        joined.setdefault(edit, []).append(clusters[place] == origin[clips[place].footage])
    score = score_pairs(clusters, [film.footage for film in clips])
    return {
        **score.as_dict(),
        "joined": {edit: float(np.mean(all_)) for edit, all_ in joined.items()},
    }


def _print(half: str, figures: dict[str, Any]) -> None:
    print(f"\n{half} half")
    for kind, score in figures["shots"].items():
        print(f"  shots, {kind}: {_told(score)}")
    selection = figures["selection"]
    print(
        f"  single-person footage: {sum(selection['seconds'].values()):.0f} s, selected "
        f"{selection['share']:.1%}; by framing {_shares(selection)}"
    )
    print(f"  missed: {selection['missed']}")
    print(f"  wrongly selected: {selection['wrongly_selected']}")
    for name, score in figures["filters"].items():
        print(f"  filter, {name}: {_told(score)}")
    for column, one in figures["pictures"].items():
        print(
            f"  filter, {column} at its default {one['default']:g}: {_told(one['at_default'])}; "
            f"at {one['calibrated']:.3g}: {_told(one['at_calibrated'])}"
        )
    print(f"  duplicates: {_told(figures['duplicates'])}; joined {figures['duplicates']['joined']}")


def _shares(selection: dict[str, Any]) -> str:
    shares = {
        framing: f"{selection['selected_seconds'][framing] / seconds:.1%}"
        for framing, seconds in selection["seconds"].items()
        if seconds
    }
    return ", ".join(f"{framing} {share}" for framing, share in shares.items())


def _told(score: dict[str, float]) -> str:
    counts = f"{score['found']} found, {score['missed']} missed, {score['false']} false"
    return f"P {score['precision']:.3f} R {score['recall']:.3f} F1 {score['f1']:.3f} ({counts})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--media", type=Path, required=True, help="folder of the labelled media")
    parser.add_argument("--out", type=Path, help="where the labelled set is built, and kept")
    parser.add_argument("--measured", type=Path, help="JSON file that keeps what was seen")
    parser.add_argument("--json", action="store_true", help="one line of JSON and nothing else")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as temporary:
        films = build(arguments.media, arguments.out or Path(temporary))
        figures = report(films, measure(films, arguments.measured), read_profiles())
    if arguments.json:
        print(json.dumps(figures))
        return
    for half, of_half in figures.items():
        _print(half, of_half)


if __name__ == "__main__":
    main()

"""The ground truth of curation: its labels, its films, and how decisions are scored against it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import curation_edits as edits
from benchmarks.curation import read_profiles, report
from benchmarks.curation_films import Change, Film, Reel, Seen, read_films, write_film, write_films
from benchmarks.curation_labels import read_labels
from benchmarks.curation_measure import measure
from benchmarks.curation_scoring import (
    best_threshold,
    score_answers,
    score_pairs,
    score_shots,
    seen_in,
    shared_seconds,
)
from benchmarks.curation_set import build
from benchmarks.curation_sources import Sources
from curation.shots import find_shots
from dataset.video import read_frames

_MEDIA = Path(__file__).parents[4] / "shared" / "media"


def _scene(seed: int, count: int) -> edits.Frames:
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 9, 3)).astype(np.uint8)
    picture = np.kron(coarse, np.ones((24, 24, 1), np.uint8))
    path = np.stack([np.linspace(0.45, 0.55, count), np.full(count, 0.5), np.full(count, 0.8)], 1)
    return edits.panned(picture, (160, 96), path)


def _film(changes: tuple[Change, ...] = (), seen: tuple[Seen, ...] = ()) -> Film:
    return Film(
        name="film",
        path="film.mp4",
        half="report",
        purpose="shots",
        footage="film",
        edit="none",
        fps=15.0,
        changes=changes,
        seen=seen,
    )


def test_every_scene_is_in_one_half() -> None:
    """The table reads, and both halves have single people, several, nobody, cartoons or stills."""
    labels = read_labels()
    for half in ("calibration", "report"):
        ours = [label for label in labels if label.half == half]
        assert {label.persons for label in ours} == {0, 1, 2}
        assert {label.kind for label in ours} >= {"real", "still"}


def test_a_scene_in_both_halves_is_refused(tmp_path: Path) -> None:
    """A table that would calibrate on what it reports is an error."""
    head = "file,scene,half,start_seconds,end_seconds,persons,framing,kind,note\n"
    rows = "a.mp4,park,calibration,0,1,0,,real,\nb.mp4,park,report,0,1,0,,real,\n"
    (tmp_path / "labels.csv").write_text(head + rows)
    with pytest.raises(ValueError, match="one half"):
        read_labels(tmp_path / "labels.csv")


def test_joins_say_where_they_are() -> None:
    """Cuts, dissolves and fades are noted at the frames that they touch."""
    reel = Reel(10.0)
    reel.join(_scene(1, 30), "cut")
    reel.join(_scene(2, 30), "cut")
    reel.join(_scene(3, 30), "dissolve", 0.5)
    reel.join(_scene(4, 30), "fade_black", 0.4)
    assert len(reel.frames) == 115
    assert reel.changes == [
        Change(start=30, end=30, kind="cut"),
        Change(start=55, end=60, kind="dissolve"),
        Change(start=81, end=89, kind="fade_black"),
    ]
    assert reel.frames[84].max() == reel.frames[85].max() == 0


@pytest.mark.parametrize(("codec", "crf"), [("libx264", 30), ("mpeg4", 24)])
def test_a_written_film_has_its_cuts(tmp_path: Path, codec: str, crf: int) -> None:
    """A film of 25 frames a second, encoded, is cut at 30 where it was joined, to a frame."""
    reel = Reel(25.0)
    for seed in range(4):
        reel.join(_scene(seed, 25 + 3 * seed), "cut")
    write_film(tmp_path / "film.mp4", reel.frames, fps=25.0, codec=codec, crf=crf)
    shots = find_shots(read_frames(tmp_path / "film.mp4", fps=30.0), fps=30.0)
    film = Film(
        name="film",
        path="",
        half="report",
        purpose="shots",
        footage="",
        edit="",
        fps=25.0,
        changes=tuple(reel.changes),
    )
    assert score_shots([(film, shots)], fps=30.0)["cut"].f1 == 1.0


def test_films_are_listed_and_read_back(tmp_path: Path) -> None:
    """A listing holds everything that is true of a film."""
    seen = Seen(
        start_seconds=0, end_seconds=2, scene="a", persons=1, framing="half_body", kind="real"
    )
    films = [_film((Change(start=3, end=5, kind="dissolve"),), (seen,))]
    write_films(tmp_path / "films.json", films)
    assert read_films(tmp_path / "films.json") == films


def test_cuts_match_within_a_frame() -> None:
    """At 30 frames a second, a cut at 15's frame 10 is at 20; 19 to 21 are right, 22 is not."""
    film = _film((Change(start=10, end=10, kind="cut"),))
    for at in (19, 20, 21):
        score = score_shots([(film, [(0, at), (at, 60)])], fps=30.0)["cut"]
        assert (score.found, score.missed, score.false) == (1, 0, 0)
    score = score_shots([(film, [(0, 22), (22, 60)])], fps=30.0)["cut"]
    assert (score.found, score.missed, score.false) == (0, 1, 1)


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=6),
    st.integers(0, 40),
    st.integers(0, 40),
)
def test_shared_seconds_count_nothing_twice(
    spans: list[tuple[int, int]], start: int, end: int
) -> None:
    """Spans that overlap cover what counting whole seconds one by one says."""
    covered = sum(any(a <= k < b for a, b in spans) for k in range(start, end))
    assert shared_seconds(start, end, [(a, b) for a, b in spans if a < b]) == covered


def test_a_clip_is_what_most_of_it_shows() -> None:
    """A clip that begins in one span and lies mostly in the next belongs to the next."""
    spans = [(0.0, 2.0, "a"), (2.0, 5.0, "b")]
    seen = tuple(
        Seen(start_seconds=s, end_seconds=e, scene=name, persons=1, framing=None, kind="real")
        for s, e, name in spans
    )
    found = seen_in(_film(seen=seen), {"start_seconds": 1.5, "end_seconds": 3.0})
    assert found is not None
    assert found.scene == "b"


def test_pairs_and_answers_are_counted() -> None:
    """Two true pairs of which one is said, and one false pair, are F1 one half."""
    score = score_pairs([0, 0, 1, 2, 2], ["a", "a", "b", "b", "c"])
    assert (score.found, score.missed, score.false) == (1, 1, 1)
    assert score.f1 == 0.5
    assert score_answers([(True, True), (False, False)]).f1 == 1.0


def test_the_best_threshold_is_in_the_gap() -> None:
    """Between what can be told apart, the threshold lies in the middle."""
    assert best_threshold([5.0, 7.0], [1.0, 3.0]) == 4.0


def test_real_scenes_are_cut_where_they_were_joined(tmp_path: Path) -> None:
    """Labelled footage of four scenes, joined and encoded, has exactly these cuts."""
    if not _MEDIA.is_dir():
        pytest.skip(f"the labelled sample media are not there: {_MEDIA}")
    sources = Sources(_MEDIA, read_labels())
    reel = Reel(30.0)
    for name in ("pos_kick_black.mp4", "pos_onebyone_2.mp4", "half_asl_walk.mkv", "neg_cars.mp4"):
        frames = sources.read(name, 30.0, 0.0, 1.0)
        reel.join([edits.fitted(frame, (320, 240)) for frame in frames], "cut")
    flashed = edits.flashed(reel.frames, 75, (0.9, 0.6))
    write_film(tmp_path / "film.mp4", flashed, fps=30.0, codec="libx264", crf=28)
    shots = find_shots(read_frames(tmp_path / "film.mp4", fps=30.0), fps=30.0)
    assert shots == [(0, 30), (30, 60), (60, 90), (90, 120)]


@pytest.mark.slow
def test_curation_reaches_its_goals(tmp_path: Path) -> None:
    """On the half that no threshold was set on: cuts, selection and duplicates are good enough."""
    if not _MEDIA.is_dir():
        pytest.skip(f"the labelled sample media are not there: {_MEDIA}")
    films = build(_MEDIA, tmp_path)
    figures = report(films, measure(films, None), read_profiles())["report"]
    assert figures["shots"]["cut"]["f1"] >= 0.98
    assert figures["selection"]["share"] >= 0.9
    wrong = figures["selection"]["wrongly_selected"]
    assert wrong["nobody"] == wrong["cartoon"] == wrong["still"] == []
    assert figures["duplicates"]["f1"] >= 0.98

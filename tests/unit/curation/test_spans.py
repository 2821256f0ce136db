"""Candidate spans: one person alone, or told of as crowded; never mixed."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.people.settings import SubjectRule
from curation.people.subject import choose_subject
from curation.people.tracking import Track
from curation.spans import candidate_spans, people_present, trimmed_shots

SIZE = (200, 100)


def _track(start: int, end: int, box: tuple[float, ...] = (0, 0, 1, 1)) -> Track:
    frames = np.arange(start, end)
    return Track(
        frames=frames,
        boxes=np.tile(np.float32([*box, 1]), (len(frames), 1)),
        filled=np.zeros(len(frames), bool),
        sightings=(),
    )


def _spans(
    tracks: list[Track], shot: tuple[int, int], subject: SubjectRule = "longest"
) -> list[tuple[int, int, int]]:
    found = candidate_spans(tracks, shot, min_frames=30, max_frames=100, subject=subject, size=SIZE)
    return [(span.start, span.end, span.subject) for span in found]


def test_alone_then_not_then_alone() -> None:
    """A passer-by splits a shot into what is wanted, what is not, and what is again."""
    assert _spans([_track(10, 200), _track(70, 120)], (10, 200)) == [
        (10, 70, 0),
        (70, 120, 0),
        (120, 200, 0),
    ]


def test_who_is_alone_is_the_subject() -> None:
    """The subject changes with who is there."""
    assert _spans([_track(0, 60), _track(60, 110)], (0, 110)) == [(0, 60, 0), (60, 110, 1)]


def test_too_short_to_use_is_still_told() -> None:
    """A shot whose every run is short is one candidate of its longest track."""
    assert _spans([_track(5, 25), _track(15, 27)], (0, 27)) == [(5, 25, 0)]


def test_nobody_is_nothing() -> None:
    """A shot without people has no candidates."""
    assert _spans([], (0, 300)) == []


def test_long_spans_are_cut_evenly() -> None:
    """250 frames under a limit of 100 become three parts of nearly one length."""
    assert _spans([_track(0, 250)], (0, 250)) == [(0, 83, 0), (83, 167, 0), (167, 250, 0)]


@given(st.integers(1, 900), st.integers(1, 120), st.integers(0, 150))
def test_parts_cover_a_span_and_overlap(length: int, longest: int, overlap: int) -> None:
    """From its first frame to its last, none too long, each sharing what it should."""
    overlap = min(overlap, longest - 1)
    spans = candidate_spans(
        [_track(0, length)],
        (0, length),
        min_frames=1,
        max_frames=longest,
        overlap=overlap,
        subject="longest",
        size=SIZE,
    )
    assert (spans[0].start, spans[-1].end) == (0, length)
    assert max(span.frames for span in spans) <= longest
    assert all(before.end - after.start == overlap for before, after in pairwise(spans))


def test_shots_are_trimmed_beside_cuts_only() -> None:
    """The first begins where the video does, the last ends there; what is too short goes."""
    shots = [(0, 50), (50, 54), (60, 100)]
    assert trimmed_shots(shots, 100, 3) == [(0, 47), (63, 100)]
    assert trimmed_shots(shots, 100, 0) == shots


PASSER_BY = _track(40, 110, (90, 0, 190, 100))  # large, on the right
SMALL = _track(0, 110, (20, 30, 40, 70))
IN_THE_MIDDLE = _track(35, 100, (90, 40, 110, 60))


@pytest.mark.parametrize(("rule", "chosen"), [("longest", 0), ("largest", 1), ("central", 2)])
def test_the_rule_chooses_the_subject(rule: SubjectRule, chosen: int) -> None:
    """Whoever is there longest, covers most, or is nearest to the middle."""
    assert choose_subject([SMALL, PASSER_BY, IN_THE_MIDDLE], rule, SIZE) == chosen


def test_who_is_hardly_there_is_not_central() -> None:
    """Crossing the middle for less than half the time of the longest does not make a subject."""
    crossing = _track(0, 54, (95, 40, 105, 60))
    assert choose_subject([SMALL, crossing], "central", SIZE) == 0
    assert choose_subject([SMALL, _track(0, 55, (95, 40, 105, 60))], "central", SIZE) == 1


def test_largest_is_over_all_frames() -> None:
    """A quarter of the area for ten times as long is more."""
    short, long = _track(0, 10, (0, 0, 100, 100)), _track(0, 100, (0, 0, 50, 50))
    assert choose_subject([short, long], "largest", SIZE) == 1


def test_nobody_and_unknown_rules_are_refused() -> None:
    """A caller's mistake is named."""
    with pytest.raises(ValueError, match="at least one track"):
        choose_subject([], "longest", SIZE)
    with pytest.raises(ValueError, match="largest, central, longest"):
        choose_subject([SMALL], "first", SIZE)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("rule", "span"),
    [("longest", (30, 110, 0)), ("largest", (40, 110, 1)), ("central", (35, 100, 2))],
)
def test_a_crowded_span_is_its_subjects(rule: SubjectRule, span: tuple[int, int, int]) -> None:
    """Where several are, the span reaches as far in it as its subject does."""
    first = _track(30, 110, (20, 30, 40, 70))
    other = _track(30, 110, (0, 30, 10, 70))  # so that nobody is alone
    assert _spans([first, PASSER_BY, IN_THE_MIDDLE, other], (0, 110), rule) == [span]


@given(
    st.lists(
        st.tuples(st.integers(0, 180), st.integers(1, 120)).map(
            lambda at: (at[0], min(at[0] + at[1], 200))
        ),
        min_size=1,
        max_size=5,
    )
)
def test_spans_hold_their_subject_and_do_not_mix(people: list[tuple[int, int]]) -> None:
    """Spans follow one another, begin and end with their subject, are all alone or all crowded.

    Only the one span of a shot without a run of 30 frames may be mixed.
    """
    tracks = [_track(*span) for span in people]
    spans = candidate_spans(
        tracks, (0, 200), min_frames=30, max_frames=300, subject="longest", size=SIZE
    )
    assert all(before.end <= after.start for before, after in pairwise(spans))
    for span in spans:
        own = people_present(tracks[span.subject : span.subject + 1], span.start, span.end)
        assert own[0, [0, -1]].all()
        count = people_present(tracks, span.start, span.end).sum(axis=0)
        assert len(spans) == 1 or (count == 1).all() or (count > 1).all()

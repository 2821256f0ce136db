"""Candidate spans: one person alone, or told of as crowded; never mixed."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from curation.people.tracking import Track
from curation.spans import candidate_spans, people_present


def _track(start: int, end: int) -> Track:
    return Track(
        frames=np.arange(start, end), boxes=np.zeros((end - start, 5), np.float32), sightings=()
    )


def _spans(tracks: list[Track], shot: tuple[int, int]) -> list[tuple[int, int, int]]:
    found = candidate_spans(tracks, shot, min_frames=30, max_frames=100)
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
    spans = candidate_spans(tracks, (0, 200), min_frames=30, max_frames=300)
    assert all(before.end <= after.start for before, after in pairwise(spans))
    for span in spans:
        own = people_present(tracks[span.subject : span.subject + 1], span.start, span.end)
        assert own[0, [0, -1]].all()
        count = people_present(tracks, span.start, span.end).sum(axis=0)
        assert len(spans) == 1 or (count == 1).all() or (count > 1).all()

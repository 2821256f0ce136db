"""Quotas: never exceeded, filled as far as they go, the best first."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.quotas import Quotas, admitted

VALUES = {"platform": ["a", "b", "c"], "framing": ["x", "y"]}


def limits() -> st.SearchStrategy[int | float]:
    return st.integers(0, 6) | st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])


@st.composite
def cases(draw: st.DrawFn) -> tuple[dict[str, list[str]], Quotas, int]:
    """Clips of two columns, and quotas on both, with groups and others."""
    clips = draw(st.integers(0, 9))
    values = {
        column: draw(st.lists(st.sampled_from(kinds), min_size=clips, max_size=clips))
        for column, kinds in VALUES.items()
    }
    groups = st.dictionaries(st.sampled_from(["a", "b+c", "*"]), limits(), max_size=3)
    quotas = {"platform": draw(groups)}
    if draw(st.booleans()):
        quotas["framing"] = draw(st.dictionaries(st.sampled_from(["x", "y"]), limits()))
    return values, quotas, clips


def holds(values: dict[str, list[str]], quotas: Quotas, taken: list[int]) -> bool:
    """Whether a set of clips is within every quota: the plain rule."""
    for column, groups in quotas.items():
        named = {value for group in groups for value in group.split("+")}
        for group, limit in groups.items():
            kinds = set(group.split("+"))
            count = sum(
                values[column][clip] in kinds
                or (group == "*" and values[column][clip] not in named)
                for clip in taken
            )
            most = limit if isinstance(limit, int) else limit * len(taken) + 1e-9
            if count > most:
                return False
    return True


@settings(max_examples=120, deadline=None)
@given(case=cases())
def test_quotas_hold_and_nothing_more_would_fit(case):
    """No quota is exceeded, and no single clip that was left out could be added."""
    values, quotas, clips = case
    taken = np.flatnonzero(admitted(values, quotas, clips=clips)).tolist()
    assert holds(values, quotas, taken)
    for clip in set(range(clips)) - set(taken):
        assert not holds(values, quotas, [*taken, clip])


@settings(max_examples=40, deadline=None)
@given(case=cases())
def test_a_quota_on_one_column_takes_as_many_as_any_choice(case):
    """With counts on one column the greedy choice is as large as the largest there is."""
    values, quotas, clips = case
    groups = {group: limit for group, limit in quotas["platform"].items() if isinstance(limit, int)}
    one = {"platform": groups}
    taken = int(admitted(values, one, clips=clips).sum())
    sizes = [
        size
        for size in range(clips + 1)
        if any(holds(values, one, list(c)) for c in itertools.combinations(range(clips), size))
    ]
    assert taken == max(sizes)


def test_the_best_come_first():
    """Clips are given from the best to the worst, and the first of a kind are taken."""
    taken = admitted({"platform": ["a", "b", "a", "a"]}, {"platform": {"a": 2}}, clips=4)
    assert taken.tolist() == [True, True, True, False]


def test_a_group_shares_a_quota_and_others_have_one():
    """``a+b`` counts both; ``*`` is every value without a quota."""
    quotas: Quotas = {"platform": {"a+b": 2, "*": 1}}
    taken = admitted({"platform": ["a", "b", "a", "c", "d"]}, quotas, clips=5)
    assert taken.tolist() == [True, True, False, True, False]


def test_shares_are_of_what_is_taken():
    """Of 90 and 10 clips of two kinds, at most half each: 10 and 10."""
    values = {"platform": ["a"] * 90 + ["b"] * 10}
    taken = admitted(values, {"platform": {"a": 0.5, "b": 0.5}}, clips=100)
    assert (int(taken[:90].sum()), int(taken[90:].sum())) == (10, 10)


def test_a_value_in_two_groups_is_refused():
    """Which of two quotas it counts towards would be a guess."""
    with pytest.raises(ValueError, match="'a' in two of its groups"):
        admitted({"platform": ["a"]}, {"platform": {"a": 1, "a+b": 2}}, clips=1)

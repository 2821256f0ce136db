"""Claims about budgets, on a clock that the tests turn by hand."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.fetching.breaker import Breaker
from curation.fetching.budgets import Entry, PlatformBudgets, Rates, TokenBucket

RATES = Rates(
    requests_per_minute=60, bytes_per_minute=16 << 20, concurrency=2,
    pause_seconds=10.0, pause_cap_seconds=60.0,
)  # fmt: skip


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def most_in_a_minute(grants: list[tuple[float, int]]) -> int:
    """The largest sum of amounts in any half-open minute that begins with a grant."""
    return max(sum(a for t, a in grants if start <= t < start + 60) for start, _ in grants)


@given(
    per_minute=st.integers(1, 300),
    burst_share=st.floats(0, 1),
    steps=st.lists(st.tuples(st.floats(0, 50), st.floats(0, 1)), min_size=1, max_size=60),
)
@settings(max_examples=200, deadline=None)
def test_no_minute_grants_more_than_the_budget(
    per_minute: int, burst_share: float, steps: list[tuple[float, float]]
) -> None:
    """Whatever is asked for, whenever: in no window of a minute is more granted than allowed."""
    burst = max(1, round(burst_share * per_minute))
    bucket, now, grants = TokenBucket(per_minute, burst), 5.0, []
    for pause, share in steps:
        now += pause
        amount = max(1, round(share * burst))
        grants.append((now + bucket.take(amount, now), amount))
    assert most_in_a_minute(grants) <= per_minute
    times = [round(time, 6) for time, _ in grants]
    assert times == sorted(times)


@pytest.mark.parametrize(("per_minute", "burst"), [(1, 1), (7, 1), (60, 6), (1000, 250)])
def test_who_always_asks_gets_the_whole_budget(per_minute: int, burst: int) -> None:
    """Over ten minutes of asking, at least nine and a half budgets are granted."""
    bucket, now, granted = TokenBucket(per_minute, burst), 0.0, 0
    while now < 600:
        now += bucket.take(1, now)
        granted += 1
    assert granted >= 10 * per_minute * (per_minute + 1 - burst) / (per_minute + 1) - 1


def test_impossible_amounts_are_refused() -> None:
    """More at once than the bucket holds would break the promise."""
    with pytest.raises(ValueError, match="from 0 to 3, got 4"):
        TokenBucket(10, 3).take(4, 0.0)
    with pytest.raises(ValueError, match="burst must be from 1 to 10, got 11"):
        TokenBucket(10, 11)


def test_places_are_limited_and_come_back() -> None:
    """A platform has so many fetches at a time; a finished one, and a dead worker's, make room."""
    clock = Clock()
    budgets = PlatformBudgets(clock)
    assert [budgets.start("a", t, RATES).status for t in "123"] == ["go", "go", "busy"]
    assert budgets.start("b", "4", RATES).status == "go"
    budgets.finish("a", "1", "answered", 0.0)
    assert budgets.start("a", "3", RATES).status == "go"
    clock.now += 200
    budgets.spend("a", "3", 1, 0)  # is alive
    clock.now += 200
    assert budgets.start("a", "5", RATES).status == "go"  # in place of 2, which is lost
    assert budgets.start("a", "6", RATES).status == "busy"


def test_requests_and_bytes_are_paced_apart() -> None:
    """Either budget makes a fetch wait; platforms do not wait for each other."""
    budgets = PlatformBudgets(Clock())
    for platform in "ab":
        budgets.start(platform, platform, RATES)
        waits = [budgets.spend(platform, platform, 1, 0) for _ in range(10)]
        assert waits[:6] == [0.0] * 6
        assert waits[9] == pytest.approx(4 * 60 / 55, abs=1e-3)
    assert budgets.spend("a", "a", 0, RATES.piece_bytes) == 0.0
    assert budgets.spend("a", "a", 0, RATES.piece_bytes) == pytest.approx(4.0, abs=0.01)


def test_a_block_pauses_the_platform_and_one_fetch_tries() -> None:
    """Nobody starts in the pause; after it one does, the others wait for what comes of it."""
    clock = Clock()
    budgets = PlatformBudgets(clock)
    budgets.start("a", "1", RATES)
    budgets.finish("a", "1", "blocked", 0.0)
    assert budgets.start("a", "2", RATES) == Entry("paused", 10.0)
    assert budgets.start("b", "3", RATES).status == "go"
    clock.now += 10
    assert budgets.start("a", "2", RATES).status == "go"
    assert budgets.start("a", "4", RATES).status == "busy"
    budgets.spend("a", "2", 0, 1)  # its video comes
    assert budgets.start("a", "4", RATES).status == "go"


def test_further_blocks_double_the_pause_up_to_a_cap() -> None:
    """10, 20, 40, 60, 60 s; an answer sets it back to the first."""
    breaker, now, pauses = Breaker(10.0, 60.0), 0.0, []
    for _ in range(5):
        assert breaker.admit("t", now) == 0.0
        breaker.blocked("t", now, 0.0)
        pauses.append(breaker.admit("t", now))
        now += pauses[-1]
    assert pauses == [10, 20, 40, 60, 60]
    assert breaker.admit("t", now) == 0.0
    breaker.answered("t")
    assert not breaker.is_open
    breaker.blocked("t", now, 0.0)
    assert breaker.admit("t", now) == 10


def test_retry_after_is_honoured() -> None:
    """A server that says how long is left alone for as long, also by who was under way."""
    breaker = Breaker(10.0, 60.0)
    breaker.blocked("1", 0.0, 300.0)
    assert breaker.admit("2", 0.0) == 300
    breaker.blocked("under way", 5.0, 0.0)  # no block of its own
    assert breaker.admit("2", 5.0) == 295
    breaker.blocked("under way", 5.0, 400.0)
    assert breaker.admit("2", 5.0) == 400


def test_who_was_under_way_does_not_close_it() -> None:
    """Only the trial closes a breaker; a trial that tells nothing makes room for another."""
    breaker = Breaker(10.0, 60.0)
    breaker.blocked("1", 0.0, 0.0)
    breaker.answered("under way")
    assert breaker.is_open
    assert breaker.admit("2", 10.0) == 0
    assert breaker.admit("3", 10.0) > 0
    breaker.silent("2")
    assert breaker.admit("3", 10.0) == 0


@given(st.lists(st.tuples(st.sampled_from("sfbxw"), st.integers(0, 4)), max_size=80))
@settings(max_examples=100, deadline=None)
def test_places_hold_in_any_order(steps: list[tuple[str, int]]) -> None:
    """Starts, finishes, blocks and waits in any order: never more places than allowed."""
    clock = Clock()
    budgets, running = PlatformBudgets(clock), set()
    for action, number in steps:
        ticket = str(number)
        if action == "w":
            clock.now += number * 5
        elif action == "s" and ticket not in running:
            if budgets.start("a", ticket, RATES).status == "go":
                running.add(ticket)
        elif action in "fbx" and ticket in running:
            running.discard(ticket)
            result = {"f": "answered", "b": "blocked", "x": "silent"}[action]
            budgets.finish("a", ticket, result, 0.0)
        assert len(running) <= RATES.concurrency

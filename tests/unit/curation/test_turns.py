"""Claims about a fetch's turns: how often it is tried, what is waited for, when it is put off."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from curation.fetching.budgets import PlatformBudgets, Rates
from curation.fetching.failures import RETRY_CLASSES, platform_failure, retry_class
from curation.fetching.turns import RetryRules, Turn, Turns
from dataset.errors import ItemDeferredError, ItemError

RATES = Rates(
    requests_per_minute=600, bytes_per_minute=16 << 20, concurrency=2,
    pause_seconds=10.0, pause_cap_seconds=60.0,
)  # fmt: skip
RULES = RetryRules(attempts=3, retry_seconds=2.0, retry_cap_seconds=3.0, patience_seconds=15.0)


class Bench:
    """Turns on a clock that sleeping moves; random numbers are the largest allowed."""

    def __init__(self, rules: RetryRules = RULES) -> None:
        self.now = 0.0
        self.slept: list[float] = []
        self.budget = PlatformBudgets(lambda: self.now)
        self.turns = Turns(self.budget, rules, sleep=self.sleep, uniform=lambda _low, high: high)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def run(self, *kinds: str, retry_after: float = 0.0) -> str:
        """A fetch whose tries fail with these kinds, and then succeeds."""
        left = list(kinds)

        def attempt(turn: Turn) -> str:
            turn.before_request()
            if left:
                turn.told_to_wait(retry_after)
                raise ItemError(left.pop(0), "as told")
            return "arrived"

        return self.turns.run("a", RATES, attempt)


def test_what_may_pass_is_tried_again_with_full_jitter() -> None:
    """The waits are random up to a bound that doubles, with a cap."""
    bench = Bench(RetryRules(attempts=4, retry_seconds=2, retry_cap_seconds=5, patience_seconds=0))
    assert bench.run("fetch.timeout", "fetch.http_503", "fetch.truncated") == "arrived"
    assert [s for s in bench.slept if s] == [2, 4, 5]


def test_tries_are_limited() -> None:
    """After the last try the failure stands, without another wait."""
    bench = Bench()
    with pytest.raises(ItemError, match=r"fetch\.timeout"):
        bench.run(*["fetch.timeout"] * 9)
    assert [s for s in bench.slept if s] == [2, 3]


def test_what_stays_is_not_tried_again() -> None:
    """Removed, private and refused sources are asked for once."""
    bench = Bench()
    with pytest.raises(ItemError, match=r"fetch\.http_404"):
        bench.run("fetch.http_404")
    assert not any(bench.slept)


def test_a_block_is_waited_for_and_its_row_does_not_fail() -> None:
    """A pause within one's patience is slept through; then the same row goes on."""
    bench = Bench()
    assert bench.run("fetch.platform_blocked") == "arrived"
    assert sum(bench.slept) == pytest.approx(10.0)


def test_a_long_pause_puts_the_row_off() -> None:
    """Blocked again, the pause is longer than one's patience: the row waits for another run."""
    bench = Bench()
    with pytest.raises(ItemDeferredError, match=r"fetch\.platform_paused"):
        bench.run("fetch.http_429", "fetch.http_412")
    with pytest.raises(ItemDeferredError, match="left alone for 20 s"):
        bench.run()  # another row of the platform is not even begun


def test_a_blocker_asks_for_its_own_pause() -> None:
    """Retry-After counts, with a 429 and with a 503."""
    for kind in ("fetch.http_429", "fetch.http_503"):
        bench = Bench()
        assert bench.run(kind, retry_after=12.0) == "arrived"
        assert sum(bench.slept) == pytest.approx(12.0)
        with pytest.raises(ItemDeferredError):
            Bench().run(kind, retry_after=300.0)


def test_a_row_that_is_blocked_every_time_is_put_off() -> None:
    """Even with endless patience a row does not try for ever, and does not fail."""
    bench = Bench(
        RetryRules(attempts=3, retry_seconds=0, retry_cap_seconds=0, patience_seconds=9e9)
    )
    with pytest.raises(ItemDeferredError):
        bench.run(*["fetch.platform_blocked"] * 9)
    assert sum(bench.slept) == pytest.approx(10 + 20)


def test_defects_give_their_place_back() -> None:
    """An exception that is no ItemError passes through, and its place is free again."""
    bench = Bench()

    def broken(_turn: Turn) -> None:
        raise ZeroDivisionError

    for _ in range(RATES.concurrency + 1):
        with pytest.raises(ZeroDivisionError):
            bench.turns.run("a", RATES, broken)


def test_a_failure_without_a_request_says_nothing_of_the_platform() -> None:
    """A trial that was refused before anything was asked does not close the breaker."""
    bench = Bench()
    bench.budget.start("a", "other", RATES)
    bench.budget.finish("a", "other", "blocked", 0.0)
    bench.now += 10

    def refused(_turn: Turn) -> None:
        raise ItemError("fetch.private_address", "no")

    with pytest.raises(ItemError):
        bench.turns.run("a", RATES, refused)
    assert bench.budget.start("a", "1", RATES).status == "go"
    assert bench.budget.start("a", "2", RATES).status == "busy"  # 1 is the trial now


def test_bytes_are_paid_for_in_pieces() -> None:
    """Many small blocks ask the budget once a piece; what is not used up carries on."""
    bench, asked = Bench(), []
    bench.budget.start("a", "t", RATES)
    spend: Callable[[str, str, int, int], float] = bench.budget.spend
    bench.budget.spend = lambda *what: asked.append(what[3]) or spend(*what)  # type: ignore[method-assign]
    turn = Turn(bench.budget, "a", RATES, bench.sleep)
    for _ in range(64):
        turn.before_bytes(1 << 16)
        turn.received(1 << 16)
    assert asked == [RATES.piece_bytes] * 4


def test_pauses_between_fetches_are_slept() -> None:
    """Each fetch waits a time of its platform's range."""
    bench = Bench()
    bench.turns.run("a", RATES, lambda _turn: None, sleep_seconds=(1.0, 3.0))
    assert bench.slept == [3.0]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("fetch.timeout", "transient"), ("fetch.http_500", "transient"),
        ("fetch.http_503", "transient"), ("fetch.platform_network", "transient"),
        ("fetch.http_429", "blocked"), ("fetch.http_412", "blocked"),
        ("fetch.platform_blocked", "blocked"), ("fetch.http_404", "permanent"),
        ("fetch.platform_removed", "permanent"), ("probe.not_video", "permanent"),
        ("fetch.unresolved", "permanent"), ("worker.died", "permanent"),
    ],
)  # fmt: skip
def test_every_failure_has_a_class(kind: str, expected: str) -> None:
    """A reason belongs to one of the three classes."""
    assert retry_class(kind) == expected
    assert expected in RETRY_CLASSES


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("HTTP Error 412: Precondition Failed", "fetch.platform_blocked"),
        ("HTTP Error 429: Too Many Requests", "fetch.platform_blocked"),
        ("Sign in to confirm you’re not a bot. Use --cookies", "fetch.platform_blocked"),
        ("Please solve the captcha", "fetch.platform_blocked"),
        ("Sign in to confirm your age", "fetch.platform_private"),
        ("Private video. Sign in if you've been granted access", "fetch.platform_private"),
        ("The uploader has not made this video available in your country",
         "fetch.platform_geo_blocked"),
        ("Video unavailable. This video has been removed", "fetch.platform_removed"),
        ("[BiliBili] BV1412x4291: HTTP Error 404: Not Found", "fetch.platform_removed"),
        ("Unable to download webpage: HTTP Error 503: Service Unavailable",
         "fetch.platform_network"),
        ("Unable to download webpage: The read operation timed out", "fetch.timeout"),
        ("<urlopen error [Errno 104] Connection reset by peer>", "fetch.platform_network"),
        ("Got error: Downloaded 10000 bytes, expected 20012 bytes", "fetch.platform_network"),
        ("something else", "fetch.platform_error"),
    ],
)  # fmt: skip
def test_what_platforms_say_is_told_apart(message: str, kind: str) -> None:
    """The messages of extractors become kinds that can be counted and have a class."""
    assert platform_failure(message) == kind

"""A fetch's turn: waiting for the budget, trying again what may pass, leaving blockers alone."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from curation.fetching.budgets import Budget, Rates
from curation.fetching.failures import retry_class
from dataset.errors import ItemDeferredError, ItemError

Arrival = TypeVar("Arrival")
Sleep = Callable[[float], None]


class Pace(Protocol):
    """What a download asks before it takes anything."""

    @property
    def waited(self) -> float:
        """Seconds waited so far, which no time limit counts."""
        ...

    def before_request(self) -> None:
        """Wait until one more request is within the budget."""
        ...

    def before_bytes(self, count: int) -> None:
        """Wait until so many bytes are within the budget."""
        ...

    def received(self, count: int) -> None:
        """So many bytes came."""
        ...

    def told_to_wait(self, seconds: float) -> None:
        """The server asked to be left alone for so long (``Retry-After``)."""
        ...


class _Unhurried:
    waited = 0.0

    def before_request(self) -> None: ...
    def before_bytes(self, count: int) -> None: ...
    def received(self, count: int) -> None: ...
    def told_to_wait(self, seconds: float) -> None: ...


UNHURRIED: Pace = _Unhurried()
"""A pace without a budget."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryRules:
    """How often and how long a fetch is tried."""

    attempts: int
    retry_seconds: float  # the first wait is up to this, every next up to twice as long
    retry_cap_seconds: float
    patience_seconds: float  # a pause that is longer puts the item off


class Turn:
    """One try of one fetch; implements ``Pace`` against the budget."""

    def __init__(self, budget: Budget, platform: str, rates: Rates, sleep: Sleep) -> None:
        self.ticket = uuid.uuid4().hex
        self.waited = 0.0
        self.retry_after = 0.0
        self.asked = False  # whether anything was asked of the platform at all
        self._budget, self._platform, self._rates, self._sleep = budget, platform, rates, sleep
        self._credit = 0

    def before_request(self) -> None:
        """See ``Pace``."""
        self.asked = True
        self.wait(self._budget.spend(self._platform, self.ticket, 1, 0))

    def before_bytes(self, count: int) -> None:
        """See ``Pace``; paid in pieces, so that an actor is asked once a piece."""
        while self._credit < count:
            piece = self._rates.piece_bytes
            self.wait(self._budget.spend(self._platform, self.ticket, 0, piece))
            self._credit += piece

    def received(self, count: int) -> None:
        """See ``Pace``."""
        self._credit -= count

    def told_to_wait(self, seconds: float) -> None:
        """See ``Pace``."""
        self.retry_after = max(self.retry_after, seconds)

    def wait(self, seconds: float) -> None:
        """Sleep, and count it."""
        if seconds > 0:
            self._sleep(seconds)
            self.waited += seconds


class Turns:
    """Runs fetches within the budget.

    Args:
        budget: Shared by all workers.
        rules: How often, how long.
        sleep: Sleeps seconds.
        uniform: A random number between two.
    """

    def __init__(
        self,
        budget: Budget,
        rules: RetryRules,
        *,
        sleep: Sleep = time.sleep,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._budget, self._rules = budget, rules
        self._sleep, self._uniform = sleep, uniform

    def run(
        self,
        platform: str,
        rates: Rates,
        attempt: Callable[[Turn], Arrival],
        *,
        sleep_seconds: tuple[float, float] = (0.0, 0.0),
    ) -> Arrival:
        """Try until it succeeds, fails for good, or the tries are used up.

        Failures that may pass are tried again after an exponential back-off with full jitter (M.
        Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015). One that means that
        the platform blocks, or that says how long to stay away, pauses the platform for everybody.

        Raises:
            ItemError: What ``attempt`` raises at last.
            ItemDeferredError: ``fetch.platform_paused``: for longer than one's patience.
        """
        for number in range(1, self._rules.attempts + 1):
            turn = self._start(platform, rates)
            turn.wait(self._uniform(*sleep_seconds))
            try:
                return self._try(turn, platform, attempt)
            except ItemError as error:
                last, blocked = number == self._rules.attempts, _is_blocked(error, turn)
                if last and blocked:
                    raise _put_off(platform, error.message) from error
                if last or (not blocked and retry_class(error.kind) == "permanent"):
                    raise
                if not blocked:
                    self._sleep(self._back_off(number))
        raise AssertionError("the last attempt returns or raises")

    def _start(self, platform: str, rates: Rates) -> Turn:
        """Wait for a place, as long as nothing but other fetches is in the way."""
        turn = Turn(self._budget, platform, rates, self._sleep)
        patience = self._rules.patience_seconds
        while True:
            entry = self._budget.start(platform, turn.ticket, rates)
            if entry.status == "go":
                return turn
            if entry.status == "paused":
                if entry.seconds > patience:
                    raise _put_off(platform, f"it is left alone for {entry.seconds:.0f} s more")
                patience -= entry.seconds
            turn.wait(entry.seconds)

    def _try(self, turn: Turn, platform: str, attempt: Callable[[Turn], Arrival]) -> Arrival:
        result = "silent"
        try:
            arrival = attempt(turn)
            result = "answered"
        except ItemError as error:
            if _is_blocked(error, turn):
                result = "blocked"
            elif turn.asked and retry_class(error.kind) == "permanent":
                result = "answered"
            raise
        finally:
            self._budget.finish(platform, turn.ticket, result, turn.retry_after)
        return arrival

    def _back_off(self, number: int) -> float:
        most = self._rules.retry_seconds * 2.0 ** (number - 1)
        return self._uniform(0.0, min(self._rules.retry_cap_seconds, most))


def _is_blocked(error: ItemError, turn: Turn) -> bool:
    kind = retry_class(error.kind)
    return kind == "blocked" or (kind == "transient" and turn.retry_after > 0)


def _put_off(platform: str, why: str) -> ItemDeferredError:
    return ItemDeferredError(
        "fetch.platform_paused", f"{platform} is paused: {why}; run the job again later"
    )

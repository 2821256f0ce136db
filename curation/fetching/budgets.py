"""How much each platform is asked for by all workers together, and when it is left alone.

Nothing here sleeps or reads a clock of its own: every answer is a number of seconds that the caller
has to wait. One object is the budget of a run in one process; on a cluster an actor holds it
(pipeline/budget_actor.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from curation.fetching.breaker import Breaker

_MINUTE = 60.0
_ROUNDING = 1e-9  # so much slower, lest rounding put one more into a minute
_LEASE_SECONDS = 300.0  # a worker that died gives its place back after so long
_ASK_AGAIN_SECONDS = 0.5
_MAX_PLATFORMS = 10_000  # of the open web every host is one


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What one platform bears, from the whole cluster."""

    requests_per_minute: int
    bytes_per_minute: int
    concurrency: int  # fetches at a time
    pause_seconds: float  # how long it is left alone after it blocked, doubled at every further one
    pause_cap_seconds: float

    @property
    def piece_bytes(self) -> int:
        """Bytes that are paid for at a time."""
        return max(1, min(1 << 20, self.bytes_per_minute // 16))


@dataclass(frozen=True, slots=True)
class Entry:
    """Whether a fetch may begin; if not, when to ask again."""

    status: Literal["go", "busy", "paused"]
    seconds: float = 0.0


class Budget(Protocol):
    """The shares of all workers, by platform; a ``ticket`` names one fetch."""

    def start(self, platform: str, ticket: str, rates: Rates) -> Entry:
        """Ask for a place; one that is given is given back by ``finish``."""
        ...

    def spend(self, platform: str, ticket: str, requests: int, received: int) -> float:
        """Book requests and bytes (at most ``piece_bytes``); the seconds to wait before them."""
        ...

    def finish(self, platform: str, ticket: str, result: str, retry_after: float) -> None:
        """Give the place back. ``result``: answered, blocked, or silent (nobody can tell)."""
        ...


class TokenBucket:
    """Amounts at a steady pace: in no minute is more granted than ``per_minute``.

    A minute is any 60 s without their last instant. With a bucket of ``burst`` tokens that fills at
    ``rate`` a second, the grants of such a minute sum up to less than ``burst + 60 rate``, so the
    rate is chosen to make that ``per_minute + 1``.

    Raises:
        ValueError: ``burst`` is not from 1 to ``per_minute``.
    """

    def __init__(self, per_minute: int, burst: int) -> None:
        if not 1 <= burst <= per_minute:
            raise ValueError(f"burst must be from 1 to {per_minute}, got {burst}")
        self._burst = burst
        self._rate = (per_minute + 1 - burst) / _MINUTE * (1 - _ROUNDING)
        self._level = float(burst)  # below 0: booked ahead
        self._seconds = 0.0

    def take(self, amount: int, now: float) -> float:
        """Book an amount, first come first served; the seconds until it is granted.

        Raises:
            ValueError: More than ``burst`` at once.
        """
        if not 0 <= amount <= self._burst:
            raise ValueError(f"an amount is from 0 to {self._burst}, got {amount}")
        if amount == 0:
            return 0.0
        passed = max(0.0, now - self._seconds)
        self._seconds = max(now, self._seconds)
        self._level = min(self._burst, self._level + passed * self._rate) - amount
        return 0.0 if self._level >= 0 else -self._level / self._rate


@dataclass(slots=True)
class _Platform:
    rates: Rates
    requests: TokenBucket
    received: TokenBucket
    breaker: Breaker
    used: float
    leases: dict[str, float] = field(default_factory=dict)  # ticket: until when


class PlatformBudgets:
    """The budgets of all platforms: implements ``Budget`` for whoever shares this object."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._platforms: dict[str, _Platform] = {}

    def start(self, platform: str, ticket: str, rates: Rates) -> Entry:
        """See ``Budget``; the newest caller's rates hold for all."""
        now = self._clock()
        state = self._state(platform, rates, now)
        _drop_lost(state, now)
        if len(state.leases) >= rates.concurrency:
            return Entry("busy", _ASK_AGAIN_SECONDS)
        pause = state.breaker.admit(ticket, now)
        if pause > 0:
            return Entry("busy" if state.breaker.on_trial else "paused", pause)
        state.leases[ticket] = now + _LEASE_SECONDS
        return Entry("go")

    def spend(self, platform: str, ticket: str, requests: int, received: int) -> float:
        """See ``Budget``."""
        now, state = self._clock(), self._platforms.get(platform)
        if state is None:  # begun before this object was, on a node that is lost
            return 0.0
        wait = max(state.requests.take(requests, now), state.received.take(received, now))
        state.leases[ticket] = now + wait + _LEASE_SECONDS
        state.used = now
        if received:
            state.breaker.answered(ticket)  # a trial need not last as long as its download
        return wait

    def finish(self, platform: str, ticket: str, result: str, retry_after: float) -> None:
        """See ``Budget``."""
        state = self._platforms.get(platform)
        if state is None:
            return
        state.leases.pop(ticket, None)
        if result == "blocked":
            state.breaker.blocked(ticket, self._clock(), retry_after)
        elif result == "answered":
            state.breaker.answered(ticket)
        else:
            state.breaker.silent(ticket)

    def _state(self, platform: str, rates: Rates, now: float) -> _Platform:
        state = self._platforms.get(platform)
        if state is None:
            self._drop_idle(now)
            breaker = Breaker(rates.pause_seconds, rates.pause_cap_seconds)
            state = _Platform(rates, *_buckets(rates), breaker, now)
            self._platforms[platform] = state
        elif state.rates != rates:
            state.rates = rates
            state.requests, state.received = _buckets(rates)
        state.used = now
        return state

    def _drop_idle(self, now: float) -> None:
        """Forget hosts that have been left alone for so long that nothing of them counts."""
        if len(self._platforms) < _MAX_PLATFORMS:
            return
        for name, state in list(self._platforms.items()):
            if now - state.used > _LEASE_SECONDS and not state.breaker.is_open:
                del self._platforms[name]


def _buckets(rates: Rates) -> tuple[TokenBucket, TokenBucket]:
    requests = TokenBucket(rates.requests_per_minute, max(1, rates.requests_per_minute // 10))
    return requests, TokenBucket(rates.bytes_per_minute, rates.piece_bytes)


def _drop_lost(state: _Platform, now: float) -> None:
    for ticket in [ticket for ticket, until in state.leases.items() if until <= now]:
        del state.leases[ticket]
        state.breaker.silent(ticket)

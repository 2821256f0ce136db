"""A circuit breaker: a platform that blocks is left alone, then tried by one fetch at a time."""

from __future__ import annotations

_TRIAL_SECONDS = 1.0  # how soon to ask again while one fetch tries


class Breaker:
    """Closed, open, or half open (M. Nygard, "Release It!", 2007), for many concurrent fetches.

    ``blocked`` opens it for a pause that doubles at every further block; after the pause ``admit``
    lets one ticket through, and what comes of that one closes it or opens it for longer.
    """

    def __init__(self, pause_seconds: float, cap_seconds: float) -> None:
        self._pause, self._cap = pause_seconds, cap_seconds
        self._blocks = 0
        self._until: float | None = None  # None: closed
        self._trial: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether the platform is left alone, or on trial."""
        return self._until is not None

    @property
    def on_trial(self) -> bool:
        """Whether one ticket is trying just now."""
        return self._trial is not None

    def admit(self, ticket: str, now: float) -> float:
        """0 when the ticket may begin, else the seconds after which to ask again."""
        if self._until is None:
            return 0.0
        if now < self._until:
            return self._until - now
        if self._trial not in (None, ticket):
            return _TRIAL_SECONDS
        self._trial = ticket
        return 0.0

    def blocked(self, ticket: str, now: float, retry_after: float) -> None:
        """The platform refused this ticket and asked to be left alone for ``retry_after`` s.

        Tickets that were under way when it opened count as one block with that which opened it.
        """
        if self._until is not None and ticket != self._trial:
            self._until = max(self._until, now + retry_after)
            return
        self._trial = None
        self._blocks += 1
        pause = min(self._cap, self._pause * 2.0 ** min(self._blocks - 1, 60))
        self._until = now + max(pause, retry_after)

    def answered(self, ticket: str) -> None:
        """The platform served this ticket, or said what is wrong with it."""
        if self._until is None or ticket == self._trial:
            self._blocks, self._until, self._trial = 0, None, None

    def silent(self, ticket: str) -> None:
        """This ticket told nothing of the platform; if it was the trial, another one may try."""
        if ticket == self._trial:
            self._trial = None

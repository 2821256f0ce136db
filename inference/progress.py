"""How far a long animation is, told now and then."""

from __future__ import annotations

import time
from collections.abc import Callable

SECONDS_BETWEEN = 10.0


class SpacedProgress:
    """Called after every window; says how many are done, but seldom, and nothing of short ones.

    Args:
        name: Of the animation.
        tell: Takes a line.
        seconds: At least so many between two lines, and before the first.
    """

    def __init__(
        self, name: str, tell: Callable[[str], None], seconds: float = SECONDS_BETWEEN
    ) -> None:
        self._name, self._tell, self._seconds = name, tell, seconds
        self._started = self._last = time.monotonic()

    def __call__(self, done: int, of: int) -> None:
        now = time.monotonic()
        if now - self._last < self._seconds:
            return
        self._last = now
        left = (now - self._started) / done * (of - done)
        self._tell(f"{self._name}: {done} of {of} windows, about {left:.0f} s left")

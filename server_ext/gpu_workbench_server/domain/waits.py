"""How much longer people wait than they were told: measured, and what follows for the next one.

Whoever comes later and goes first is in no plan, so the planner's start is mostly too early. Each
first answer is kept until its request starts; the ratios of the newest say how far to stretch a new
answer so that it holds nine times in ten. In memory only: learned anew after a restart.
"""

from __future__ import annotations

from collections import deque
from math import ceil
from typing import NamedTuple

KEPT = 100
"""Newest ratios of a pool. Few, since how much is asked for changes from day to day."""
ENOUGH = 20
"""With fewer nothing is concluded."""
SLACK = 60.0
"""Seconds added to waits before they are compared: one of a second says nothing."""


class _Told(NamedTuple):
    pool: str
    at: float
    expected: float

    def ratio(self, now: float) -> float:
        return (now - self.at + SLACK) / (self.expected - self.at + SLACK)


class Waits:
    """Of each pool, the newest ratios of a wait to the wait first told."""

    def __init__(self) -> None:
        self._open: dict[int, _Told] = {}
        self._ratios: dict[str, deque[float]] = {}

    def told(self, request_id: int, pool: str, now: float, expected: float | None) -> None:
        """Somebody was told an expected start; only the first answer counts."""
        if expected is not None and expected >= now:
            self._open.setdefault(request_id, _Told(pool, now, expected))

    def over(self, request_id: int, started: float | None) -> None:
        """It waits no more; `started` is None where it was not served."""
        told = self._open.pop(request_id, None)
        if told is not None and started is not None:
            ratios = self._ratios.setdefault(told.pool, deque(maxlen=KEPT))
            ratios.append(max(0.0, told.ratio(started)))

    def stretch(self, pool: str, now: float, chance: float) -> float | None:
        """How many times the told wait is enough with that chance; None where too few are known.

        Who waits longer than told already counts too: else only those who were lucky would.
        """
        late = (one.ratio(now) for one in self._open.values() if one.pool == pool)
        ratios: list[float] = sorted(
            [*self._ratios.get(pool, ()), *(ratio for ratio in late if ratio > 1)]
        )
        if len(ratios) < ENOUGH:
            return None
        number = min(len(ratios), ceil((len(ratios) + 1) * chance))
        return max(1.0, ratios[number - 1])

"""How much of the declared time leases really run: the measured habit of giving back early."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import deque
from collections.abc import Iterable

from .leases import LedgerEntry
from .waits import Waits

KEPT = 500
LEARNED_SECONDS = 14 * 86400.0
"""At a start the leases that ended in this time are learned from."""
ENOUGH = 20
"""With fewer ends than this nothing is concluded: a lease is taken to run as declared."""
NATURAL = ("released", "expired")
"""Ends that people chose. What was lost or preempted says nothing of their habit."""


class Habits:
    """Of each pool, which share of its declared time each of the newest leases was held."""

    def __init__(self, past: Iterable[LedgerEntry] = ()) -> None:
        self.waits = Waits()
        self._newest: dict[str, deque[float]] = {}
        self._sorted: dict[str, list[float]] = {}
        for one in past:
            self.learn(one)

    def learn(self, one: LedgerEntry) -> None:
        if one.end_reason not in NATURAL or not one.declared_seconds:
            return
        ratio = min(1.0, max(0.0, (one.end - one.start) / one.declared_seconds))
        newest = self._newest.setdefault(one.pool, deque())
        ratios = self._sorted.setdefault(one.pool, [])
        newest.append(ratio)
        insort(ratios, ratio)
        if len(newest) > KEPT:
            ratios.remove(newest.popleft())

    def share(self, pool: str, gone: float, chance: float) -> float:
        """The share of its declared time by which a lease is over with that chance.

        `gone` is the share that it has run already: only leases that ran longer count.
        """
        ratios = self._sorted.get(pool, [])
        first = bisect_right(ratios, gone)
        left = len(ratios) - first
        if left < ENOUGH:
            return 1.0
        return ratios[first + min(left - 1, int(chance * left))]

"""Decayed usage: what somebody held, where the past counts less the longer ago it is.

A meter is an average of held parts with exponential weights: who holds x parts for ever has a
meter of x. It is advanced only when what is held changes, so it costs nothing to keep.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf, log2
from typing import NamedTuple

from .leases import Lease, LedgerEntry

REMEMBERED = 12
"""Half-lives after which use is forgotten: less than 1/4000 of it would still count."""


class Meter(NamedTuple):
    """`average` at the time `at`, and the parts `held` since then."""

    average: float = 0.0
    at: float = 0.0
    held: int = 0

    def read(self, now: float, half_life: float) -> float:
        """The average at `now`; a clock that jumped back changes nothing."""
        kept: float = 0.5 ** (max(0.0, now - self.at) / half_life)
        return self.average * kept + self.held * (1 - kept)

    def moved(self, parts: int, at: float, half_life: float) -> Meter:
        """So many parts more (or fewer) are held from `at` on."""
        return Meter(self.read(at, half_life), max(self.at, at), self.held + parts)

    def stays(self, now: float, half_life: float, least: float, most: float) -> float:
        """Until when the average surely stays between the two, if no more is held; it moves
        towards what is held. A hair's breadth from a bound is not sure: then it is `now`."""
        average = self.read(now, half_life)
        hair = 1e-6 * max(1.0, average, self.held)
        low, high = least + hair, most - hair
        if not low < average < high:
            return now
        bound = low if self.held < average else high
        if low <= self.held <= high:
            return inf
        return now + half_life * log2((average - self.held) / (bound - self.held))

    def remembering(self, average: float, now: float, half_life: float) -> Meter:
        """With what was held before the meter began, as an average at `now`."""
        return Meter(self.read(now, half_life) + average, max(self.at, now), self.held)


class Standing(NamedTuple):
    """What a payer's meter comes to in the order: true for a while, if the meter doesn't move."""

    since: float
    until: float
    left: float
    """Parts left of what it deserves."""
    band: int
    """Of its share."""

    def holds(self, now: float) -> bool:
        """Whether it is true at `now`."""
        return self.since <= now < self.until


NOBODY = Standing(-inf, inf, inf, 0)
"""Who pays where a request has no group."""


def names(user: str, group: str | None) -> list[str]:
    """Payers, by which meters are known: names with the scope in front."""
    return [f"user {user}"] + ([f"group {group}"] if group else [])


def payers(lease: Lease | LedgerEntry) -> list[str]:
    """Whose meters a lease moves."""
    return names(lease.user, lease.group)


def remembered(past: Iterable[LedgerEntry], now: float, half_life: float) -> dict[str, float]:
    """What ended leases left in each payer's average at `now`: exact, whatever overlapped."""
    found: dict[str, float] = {}
    for one in past:
        since_end, since_start = max(0.0, now - one.end), max(0.0, now - one.start)
        left = 0.5 ** (since_end / half_life) - 0.5 ** (since_start / half_life)
        for payer in payers(one):
            found[payer] = found.get(payer, 0.0) + one.parts * left
    return found

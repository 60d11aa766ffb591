"""Decayed usage: what somebody held, where the past counts less the longer ago it is.

A meter is an average of held parts with exponential weights: who holds x parts for ever has a
meter of x. It is advanced only when what is held changes, so it costs nothing to keep.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from .leases import Lease, LedgerEntry


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

    def remembering(self, average: float, now: float, half_life: float) -> Meter:
        """With what was held before the meter began, as an average at `now`."""
        return Meter(self.read(now, half_life) + average, max(self.at, now), self.held)


def payers(lease: Lease | LedgerEntry) -> list[str]:
    """Whose meters a lease moves: names with the scope in front."""
    return [f"user {lease.user}"] + ([f"group {lease.group}"] if lease.group else [])


def remembered(past: Iterable[LedgerEntry], now: float, half_life: float) -> dict[str, float]:
    """What ended leases left in each payer's average at `now`: exact, whatever overlapped."""
    found: dict[str, float] = {}
    for one in past:
        since_end, since_start = max(0.0, now - one.end), max(0.0, now - one.start)
        left = 0.5 ** (since_end / half_life) - 0.5 ** (since_start / half_life)
        for payer in payers(one):
            found[payer] = found.get(payer, 0.0) + one.parts * left
    return found

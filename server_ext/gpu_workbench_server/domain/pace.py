"""Which rank holds the others up. Pure.

Ranks that wait for each other at every step all take as long as the slowest one. What a rank does
by itself is then told by how far it gets before it waits; the part of the wait that is work is the
shortest one, that of the rank for which the others wait.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median

TOLD = 1.3
"""So many times slower than the others is worth a word."""
_LEAST_SECONDS = 0.005
"""Differences below this are the machine's noise."""
_IN_STEP = 0.15
"""Ranks whose steps differ by less make them together."""


@dataclass(frozen=True, slots=True)
class Pace:
    """A rank's medians over its last steps, in seconds."""

    step: float
    own: float | None = None
    """Of a step, until the ranks wait for each other."""


def slowness(ranks: Mapping[int, Pace]) -> dict[int, float]:
    """How many times longer each rank works at a step than the others do (their median).

    1.0 where the difference is noise; empty for fewer than two ranks.
    """
    if len(ranks) < 2:
        return {}
    work = _work(ranks)
    found = {}
    for rank, mine in work.items():
        others = median(value for other, value in work.items() if other != rank)
        noise = abs(mine - others) < _LEAST_SECONDS or others <= 0
        found[rank] = 1.0 if noise else mine / others
    return found


def _work(ranks: Mapping[int, Pace]) -> dict[int, float]:
    steps = {rank: one.step for rank, one in ranks.items()}
    slowest = max(steps.values())
    if slowest - min(steps.values()) > _IN_STEP * slowest:
        return steps
    rest = {rank: one.step - one.own for rank, one in ranks.items() if one.own is not None}
    if len(rest) < len(ranks):
        return steps
    return {rank: steps[rank] - rest[rank] + min(rest.values()) for rank in ranks}


def slow_rank(ranks: Mapping[int, Pace]) -> tuple[int, float] | None:
    """The slowest one and how many times slower it is, where that is worth a word."""
    slow = slowness(ranks)
    rank = max(slow, key=lambda one: slow[one], default=None)
    return None if rank is None or slow[rank] < TOLD else (rank, slow[rank])

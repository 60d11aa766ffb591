"""Who waits first has a promise: a start, and the GPUs for it. Others may go before it only where
they keep out of its way, in time or in place.

EASY gives the promise to the first of each contended set of GPUs, conservative to everybody (as far
as the GPUs reach); "none" shuts the set until the first is served.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf

from .lanes import SetKey
from .leases import Request
from .state import State


@dataclass(frozen=True, slots=True)
class Promise:
    """These GPUs are somebody's from `start` on."""

    request_id: int
    key: SetKey
    start: float
    gpus: frozenset[str]

    def bars(self, until: float) -> bool:
        """Whether something that runs until then has to keep off its GPUs."""
        return until > self.start


def promise(
    state: State, request: Request, before: Iterable[Promise], now: float
) -> Promise | None:
    """What a request that finds no room now is promised, or None.

    A request that no end of a lease can serve gets none: it must not hold up the others.
    """
    rules, key = state.rules, state.key(request)
    rivals = [one for one in before if state.meet(one.key, key)]
    if rivals and rules.backfill != "conservative":
        return None
    taken = frozenset[str]().union(*(one.gpus for one in rivals))
    found = state.slots(key).soonest(request.count, request.same_node, taken)
    if found is None:
        return None
    start, gpus = found
    if rules.backfill == "none":
        return Promise(request.id, key, -inf, frozenset(state.slots(key).gpus))
    return Promise(request.id, key, max(now, start), gpus)


def barred(promises: Iterable[Promise], until: float) -> frozenset[str]:
    """GPUs that something which runs until then must keep off."""
    shut = [one.gpus for one in promises if one.bars(until)]
    return frozenset[str]().union(*shut) if shut else frozenset()

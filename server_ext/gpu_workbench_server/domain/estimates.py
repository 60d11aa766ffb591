"""When waiting requests will start: the planner itself, run ahead in a trial.

With each lease ending when half of its kind would have. What holds nine times in ten is that wait,
stretched as waits have been (see `waits`); before enough of them are known, the planner runs ahead
again with each lease ending when nine in ten would. Where the queue is longer than a look-ahead may
take, the rest is extrapolated from the GPU-seconds that go first.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, replace

from .backfill import Promise
from .decisions import Change
from .explain import explain
from .habits import Habits
from .lanes import virtual_arrival
from .leases import Lease
from .order import Order
from .planning import grants, promises
from .reasons import Reason
from .reservations import moments
from .state import State
from .waits import SLACK

STEPS = 100
"""Moments that a look-ahead goes through."""
MEDIAN, MOSTLY = 0.5, 0.9
PASSED = 2.0
"""Before waits are known: who may be passed by smaller ones waits up to so many times longer."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a waiting request can be told. None: nothing that is known brings its start.

    It starts by `expected_at` with a chance of one half, by `expected_by` nine times in ten.
    """

    position: int
    reason: Reason
    expected_at: float | None
    expected_by: float | None = None


@dataclass(frozen=True, slots=True)
class Start:
    at: float
    lease: Lease | None
    """The one whose end lets it start; None where it is extrapolated."""
    reservation: int | None = None
    """The one whose start or end lets it start."""


def forecast(
    state: State, now: float, only: Collection[int] | None = None, habits: Habits | None = None
) -> dict[int, Forecast]:
    """Position, reason and expected start of waiting requests: of all, or `only` of some."""
    if not state.queue or (only is not None and not only):
        return {}
    order = Order(state, now)
    everybody = order.everybody()
    asked = set(state.queue if only is None else only)
    habits = habits or Habits()
    at = look_ahead(state, now, asked, habits, MEDIAN)
    stretches = {pool: habits.waits.stretch(pool, now, MOSTLY) for pool in state.pools}
    unknown = {i for i in asked if stretches.get(state.queue[i].pool) is None}
    by = look_ahead(state, now, unknown, habits, MOSTLY) if unknown else {}
    made: list[Promise] = promises(state, now)
    told: dict[int, Forecast] = {}
    for position, request in enumerate(everybody, 1):
        if request.id not in asked:
            continue
        start, stretch = at.get(request.id), stretches.get(request.pool)
        ends = start.lease if start else None
        booked = start.reservation if start else None
        why = explain(state, request, now, order, everybody, made, ends, booked)
        late = None
        if start and stretch is not None:
            late = now + stretch * (start.at - now + SLACK) - SLACK
        elif start and (latest := by.get(request.id)):
            late = max(start.at, latest.at)
            passable = max(0.0, virtual_arrival(request, state.rules) - now)
            late += min(passable, PASSED * (late - now))
        told[request.id] = Forecast(position, why, start.at if start else None, late)
    return told


def look_ahead(
    state: State, now: float, asked: Collection[int], habits: Habits, chance: float
) -> dict[int, Start]:
    """Starts of the asked requests, where each lease ends as the habit has it with that chance."""
    starts: dict[int, Start] = {}
    missing = set(asked)
    with state.trial():
        ends = [(_end(le, now, habits, chance), i) for i, le in state.leases.items()]
        ends += [(at, -i) for i, at in moments(state, now)]
        heapq.heapify(ends)
        at = now
        for _ in range(STEPS):
            if not ends or not missing:
                break
            at = ends[0][0]
            lease, booked = None, None
            while ends and ends[0][0] == at:
                number = heapq.heappop(ends)[1]
                if number < 0:  # a reservation begins or ends
                    booked = -number
                    continue
                lease = state.leases[number]
                state.put(Change("cleared", lease=replace(lease, state="ended", cleared=True)))
            for change in grants(state, at):
                if change.request is None or change.lease is None:
                    continue
                starts[change.request.id] = Start(at, lease, None if lease else booked)
                missing.discard(change.request.id)
                heapq.heappush(ends, (_end(change.lease, at, habits, chance), change.lease.id))
        if ends and missing:
            held, ahead = Counter[str](), Counter[str]()  # parts, and parts × seconds
            for one in state.leases.values():
                held[one.pool] += one.parts
            for request in Order(state, at).everybody():
                pool = request.pool
                if request.id in missing:
                    starts[request.id] = Start(at + ahead[pool] / max(1, held[pool]), None)
                ahead[pool] += (
                    int(request.seconds * habits.share(pool, 0.0, chance)) * request.parts
                )
    return {i: start for i, start in starts.items() if i in asked}


def _end(lease: Lease, now: float, habits: Habits, chance: float) -> float:
    if lease.state == "ended":  # its last processes are being ended
        return now
    declared = lease.ends_at - lease.granted_at
    if declared <= 0:
        return max(now, lease.ends_at)
    share = habits.share(lease.pool, max(0.0, now - lease.granted_at) / declared, chance)
    return max(now, lease.granted_at + declared * share)

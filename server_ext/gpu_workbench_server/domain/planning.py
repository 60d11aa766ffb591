"""Who is next, and when: first come, first served, within limits.

A later request may pass an earlier one only on GPUs that the earlier one can't use, so nobody is
delayed by somebody who came later. A request that is over a limit of its own holds nobody up.
The same loop that grants also forecasts: it is run again, in a trial, at each declared lease end.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, replace

from . import reasons
from .decisions import Change
from .leases import Lease, Request
from .placement import place
from .reasons import Reason
from .state import State
from .transitions import moved


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a waiting request can be told. `expected_at` None: nothing that is known brings it."""

    position: int
    reason: Reason
    expected_at: float | None


def binding_limit(state: State, request: Request) -> Reason | None:
    """The limit that a request would break now, if any."""
    held, limit = state.user_parts[request.user], state.limits.user(request.user)
    if limit is not None and held + request.parts > limit:
        own = tuple(i for i, le in state.leases.items() if le.user == request.user)
        return reasons.over_limit("user", held, limit, own)
    if request.group is not None:
        held, limit = state.group_parts[request.group], state.limits.group(request.group)
        if limit is not None and held + request.parts > limit:
            own = tuple(i for i, le in state.leases.items() if le.group == request.group)
            return reasons.over_limit("group", held, limit, own)
    return None


def grants(state: State, now: float) -> Iterator[Change]:
    """Grant what can be granted, in order, putting each into `state` as it goes."""
    shut: set[str] = set()
    for request in state.waiting():
        if binding_limit(state, request):
            continue
        slices = place(state, request, shut)
        if slices is None:
            shut.update(gpu.uuid for gpu in state.able(request))
            continue
        change = granted(request, slices, now)
        state.put(change)
        yield change


def granted(request: Request, slices: tuple, now: float) -> Change:  # type: ignore[type-arg]
    lease = Lease(
        id=request.id,
        user=request.user,
        group=request.group,
        pool=request.pool,
        profile=request.profile,
        slices=slices,
        parts=sum(one.parts for one in slices),
        purpose=request.purpose,
        name=request.name,
        granted_at=now,
        ends_at=now + request.seconds,
    )
    waited = now - request.created_at
    return Change("granted", moved(request, "granted"), lease, why=f"waited {waited:.1f} s")


def forecast(state: State, now: float) -> dict[int, Forecast]:
    """Position, reason and expected start of every waiting request.

    Looks ahead through the declared ends of leases, those granted in the look-ahead included; a
    lease that has ended and is being cleared counts as ending now.
    """
    waiting = state.waiting()
    if not waiting:
        return {}
    starts: dict[int, tuple[float, Lease | None]] = {}
    first = {r.id: _blocked_by(state, r, waiting) for r in waiting}
    with state.trial():
        ends = [
            (now if le.state == "ended" else max(now, le.ends_at), i)
            for i, le in state.leases.items()
        ]
        heapq.heapify(ends)
        while ends and len(starts) < len(waiting):
            at, lease_id = heapq.heappop(ends)
            lease = state.leases[lease_id]
            state.put(Change("cleared", lease=replace(lease, state="ended", cleared=True)))
            for change in grants(state, at):
                assert change.request and change.lease
                starts[change.request.id] = (at, lease)
                heapq.heappush(ends, (change.lease.ends_at, change.lease.id))
    told: dict[int, Forecast] = {}
    for position, request in enumerate(waiting, 1):
        at_lease = starts.get(request.id)
        reason = first[request.id] or _waits(state, request, at_lease and at_lease[1], waiting)
        told[request.id] = Forecast(position, reason, at_lease[0] if at_lease else None)
    return told


def _blocked_by(state: State, request: Request, waiting: list[Request]) -> Reason | None:
    """A limit, missing GPUs, or somebody who came earlier."""
    limit = binding_limit(state, request)
    if limit:
        return limit
    if not state.able(request):
        return reasons.unavailable(_label(state, request), request.pool)
    if place(state, request):
        mine = {gpu.uuid for gpu in state.able(request)}
        ahead = 0
        for other in waiting:
            if other.id == request.id:
                break
            if binding_limit(state, other) is None and mine & {
                gpu.uuid for gpu in state.able(other)
            }:
                ahead += 1
        return reasons.behind(ahead) if ahead else None
    return None


def _waits(state: State, request: Request, ends: Lease | None, waiting: list[Request]) -> Reason:
    known = state.leases.get(ends.id) if ends else None
    if ends is not None and known is None:  # it ends after a request that still waits itself
        ahead = next(i for i, r in enumerate(waiting) if r.id == request.id)
        return reasons.behind(max(ahead, 1))
    free = 0
    while free < request.count and place(state, replace(request, count=free + 1)):
        free += 1
    return reasons.waits_for(free, request.count, _label(state, request), request.pool, known)


def _label(state: State, request: Request) -> str:
    for profile in state.offered(request.pool):
        if profile.name == request.profile:
            return profile.label
    return request.profile

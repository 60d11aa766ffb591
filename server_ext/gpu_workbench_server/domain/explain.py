"""Why a request does not start now: the first of the planner's own tests that it fails."""

from __future__ import annotations

from collections.abc import Sequence

from . import reasons
from .backfill import Promise, barred
from .leases import Lease, Request
from .order import Order
from .placement import place
from .quota import accounts, binding
from .reasons import Reason
from .reservations import Reservation
from .seating import Seat, kept_free, seating
from .state import State


def explain(
    state: State,
    request: Request,
    now: float,
    order: Order,
    everybody: Sequence[Request],
    promises: Sequence[Promise],
    ends: Lease | None,
    booked: int | None = None,
) -> Reason:
    """`ends` is the lease whose end is expected to let it start; it may not be granted yet.
    `booked` is the reservation whose start or end does, where it is one."""
    over = binding(state, request)
    if over:
        return _limited(state, request, *over)
    label = label_of(state, request)
    slots = state.slots(state.key(request))
    if slots.soonest(request.count, request.same_node) is None:
        left = slots.total(request.same_node)
        return reasons.unavailable(label, request.pool, left, request.count)
    waits_for = state.reservations.get(booked) if booked is not None else None
    if waits_for and now < waits_for.start and waits_for.serves(request.user, request.group):
        return reasons.begins(waits_for.id, waits_for.start - now)
    if slots.fits(request.count, request.same_node):
        kept = _kept_for_a_reservation(state, request, now, order, promises)
        if kept is not None:
            return kept
        return _passed_over(state, request, now, order, everybody, promises)
    if waits_for is not None:
        return reasons.reserved(waits_for.id, waits_for.start - now, shorter=False)
    known = state.leases.get(ends.id) if ends else None
    ahead = _ahead(state, request, everybody)
    if ahead and (ends is not None and known is None):
        return _behind(state, request, now, order, ahead)
    free = slots.free
    if request.same_node and free >= request.count:
        return reasons.same_node(free, request.count, label, known)
    return reasons.waits_for(free, request.count, label, request.pool, known, request.id)


def label_of(state: State, request: Request) -> str:
    for profile in state.offered(request.pool):
        if profile.name == request.profile:
            return profile.label
    return request.profile


def _limited(state: State, request: Request, scope: str, held: int, limit: int) -> Reason:
    own = tuple(
        i
        for i, le in state.leases.items()
        if (le.user == request.user if scope == "user" else le.group == request.group)
    )
    return reasons.over_limit(scope, held, limit, own)


def _kept_for_a_reservation(
    state: State, request: Request, now: float, order: Order, promises: Sequence[Promise]
) -> Reason | None:
    """There is room, and a reservation needs it before the request would be through."""
    seats = seating(state, request.pool, now).seats if state.reservations else []
    one = _in_the_way(state, request, seats, now)
    if one is None:
        return None
    shorter = False
    if one.start >= now + 60:
        rank = order.rank(request)
        earlier = [
            p
            for p in promises
            if p.request_id in state.queue and order.rank(state.queue[p.request_id]) < rank
        ]
        with kept_free(state, seats, one.start, now):
            shorter = place(state, request, barred(earlier, one.start)) is not None
    return reasons.reserved(one.id, one.start - now, shorter)


def _in_the_way(
    state: State, request: Request, seats: Sequence[Seat], now: float
) -> Reservation | None:
    """The reservation that, with those before it, leaves no room for a request."""
    until = now + request.seconds
    reservations = {seat.reservation.id: seat.reservation for seat in seats}
    first: list[Seat] = []
    for one in sorted(reservations.values(), key=lambda r: (r.start, r.id)):
        first += [seat for seat in seats if seat.reservation.id == one.id]
        with kept_free(state, first, until, now) as any_kept:
            if any_kept and place(state, request) is None:
                return one
    return None


def _passed_over(
    state: State,
    request: Request,
    now: float,
    order: Order,
    everybody: Sequence[Request],
    promises: Sequence[Promise],
) -> Reason:
    """There is room, and it is kept for somebody else."""
    rank = order.rank(request)
    earlier = [
        one
        for one in promises
        if one.request_id in state.queue and order.rank(state.queue[one.request_id]) < rank
    ]
    soonest = min((one.start for one in earlier), default=now)
    for one in sorted(earlier, key=lambda one: one.start):
        until = now + 60
        if until <= one.start and place(state, request, barred(earlier, one.start)):
            soonest = one.start
    if soonest >= now + 60 and place(state, request, barred(earlier, soonest)):
        return reasons.would_delay(soonest - now)
    ahead = _ahead(state, request, everybody)
    return _behind(state, request, now, order, ahead) if ahead else reasons.starting()


def _ahead(state: State, request: Request, everybody: Sequence[Request]) -> list[Request]:
    """Who goes first on GPUs that the request could use, and is not held up by a limit."""
    key, found = state.key(request), []
    for other in everybody:
        if other.id == request.id:
            break
        if state.meet(key, state.key(other)) and binding(state, other) is None:
            found.append(other)
    return found


def _behind(
    state: State, request: Request, now: float, order: Order, ahead: list[Request]
) -> Reason:
    """What puts the nearest of those ahead before it."""
    other = ahead[-1]
    mine, yours = order.rank(request), order.rank(other)
    if yours.priority != mine.priority:
        return reasons.priority(other.priority)
    if yours.borrows != mine.borrows:
        for one in accounts(state, request.user, request.group, now):
            if one.deserved is not None and not one.within(request.parts):
                return reasons.borrowing(one.scope, one.held, one.deserved)
    mine_paid = accounts(state, request.user, request.group, now)
    if yours.group != mine.group:
        theirs = accounts(state, other.user, other.group, now)[0].share if other.group else 0.0
        return reasons.fair_share("group", mine_paid[0].share if request.group else 0.0, theirs)
    if yours.user != mine.user:
        theirs = accounts(state, other.user, other.group, now)[-1].share
        return reasons.fair_share("user", mine_paid[-1].share, theirs)
    return reasons.behind(len(ahead))

"""Requests inside a reservation: whoever it is for takes its slices while it lasts, ahead of the
queue.

The lease ends with the reservation at the latest, so that whoever waits for its end is not delayed;
it can be extended then like any other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from .decisions import Change
from .granting import granted
from .leases import Request, Slice
from .order import Order
from .placement import place
from .quota import binding
from .reservations import Reservation, of_pool, open_count
from .seating import Seating, kept_free, seating
from .state import State


def claims_inside(state: State, pool: str, now: float) -> Iterator[Change]:
    """Grants from running reservations of a pool, each put into `state`."""
    order = Order(state, now)
    for one in of_pool(state, pool):
        if not one.start <= now < one.end or not open_count(state, one):
            continue
        waiting = [
            state.queue[i]
            for lane, entries in state.lanes
            if lane.shape.gpus[:2] == (pool, one.profile) and one.serves(lane.user, lane.group)
            for _, i in entries
        ]
        for request in sorted(waiting, key=order.rank):
            change = _inside(state, one, request, now)
            if change is not None:
                state.put(change)
                if not one.claimed:
                    one = replace(one, claimed=True)
                    used = Change("claimed", reservation=one, why=f"by request {request.id}")
                    state.put(used)
                    yield used
                yield change


def _inside(state: State, one: Reservation, request: Request, now: float) -> Change | None:
    """The grant of a request from a reservation; None where it has no room for it now."""
    left = one.end - now
    if request.count > open_count(state, one) or binding(state, request):
        return None
    if left < request.seconds and left < state.rules.notice:
        return None  # nobody wants a slice for the last minutes: it waits like any other
    seats = seating(state, one.pool, now)
    slices = _place(state, one, request, seats, now)
    if slices is None:
        return None
    seconds = min(request.seconds, left)
    return granted(request, slices, now, now + seconds, one.id)


def _place(
    state: State, one: Reservation, request: Request, seats: Seating, now: float
) -> tuple[Slice, ...] | None:
    others = [seat for seat in seats.seats if seat.reservation.id != one.id]
    mine = seats.of(one.id)
    shut = {gpu.uuid for gpu in state.able(request) if gpu.uuid not in mine}
    with kept_free(state, others, min(one.end, now + request.seconds), now):
        return place(state, request, shut)

"""Who gives way: borrowed leases, when somebody within a deserved quota needs their GPUs.

As few as will do, and none whose slot the claimant can't use. A lease is first told, and ends after
a grace. There is no ping-pong: only who is within a deserved quota may claim, what is borrowed runs
a minimum time, and nobody gives way where waiting takes hardly longer than the grace.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations

from .decisions import Change
from .leases import Lease, Request
from .placement import place
from .planning import promises, reserved_pools
from .quota import anything_deserved, borrowed, borrows, entitled
from .reservations import of_pool
from .seating import seating
from .state import State

CONSIDERED = 200
"""Borrowed leases looked at for one claimant."""
EXACT = 24
"""Of so many at most, pairs are tried before the greedy choice."""


def claims(state: State, now: float) -> Iterator[Change]:
    """Notices to borrowed leases, each put into `state`; a claimant claims once at a time."""
    rules = state.rules
    if not state.queue or not anything_deserved(state):
        return
    asked = {le.gives_way_to for le in state.leases.values() if le.state != "ended"}
    ripe = _ripe(state, now)
    for one in promises(state, now) if ripe else ():
        claimant = state.queue[one.request_id]
        if claimant.id in asked or one.start <= now + rules.grace + rules.worth:
            continue
        if borrows(state, claimant) or not entitled(state, claimant):
            continue
        for lease in victims(state, claimant, ripe):
            ripe.remove(lease)
            why = f"borrowed; request {claimant.id}, within its quota, needs its GPUs"
            change = notice(lease, claimant.id, now + rules.grace, why)
            state.put(change)
            yield change


def _ripe(state: State, now: float) -> list[Lease]:
    """Borrowed leases that have run long enough, and have long enough to go."""
    rules = state.rules
    return [
        le
        for le in borrowed(state)
        if le.gives_way_to is None
        and now - le.granted_at >= rules.min_run
        and le.ends_at > now + rules.grace + rules.worth
    ]


def notice(lease: Lease, claimant: int, end: float, why: str) -> Change:
    """A lease is to end early; `claimant` is the id of a request or a reservation."""
    leaving = replace(
        lease,
        gives_way_to=claimant,
        declared_end=lease.ends_at,
        ends_at=end,
        noticed=True,
    )
    return Change("notice", lease=leaving, why=why)


def room_for_reservations(state: State, now: float) -> Iterator[Change]:
    """Notices to borrowed leases, held since before the booking, that a reservation needs.

    In time for its start; what is not borrowed it waits for.
    """
    pools = reserved_pools(state)
    if not pools or not anything_deserved(state):
        return
    grace = state.rules.grace
    for pool in pools:
        for one in of_pool(state, pool):
            if now < one.start - grace or now >= one.end:
                continue
            able = {gpu.uuid for gpu in state.able(one.as_request)}
            ripe = [le for le in _ripe(state, now) if any(s.gpu in able for s in le.slices)]
            end = max(now + grace, one.start)
            ripe = [le for le in ripe if le.ends_at > end and not one.serves(le.user, le.group)]
            why = f"borrowed; reservation {one.id} needs its GPUs"
            for lease in _seats_by(state, pool, one.id, ripe, end):
                change = notice(lease, one.id, end, why)
                state.put(change)
                yield change


def _seats_by(
    state: State, pool: str, reservation: int, candidates: Sequence[Lease], end: float
) -> list[Lease]:
    """Leases whose end then gives a reservation seats that it lacks; the newest, no idle victim."""

    def lacks(leaving: Sequence[Lease]) -> int:
        with state.trial():
            for lease in leaving:
                state.put(notice(lease, reservation, end, ""))
            return seating(state, pool, end).missing.get(reservation, 0)

    chosen = sorted(candidates, key=lambda le: (-le.granted_at, -le.id))[:CONSIDERED]
    left, needed = lacks([]), lacks(chosen)
    if needed >= left:
        return []
    for lease in reversed(list(chosen)):  # the oldest stays where it may
        without = [one for one in chosen if one.id != lease.id]
        if lacks(without) == needed:
            chosen = without
    return chosen


def claimant(state: State, lease: Lease) -> str:
    """Whom a lease gives way to, for people."""
    kind = "reservation" if lease.gives_way_to in state.reservations else "request"
    return f"{kind} {lease.gives_way_to}"


def withdrawn(state: State) -> Iterator[Change]:
    """Leases that gave way to a request or reservation which needs them no more keep their end."""
    for lease in list(state.leases.values()):
        if lease.state == "ended" or lease.gives_way_to is None or lease.declared_end is None:
            continue
        if lease.gives_way_to not in state.queue and lease.gives_way_to not in state.reservations:
            kept = replace(
                lease,
                gives_way_to=None,
                declared_end=None,
                ends_at=lease.declared_end,
                noticed=False,
            )
            yield Change("kept", lease=kept, why=f"{lease.gives_way_to} needs it no more")


def victims(state: State, claimant: Request, candidates: Sequence[Lease]) -> list[Lease]:
    """The fewest that make room, the newest of them; empty where all together do not."""
    able = state.slots(state.key(claimant)).gpus
    useful = [
        le
        for le in candidates
        if le.user != claimant.user and any(one.gpu in able for one in le.slices)
    ]
    useful.sort(key=lambda le: (-le.granted_at, -le.id))
    useful = useful[:CONSIDERED]
    if not useful or not _makes_room(state, claimant, useful):
        return []
    for number in (1, 2):
        if number == 1 or len(useful) <= EXACT:
            for few in combinations(useful, number):
                if _makes_room(state, claimant, few):
                    return list(few)
    # Largest first; then whoever is not needed after all may stay, the smallest and oldest first.
    chosen = sorted(useful, key=lambda le: -le.parts)
    for lease in reversed(list(chosen)):
        without = [one for one in chosen if one.id != lease.id]
        if _makes_room(state, claimant, without):
            chosen = without
    return chosen


def _makes_room(state: State, claimant: Request, leaving: Sequence[Lease]) -> bool:
    with state.trial():
        for lease in leaving:
            state.put(Change("cleared", lease=replace(lease, state="ended", cleared=True)))
        return place(state, claimant) is not None

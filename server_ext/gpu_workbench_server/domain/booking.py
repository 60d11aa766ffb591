"""Booking ahead: may this be reserved? Every refusal names the number that binds and what would do.

Looks at what the pool has and at other reservations, not at who holds slices now: those leases end,
or the reservation waits for them (see `seating`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ..errors import BadAsk, NotFound, Reserved, TooLong
from .asks import check_count, check_limits, choose, read
from .decisions import Change
from .fleet import Profile
from .placement import capacity
from .reservations import Reservation, of_pool, open_count
from .seating import seating
from .state import State
from .transitions import moved
from .units import span_of

SHORTEST = 60.0
"""Seconds: anything shorter is over before somebody is there."""
SLACK = 60.0
"""A start so little in the past means now: clocks differ."""


@dataclass(frozen=True, slots=True)
class Booking:
    """A reservation as it came in. No `start`: now; for its owner, where nobody else is named."""

    owner: str
    what: str
    end: float
    count: int = 1
    start: float | None = None
    user: str | None = None
    group: str | None = None
    pool: str | None = None
    same_node: bool = False
    name: str = ""
    key: str | None = None


def book(state: State, wanted: Booking, reservation_id: int, now: float) -> Reservation:
    """The reservation for what is wanted; raises `BadAsk` or a `Refused` where it can't be had."""
    start = _span(state, wanted, now)
    if wanted.user is not None and wanted.group is not None:
        raise BadAsk("A reservation is for a user or for a group, not for both.", "Name one.")
    need = read(wanted.what)
    name = wanted.pool if wanted.pool is not None else next(iter(state.pools))
    pool = state.pools.get(name)
    if pool is None:
        raise NotFound(f"There is no pool {name}.", f"Pools: {', '.join(state.pools)}.")
    profile = choose(need, state.offered(name))
    possible = capacity(state.gpus.values(), pool, profile.name, wanted.same_node)
    check_count(wanted.count, possible, profile, pool)
    parts = profile.parts * wanted.count
    user = wanted.owner if wanted.user is None and wanted.group is None else wanted.user
    payer = user if user is not None else ""
    check_limits(parts, profile.parts, payer, wanted.group, state.limits)
    made = Reservation(
        id=reservation_id,
        owner=wanted.owner,
        user=user,
        group=wanted.group,
        pool=name,
        profile=profile.name,
        what=wanted.what,
        count=wanted.count,
        parts=parts,
        start=start,
        end=wanted.end,
        created_at=now,
        same_node=wanted.same_node,
        min_memory_gb=need.memory_gb,
        name=wanted.name,
        key=wanted.key,
    )
    if not _fits(state, made, now):
        raise _collides(state, made, profile, now)
    return made


def _span(state: State, wanted: Booking, now: float) -> float:
    """When it starts; raises where its times make no sense."""
    start = now if wanted.start is None else wanted.start
    if start < now - SLACK:
        raise BadAsk(
            f"The start is {span_of(now - start)} in the past.", "Begin now, or at a time to come."
        )
    start = max(start, now)
    if wanted.end - start < SHORTEST:
        raise BadAsk(
            "The end is before the start."
            if wanted.end <= start
            else f"A reservation of {span_of(wanted.end - start)} is too short.",
            f"End at least {span_of(SHORTEST)} after the start.",
        )
    rules = state.rules
    if wanted.end - start > rules.book_seconds:
        raise TooLong(
            f"{span_of(wanted.end - start)} is longer than a reservation may be.",
            f"Book at most {span_of(rules.book_seconds)}, and again later.",
        )
    if start - now > rules.book_ahead:
        raise TooLong(
            f"It would begin in {span_of(start - now)}: that is too far ahead.",
            f"Book at most {span_of(rules.book_ahead)} ahead.",
        )
    return start


def _fits(state: State, made: Reservation, now: float) -> bool:
    """Whether the pool has room for it beside all other reservations."""
    return not seating(state, made.pool, now, (made,), empty=True).missing


def _collides(state: State, made: Reservation, profile: Profile, now: float) -> Reserved:
    """What is in the way, and the most that would fit, or the next time when it would."""
    others = [one for one in of_pool(state, made.pool) if one.overlaps(made)]
    each = made.parts // made.count
    most = next(
        (
            fewer
            for fewer in range(made.count - 1, 0, -1)
            if _fits(state, replace(made, count=fewer, parts=each * fewer), now)
        ),
        0,
    )
    hint = f"At most {most} can be booked then." if most else "Nothing is left of that then."
    length = made.end - made.start
    for free in sorted(one.end for one in others):
        if _fits(state, replace(made, start=free, end=free + length), now):
            what = "It is" if made.count == 1 else f"All {made.count} are"
            hint += f" {what} free in {span_of(free - now)}."
            break
    numbers = ", ".join(str(one.id) for one in others)
    whose = f"Reservations {numbers} have" if len(others) > 1 else f"Reservation {numbers} has"
    return Reserved(
        f"{whose} too much of pool {made.pool} for {made.count} × {profile.label} then.", hint
    )


def unbooked(state: State, reservation_id: int) -> Change:
    one = state.reservations.get(reservation_id)
    if one is None:
        raise NotFound(
            f"There is no reservation {reservation_id}, or it is over.", "List the reservations."
        )
    return Change("cancelled", reservation=moved(one, "cancelled"), why="given up by its owner")


def overdue(state: State, now: float) -> Iterator[Change]:
    """Reservations that time ends: over, or used by nobody although it could be."""
    for one in list(state.reservations.values()):
        if now >= one.end:
            yield Change("over", reservation=moved(one, "over"), why="its time is over")
        elif not one.claimed and now >= one.start + state.rules.unclaimed and _unwanted(state, one):
            why = f"nobody used it for {span_of(state.rules.unclaimed)}"
            yield Change("lapsed", reservation=moved(one, "lapsed"), why=why)


def _unwanted(state: State, one: Reservation) -> bool:
    """Nobody whom it is for waits for it."""
    return (
        not any(
            lane.shape.gpus[:2] == (one.pool, one.profile) and one.serves(lane.user, lane.group)
            for lane, _ in state.lanes
        )
        and open_count(state, one) == one.count
    )

"""Reservations on behalf of somebody: who may book, and the calendar. Wire types in and out.

Whether there is room is the domain's to say (`domain.booking`).
"""

from __future__ import annotations

from gpu_workbench import protocol as wire

from ..domain.booking import Booking, book
from ..domain.decisions import Booked, Unbooked
from ..domain.leases import Lease
from ..domain.reservations import Reservation
from ..domain.seating import seating
from ..domain.transitions import moved
from ..domain.units import gpu_units
from ..errors import BadAsk, Forbidden, NotFound
from ..ports import Principal
from .keeper import Keeper
from .policy import Policy
from .views import may_see


def make(keeper: Keeper, policy: Policy, who: Principal, new: wire.NewReservation) -> Reservation:
    """Book it; a key that was used before gives what was booked with it."""
    _may_book(policy, who, new)
    with keeper.lock:
        if new.key:
            known = keeper.store.find_reservation(who.user, new.key)
            if known is not None:
                return known
        now = keeper.now()
        wanted = Booking(
            who.user, new.what, _end(new, now), new.count, new.start, new.user, new.group,
            new.pool, new.same_node, new.name, new.key,
        )  # fmt: skip
        made = book(keeper.state, wanted, keeper.next_id, now)
        keeper.take_id()
        keeper.run(Booked(made), who)
        return made


def cancel(keeper: Keeper, who: Principal, reservation_id: int) -> Reservation:
    """Its owner's or an admin's business; raises `NotFound` where it is not theirs or over."""
    with keeper.lock:
        one = keeper.state.reservations.get(reservation_id)
        if one is None or not may_see(who, one.owner):
            raise NotFound(
                f"There is no reservation {reservation_id} of yours.", "List the reservations."
            )
        keeper.run(Unbooked(reservation_id), who)
        return moved(one, "cancelled")


def shown(keeper: Keeper, who: Principal, one: Reservation, lacks: int = 0) -> wire.Reservation:
    """A reservation as far as the caller may see whose it is."""
    seen = _seen(who, one)
    return wire.Reservation(
        id=one.id,
        state=one.state,
        mine=one.owner == who.user or one.serves(who.user, who.group),
        owner=one.owner if seen else "",
        user=one.user if seen else None,
        group=one.group if seen else None,
        pool=one.pool,
        profile=one.profile,
        what=one.what,
        count=one.count,
        units=gpu_units(one.parts),
        same_node=one.same_node,
        name=one.name if seen else "",
        start=one.start,
        end=one.end,
        created_at=one.created_at,
        held=keeper.state.claimed.get(one.id, 0),
        lacks=lacks,
    )


def listed(keeper: Keeper, who: Principal) -> list[wire.Reservation]:
    """All that are not over, by start."""
    with keeper.lock:
        state, now = keeper.state, keeper.now()
        lacks: dict[int, int] = {}
        for pool in {one.pool for one in state.reservations.values()}:
            lacks |= seating(state, pool, now).missing
        booked = sorted(state.reservations.values(), key=lambda one: (one.start, one.id))
        return [shown(keeper, who, one, lacks.get(one.id, 0)) for one in booked]


def occasions(
    keeper: Keeper, who: Principal, since: float | None, until: float | None
) -> list[wire.Occasion]:
    """Reservations, and leases until their declared ends, that touch the span; by start."""
    with keeper.lock:
        found = [_of_reservation(who, one) for one in keeper.state.reservations.values()]
        found += [_of_lease(who, one) for one in keeper.alive()]
    return sorted(
        (
            one
            for one in found
            if (until is None or one.start < until) and (since is None or one.end > since)
        ),
        key=lambda one: (one.start, one.id),
    )


def _of_reservation(who: Principal, one: Reservation) -> wire.Occasion:
    seen = _seen(who, one)
    whom = (one.user or one.group) if seen else "somebody"
    return wire.Occasion(
        kind="reservation",
        id=one.id,
        mine=one.owner == who.user or one.serves(who.user, who.group),
        title=f"{one.count} × {one.what} reserved for {whom}"
        + (f": {one.name}" if seen and one.name else ""),
        user=one.owner if seen else "",
        pool=one.pool,
        profile=one.profile,
        count=one.count,
        units=gpu_units(one.parts),
        start=one.start,
        end=one.end,
    )


def _of_lease(who: Principal, one: Lease) -> wire.Occasion:
    seen = may_see(who, one.user)
    name = one.holder.name if one.holder else one.name
    return wire.Occasion(
        kind="lease",
        id=one.id,
        mine=one.user == who.user,
        title=f"{one.purpose} {name}".strip() if seen else "held",
        user=one.user if seen else "",
        pool=one.pool,
        profile=one.profile,
        count=len(one.slices),
        units=gpu_units(one.parts),
        start=one.granted_at,
        end=one.ends_at,
    )


def _seen(who: Principal, one: Reservation) -> bool:
    return may_see(who, one.owner) or one.serves(who.user, who.group)


def _end(new: wire.NewReservation, now: float) -> float:
    if (new.end is None) == (new.seconds is None):
        raise BadAsk("A reservation needs its end or its length.", "Give end or seconds, not both.")
    start = now if new.start is None else new.start
    return start + new.seconds if new.end is None else new.end  # type: ignore[operator]


def _may_book(policy: Policy, who: Principal, new: wire.NewReservation) -> None:
    if who.admin:
        return
    if not {who.user, *who.groups} & set(policy.bookers):
        raise Forbidden(
            "You may not book ahead here.",
            "Ask an admin to reserve for you, or for the right to do so (the policy file's "
            "[reservations] by).",
        )
    if new.user not in (None, who.user) or not (new.group is None or new.group in who.groups):
        raise Forbidden(
            f"You may not book for {new.user or new.group}.", "Book for yourself or your own group."
        )

"""`decide(state, event, now) → changes`: the broker's whole mind, with no hands.

Pure as seen from outside: the state is as before when it returns. Whoever calls it commits the
changes to the store first and puts them into the state then.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import assert_never

from ..errors import NotFound, Promised, Reserved, TooLong, WrongState
from .asks import Wanted, check_count, check_limits, check_seconds, choose, read
from .booking import overdue, unbooked
from .decisions import (
    Booked,
    Bound,
    Cancelled,
    Change,
    Cleared,
    Ended,
    Event,
    Extended,
    FleetSeen,
    Metered,
    Submitted,
    Ticked,
    Unbooked,
)
from .fleet import Pool, Profile
from .leases import EndReason, Lease, LedgerEntry, Request
from .placement import capacity
from .planning import grants, grants_to, promises
from .preemption import claimant, claims, room_for_reservations, withdrawn
from .reservations import Reservation, open_count
from .seating import hindered
from .state import State
from .transitions import moved
from .units import span_of


def admit(state: State, wanted: Wanted, request_id: int, now: float) -> Request:
    """The request for what is wanted; raises `BadAsk` or a `Refused` where it can never be had."""
    need = read(wanted.what)
    pool = (
        next(iter(state.pools.values())) if wanted.pool is None else (state.pools.get(wanted.pool))
    )
    if pool is None:
        raise NotFound(f"There is no pool {wanted.pool}.", f"Pools: {', '.join(state.pools)}.")

    def free(one: Profile) -> bool:
        slots = state.slots(state.key_of(pool.name, one.name, need.memory_gb))
        return slots.fits(wanted.count, wanted.same_node)

    profile = choose(need, state.offered(pool.name), free)
    possible = _capacity(state, pool, profile.name, wanted.same_node)
    check_count(wanted.count, possible, profile, pool)
    seconds = check_seconds(wanted.seconds, pool)
    parts = profile.parts * wanted.count
    check_limits(parts, profile.parts, wanted.user, wanted.group, state.limits)
    return Request(
        id=request_id,
        user=wanted.user,
        group=wanted.group,
        what=wanted.what,
        profile=profile.name,
        pool=pool.name,
        count=wanted.count,
        seconds=seconds,
        created_at=now,
        parts=parts,
        min_memory_gb=need.memory_gb,
        same_node=wanted.same_node,
        priority=wanted.priority,
        purpose=wanted.purpose,
        name=wanted.name,
        key=wanted.key,
    )


def _capacity(state: State, pool: Pool, profile: str, same_node: bool) -> int:
    known = state.capacities.get((pool.name, profile, same_node))
    if known is None:
        known = capacity(state.gpus.values(), pool, profile, same_node)
        state.capacities[pool.name, profile, same_node] = known
    return known


def decide(state: State, event: Event, now: float) -> tuple[Change, ...]:
    """All that follows from an event, in order. Raises where the event itself makes no sense."""
    if isinstance(event, FleetSeen):
        state.see(event.gpus)  # what the devices show is a fact, not a decision
    changes: list[Change] = []
    with state.trial():
        for change in _first(state, event, now):
            state.put(change)
            changes.append(change)
        if isinstance(event, Submitted):
            changes.extend(grants_to(state, event.request, now))
        elif not isinstance(event, (Bound, Metered)):
            changes.extend(grants(state, now, _stirred(state, event, changes)))
        if isinstance(event, Ticked):
            changes.extend(claims(state, now))
            changes.extend(room_for_reservations(state, now))
    return tuple(changes)


def _stirred(state: State, event: Event, changes: list[Change]) -> set[str] | None:
    """Pools in which somebody might be served now; None is all of them.

    An end whose slices are not cleared yet frees nothing but what counts for a limit.
    """
    if isinstance(event, (FleetSeen, Ticked)):
        return None
    found: set[str] = set()
    for one in changes:
        if one.lease is None or one.kind != "ended":
            things = (one.lease, one.request, one.reservation)
            found |= {thing.pool for thing in things if thing is not None}
            continue
        user, group = one.lease.user, one.lease.group
        by_user = state.limits.user(user) is not None
        by_group = group is not None and state.limits.group(group) is not None
        for lane, _ in state.lanes if by_user or by_group else ():
            if (by_user and lane.user == user) or (by_group and lane.group == group):
                found.add(lane.shape.gpus[0])
    return found


def _first(state: State, event: Event, now: float) -> Iterator[Change]:
    """What the event itself does, before anybody else is served."""
    match event:
        case Submitted(request):
            yield Change("queued", request, why=f"asked for {request.what}")
        case Cancelled(request_id):
            yield Change("cancelled", moved(_queued(state, request_id), "cancelled"))
        case Booked(reservation):
            whom = reservation.user or reservation.group
            why = f"{reservation.count} × {reservation.what} for {whom}"
            yield Change("booked", reservation=reservation, why=why)
        case Unbooked(reservation_id):
            yield unbooked(state, reservation_id)
        case Bound(lease_id, holder):
            lease = _held(state, lease_id)
            if lease.holder and lease.holder.id != holder.id:
                raise WrongState(
                    f"Lease {lease_id} is already taken by {lease.holder.name}.",
                    "Ask for a slice of your own.",
                )
            yield Change("bound", lease=replace(lease, holder=holder))
        case Extended(lease_id, seconds):
            yield _extended(state, _held(state, lease_id), seconds, now)
        case Ended(lease_id, reason):
            yield ended(_held(state, lease_id), reason, now)
        case Cleared(lease_id):
            lease = _known(state, lease_id)
            yield Change("cleared", lease=replace(lease, cleared=True))
        case Metered(used):
            for lease_id, so_far in used.items():
                if lease_id in state.leases:
                    lease = replace(state.leases[lease_id], used_gpu_seconds=so_far)
                    yield Change("metered", lease=lease)
        case FleetSeen():
            lost = {gpu.uuid for gpu in state.gpus.values() if gpu.health == "lost"}
            for lease in list(state.leases.values()):
                if lease.state != "ended" and any(one.gpu in lost for one in lease.slices):
                    yield ended(lease, "lost", now, "its GPU is lost")
        case Ticked(beats):
            for lease in list(state.leases.values()):
                over = _over(state, lease, beats, now)
                if over:
                    yield ended(lease, over[0], now, over[1])
                elif _ends_soon(state, lease, now):
                    left = f"{lease.ends_at - now:.0f} s"
                    yield Change(
                        "notice", lease=replace(lease, noticed=True), why=f"ends in {left}"
                    )
            yield from overdue(state, now)
            yield from withdrawn(state)
        case _:
            assert_never(event)


def _over(
    state: State, lease: Lease, beats: Mapping[int, float], now: float
) -> tuple[EndReason, str] | None:
    """Whether time alone ends a lease, and why."""
    if lease.state == "ended":
        return None
    if now >= lease.ends_at:
        if lease.gives_way_to is not None:
            return "preempted", f"it was borrowed and {claimant(state, lease)} needs its GPUs"
        return "expired", "its time is over"
    if lease.holder is None:
        claim = state.pools[lease.pool].claim_seconds if lease.pool in state.pools else 600
        if now >= lease.granted_at + claim:
            return "reclaimed", f"nobody took it for {claim} s"
    elif now >= beats.get(lease.id, now + 1):
        return "lost", "its heartbeat stopped"
    return None


def _ends_soon(state: State, lease: Lease, now: float) -> bool:
    """Time to tell its holder, once; a lease shorter than two notices needs none."""
    ahead = state.rules.notice
    if lease.noticed or lease.state == "ended" or lease.holder is None:
        return False
    return lease.ends_at - ahead <= now and lease.ends_at - lease.granted_at > 2 * ahead


def ended(lease: Lease, reason: EndReason, now: float, why: str = "") -> Change:
    """The end of a lease, with its one ledger entry. Its slices stay taken until cleared."""
    end = max(now, lease.granted_at)
    entry = LedgerEntry(
        lease.id, lease.user, lease.group, lease.pool, lease.profile, lease.purpose, lease.name,
        lease.parts, lease.granted_at, end, reason, lease.used_gpu_seconds,
        lease.declared_seconds,
    )  # fmt: skip
    over = moved(lease, "ended", ended_at=end, end_reason=reason)
    return Change("ended", lease=over, ledger=entry, why=why or reason)


def _extended(state: State, lease: Lease, seconds: int, now: float) -> Change:
    most = state.pools[lease.pool].max_seconds if lease.pool in state.pools else 0
    if seconds < 1:
        raise WrongState(f"A lease can't be extended by {seconds} s.", "Give a positive time.")
    if lease.gives_way_to is not None:
        raise Promised(
            f"Lease {lease.id} is borrowed, and {claimant(state, lease)} is to have its GPUs.",
            "Save your work now, and ask for a new slice.",
        )
    until = lease.ends_at + seconds
    if until > now + most:
        raise TooLong(
            f"That would be more than {most / 3600:g} h from now.",
            f"Extend by at most {max(0, now + most - lease.ends_at) / 3600:.1f} h.",
        )
    on = {one.gpu for one in lease.slices}
    for other in promises(state, now) if state.queue else ():
        waiting = state.queue[other.request_id]
        if on & other.gpus and other.bars(until) and waiting.user != lease.user:
            free = int(max(0.0, other.start - lease.ends_at))
            raise Promised(
                f"Request {waiting.id} waits for these GPUs and is to have them when this ends.",
                f"Extend by at most {free} s, or ask for a new slice."
                if free
                else "Ask for a new slice: then you stand in the queue too.",
            )
    longer = replace(lease, ends_at=until, noticed=False)
    booked = hindered(state, lease.pool, now, longer)
    if booked is not None and _goes_over(state, longer, booked):
        longer = replace(longer, reservation=booked.id)
        booked = hindered(state, lease.pool, now, longer)
    if booked is not None:
        free = int(max(0.0, booked.start - lease.ends_at))
        raise Reserved(
            f"These GPUs are reserved in {span_of(max(0.0, booked.start - now))} "
            f"(reservation {booked.id}).",
            f"Extend by at most {free} s, or ask for a new slice."
            if free
            else "Save your work, and ask for a new slice.",
        )
    return Change("extended", lease=longer, why=f"by {seconds} s")


def _goes_over(state: State, lease: Lease, one: Reservation) -> bool:
    """Whether a lease that runs into a reservation may go on as part of it."""
    return (
        one.serves(lease.user, lease.group)
        and lease.profile == one.profile
        and lease.reservation is None
        and len(lease.slices) <= open_count(state, one)
        and lease.ends_at <= one.end
    )


def _queued(state: State, request_id: int) -> Request:
    if request_id not in state.queue:
        raise NotFound(f"Request {request_id} doesn't wait any more.", "Look at your leases.")
    return state.queue[request_id]


def _known(state: State, lease_id: int) -> Lease:
    if lease_id not in state.leases:
        raise NotFound(f"There is no lease {lease_id}, or it is over.", "Ask for a new slice.")
    return state.leases[lease_id]


def _held(state: State, lease_id: int) -> Lease:
    lease = _known(state, lease_id)
    if lease.state == "ended":
        raise WrongState(f"Lease {lease_id} has ended.", "Ask for a new slice.")
    return lease

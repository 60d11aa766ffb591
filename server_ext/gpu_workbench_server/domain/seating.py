"""Where reservations would sit: slots that are free by their start, and what that leaves to others.

A seat is chosen anew each time, from leases and GPUs as they are: of those to come on slots that
are free latest (what is free now serves others until then), of a running one on what is free now.
A request may run over a seat only until the reservation begins. So backfill may use everything
until then, and nobody is in the way who was not there when it was booked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby

from .decisions import Change
from .fleet import Gpu, SliceKind
from .leases import Lease, Slice
from .reservations import Reservation, of_pool, open_count
from .slots import FREE
from .state import State
from .units import PARTS


@dataclass(frozen=True, slots=True)
class Seat:
    """One slice of a reservation: on a GPU, or one instance of it."""

    reservation: Reservation
    gpu: str
    parts: int
    instance: str | None = None


@dataclass(slots=True)
class Seating:
    """The seats of one pool's reservations, and how many slices each could not be given."""

    seats: list[Seat] = field(default_factory=list)
    missing: dict[int, int] = field(default_factory=dict)
    """By reservation; those that have all their seats are not in it."""

    @property
    def lacking(self) -> int:
        return sum(self.missing.values())

    def of(self, reservation_id: int) -> set[str]:
        """GPUs that a reservation sits on."""
        return {seat.gpu for seat in self.seats if seat.reservation.id == reservation_id}


def leaves(state: State, lease: Lease) -> float:
    """When a lease is out of the way; what gives way to a request may be kept after all."""
    if lease.ended_at is not None:
        return lease.ended_at
    kept = lease.gives_way_to is not None and lease.gives_way_to not in state.reservations
    return lease.declared_end if kept and lease.declared_end is not None else lease.ends_at


def seating(
    state: State, pool: str, now: float, extra: Iterable[Reservation] = (), empty: bool = False
) -> Seating:
    """Seats for all reservations of a pool, and for `extra` ones, the largest slices first.

    `empty`: as if nobody held anything and every GPU were in service, for what is not booked yet.
    """
    found, taken = Seating(), dict[str, list[Seat]]()
    booked = [one for one in (*of_pool(state, pool), *extra) if one.end > now]
    for one in sorted(booked, key=lambda r: (-r.parts // r.count, r.start, r.id)):
        need = one.count if empty else open_count(state, one)
        for seat in _places(state, one, max(one.start, now), need, taken, empty):
            taken.setdefault(seat.gpu, []).append(seat)
            found.seats.append(seat)
            need -= 1
        if need:
            found.missing[one.id] = need
    return found


def _places(
    state: State,
    one: Reservation,
    at: float,
    need: int,
    taken: dict[str, list[Seat]],
    empty: bool,
) -> list[Seat]:
    """As many of the needed seats as there are at a moment, best first."""
    each = one.parts // one.count
    rooms: list[tuple[Gpu, list[tuple[float, str | None]]]] = []
    for gpu in _gpus(state, one, empty):
        there = [seat for seat in taken.get(gpu.uuid, ()) if seat.reservation.overlaps(one)]
        leases = [] if empty else [state.leases[i] for i in state.use[gpu.uuid].leases]
        room = _room(state, one, gpu, each, at, leases, there)
        if room:
            rooms.append((gpu, room))
    if one.same_node:
        rooms = _one_node(rooms, need)
    later = one.start if at == one.start else None

    def rank(entry: tuple[Gpu, list[tuple[float, str | None]]]) -> tuple[int, float]:
        """The fullest first, then what is free latest; a running one takes what is free."""
        _, room = entry
        return len(room), -room[0][0] if later is not None else room[-1][0]

    seats: list[Seat] = []
    for gpu, room in sorted(rooms, key=rank):  # ties by node and index, as the fleet is sorted
        ordered = room if later is not None else room[::-1]
        for _, instance in ordered[: need - len(seats)]:
            seats.append(Seat(one, gpu.uuid, each, instance))
        if len(seats) >= need:
            break
    return seats


def _gpus(state: State, one: Reservation, empty: bool) -> Iterable[Gpu]:
    if not empty:
        return state.able(one.as_request)
    return [
        gpu
        for gpu in state.gpus.values()
        if gpu.pool == one.pool
        and (cut := state.profile_on(gpu, one.profile))
        and cut.memory_gb >= one.min_memory_gb
    ]


def _room(
    state: State,
    one: Reservation,
    gpu: Gpu,
    each: int,
    at: float,
    leases: list[Lease],
    there: list[Seat],
) -> list[tuple[float, str | None]]:
    """The slots of a GPU that are free at a moment: since when, and the instance; latest first."""
    if gpu.mig:
        holders = {s.instance: leaves(state, le) for le in leases for s in le.slices}
        seated = {seat.instance for seat in there}
        slots = [
            (holders.get(i.uuid, FREE), i.uuid)
            for i in gpu.instances
            if f"mig-{i.profile}" == one.profile and i.uuid not in seated
        ]
        return sorted(((t, i) for t, i in slots if t <= at), key=lambda slot: -slot[0])
    gone = sorted((leaves(state, le), s.parts) for le in leases for s in le.slices
                  if s.gpu == gpu.uuid)  # fmt: skip
    free = PARTS - sum(parts for _, parts in gone) - _peak(there, one.start)
    slots_at: list[tuple[float, str | None]] = [(FREE, None)] * max(0, free // each)
    for time, parts in gone:
        free += parts
        if time <= at:
            slots_at += [(time, None)] * (max(0, free // each) - len(slots_at))
    return slots_at[::-1]


def _peak(seats: list[Seat], since: float) -> int:
    """The most parts that seats take together at any one time from then on."""
    return max(
        (
            sum(s.parts for s in seats if s.reservation.start <= at < s.reservation.end)
            for at in {max(since, seat.reservation.start) for seat in seats}
        ),
        default=0,
    )


def _one_node(
    rooms: list[tuple[Gpu, list[tuple[float, str | None]]]], need: int
) -> list[tuple[Gpu, list[tuple[float, str | None]]]]:
    """The rooms of one node: of the smallest that suffices, else of the largest."""
    best: list[tuple[Gpu, list[tuple[float, str | None]]]] = []
    most = 0
    for _, group in groupby(rooms, key=lambda entry: entry[0].node):
        here = list(group)
        total = sum(len(room) for _, room in here)
        if not best or (total < most if min(total, most) >= need else total > most):
            best, most = here, total
    return best


# --- what that leaves to others -----------------------------------------------------------------


@contextmanager
def kept_free(state: State, seats: Iterable[Seat], until: float, now: float) -> Iterator[bool]:
    """Inside, seats that something would sit on which runs until then count as taken.

    Says whether there are any. What changes in the state meanwhile stays.
    """
    there = list(_stand_ins(state, [s for s in seats if s.reservation.start < until], now))
    with state.holding(there):
        yield bool(there)


def _stand_ins(state: State, seats: list[Seat], now: float) -> Iterator[Lease]:
    """Ended leases that stay on the seats until their reservations end."""
    on: dict[str, list[Seat]] = {}
    for seat in seats:
        on.setdefault(seat.gpu, []).append(seat)
    for number, (uuid, here) in enumerate(on.items(), 1):
        gpu = state.gpus[uuid]
        if gpu.mig:
            used = state.use[uuid].instances
            shut = [(seat.parts, seat.instance, seat) for seat in here if seat.instance not in used]
        else:
            parts = _needed(state, gpu, here, now)
            shut = [(parts, None, here[0])] if parts > 0 else []
        if shut:
            slices = tuple(_slice(gpu, *one) for one in shut)
            yield _stand_in(-number, slices, max(seat.reservation.end for seat in here), now)


def _needed(state: State, gpu: Gpu, seats: list[Seat], now: float) -> int:
    """Parts of a GPU that must stay free now, so that each seat finds its place at its start."""
    held = [
        (leaves(state, state.leases[i]), sum(s.parts for s in state.leases[i].slices
                                             if s.gpu == gpu.uuid))
        for i in state.use[gpu.uuid].leases
    ]  # fmt: skip
    spare = min(
        PARTS
        - sum(parts for end, parts in held if end > at)
        - sum(s.parts for s in seats if s.reservation.start <= at < s.reservation.end)
        for at in {max(now, seat.reservation.start) for seat in seats}
    )
    return state.free_parts(gpu) - max(0, spare)


def _slice(gpu: Gpu, parts: int, instance: str | None, seat: Seat) -> Slice:
    kind: SliceKind = "mig" if instance else "fraction"
    number = f"reserved {seat.reservation.id}"
    return Slice(number, gpu.uuid, seat.reservation.profile, kind, parts, 0, "simulated", "",
                 instance)  # fmt: skip


def _stand_in(number: int, slices: tuple[Slice, ...], end: float, now: float) -> Lease:
    parts = sum(one.parts for one in slices)
    return Lease(
        number, "", None, "", "", slices, parts, "kernel", "", now, end, "ended", ended_at=end
    )


def hindered(state: State, pool: str, now: float, change: Lease) -> Reservation | None:
    """The first reservation that would lack slices if a lease were as given; None where none."""
    if not of_pool(state, pool):
        return None
    before = seating(state, pool, now)
    with state.trial():
        state.put(Change("extended", lease=change))
        after = seating(state, pool, now)
    if _parts_lacking(state, after) <= _parts_lacking(state, before):
        return None
    worse = [i for i, lacks in after.missing.items() if lacks > before.missing.get(i, 0)]
    return min((state.reservations[i] for i in worse), key=lambda r: (r.start, r.id), default=None)


def _parts_lacking(state: State, found: Seating) -> int:
    booked = state.reservations
    return sum(n * booked[i].parts // booked[i].count for i, n in found.missing.items())

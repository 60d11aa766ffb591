"""A cluster's seats: which slices it asks for and which it gives back, as one pure function.

A seat is a worker's place: one request for one slice, which is its lease once it is granted. So a
cluster grows through the queue like anybody, starts with what it has, and shrinks by any slice.
Level-triggered like all of a cluster: it looks at what is, never at what happened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from .leases import EndReason, RequestState


@dataclass(frozen=True, slots=True)
class Seat:
    request_id: int
    leased: bool = False
    """Its request was granted: there is a lease to give back."""
    leaving_since: float | None = None
    """Its worker moves its data away and ends; then the slice is given back."""


@dataclass(frozen=True, slots=True)
class SeatFacts:
    """What can be seen of a seat now."""

    request: RequestState
    ended: EndReason | None = None
    """Why its lease ended."""
    waits_for: str = ""
    """Why its request waits or was denied, in a sentence."""
    load: tuple[int, int] = (0, 0)
    """Tasks and bytes on its worker: the seat with the least is the first to leave."""
    occupied: bool = False
    """A worker is on it, or comes."""


@dataclass(frozen=True, slots=True)
class SeatPlan:
    """`seats` as they are from now on, and what to do about them.

    What is cancelled or released stays a seat until it is seen to be over: so nothing is lost where
    the server is killed between writing down and doing.
    """

    seats: tuple[Seat, ...]
    wanted: int
    """How many workers are wanted from now on: less where leases ended by themselves."""
    ask: int = 0
    cancel: tuple[int, ...] = ()
    release: tuple[int, ...] = ()
    over: tuple[EndReason, ...] = ()
    """Why leases ended that were not to."""
    refused: str = ""
    """Why a request is over that was never granted."""
    waits_for: str = ""
    """For what the first of the waiting waits."""


def plan_seats(
    seats: tuple[Seat, ...],
    facts: Mapping[int, SeatFacts],
    wanted: int,
    now: float,
    patience: float = 30.0,
) -> SeatPlan:
    """What to do for `wanted` workers.

    `patience` is in seconds: so long a leaving worker may move its data, then its slice is given
    back all the same and what still runs on it is ended with the lease.
    """
    kept: list[Seat] = []
    over: list[EndReason] = []
    refused = ""
    for seat in seats:
        seen = facts[seat.request_id]
        leaves = seat.leaving_since is not None
        if seen.ended is not None:
            over += [] if leaves else [seen.ended]
        elif seen.request in ("denied", "cancelled", "expired"):
            if not leaves:
                refused = seen.waits_for or f"its request was {seen.request}"
                wanted -= 1
        else:
            kept.append(replace(seat, leased=seen.request == "granted"))
    wanted = max(0, wanted - len(over))
    staying = [one for one in kept if one.leaving_since is None]
    going = set(_first_to_go(staying, facts)[: max(0, len(staying) - wanted)])
    after = tuple(replace(one, leaving_since=now) if one in going else one for one in kept)
    leaving = [(one, one.leaving_since) for one in after if one.leaving_since is not None]
    waiting = [one for one in after if not one.leased and one.leaving_since is None]
    return SeatPlan(
        after,
        wanted,
        ask=max(0, wanted - len(staying)),
        cancel=tuple(one.request_id for one, _ in leaving if not one.leased),
        release=tuple(
            one.request_id
            for one, since in leaving
            if one.leased and (not facts[one.request_id].occupied or now - since >= patience)
        ),
        over=tuple(over),
        refused=refused,
        waits_for=facts[waiting[0].request_id].waits_for if waiting else "",
    )


def _first_to_go(seats: list[Seat], facts: Mapping[int, SeatFacts]) -> list[Seat]:
    """Who still waits, newest first; then whose worker has the least to do and to move."""
    newest_first = sorted(seats, key=lambda one: -one.request_id)
    return sorted(newest_first, key=lambda one: (one.leased, facts[one.request_id].load))

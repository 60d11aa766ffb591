"""Events in, changes out: the vocabulary of `decide`.

A `Change` carries the whole new version of a request or lease, so that the store upserts it, the
state takes it in, and nobody needs to know how it came about.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from .fleet import Gpu
from .leases import EndReason, Holder, Lease, LedgerEntry, Request
from .reservations import Reservation

Kind = Literal[
    "queued", "granted", "denied", "cancelled", "expired",
    "extended", "bound", "ended", "cleared", "metered",
    "notice", "kept",
    "booked", "claimed", "over", "lapsed",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Change:
    """One decision. `why` is for the audit trail, in a sentence.

    A `notice` tells a lease that it ends soon, or early (`gives_way_to`); `kept` takes that back.
    """

    kind: Kind
    request: Request | None = None
    lease: Lease | None = None
    ledger: LedgerEntry | None = None
    why: str = ""
    reservation: Reservation | None = None


@dataclass(frozen=True, slots=True)
class Submitted:
    """A request that passed `admission.admit`."""

    request: Request


@dataclass(frozen=True, slots=True)
class Cancelled:
    request_id: int


@dataclass(frozen=True, slots=True)
class Booked:
    """A reservation that passed `booking.book`."""

    reservation: Reservation


@dataclass(frozen=True, slots=True)
class Unbooked:
    reservation_id: int


@dataclass(frozen=True, slots=True)
class Bound:
    """A holder takes a lease (or replaces its holder: a kernel that restarted)."""

    lease_id: int
    holder: Holder


@dataclass(frozen=True, slots=True)
class Extended:
    lease_id: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Ended:
    """A lease ends: given back, or taken. `used` in GPU-seconds, where measured."""

    lease_id: int
    reason: EndReason


@dataclass(frozen=True, slots=True)
class Cleared:
    """The devices show no process on the lease's slices any more."""

    lease_id: int


@dataclass(frozen=True, slots=True)
class Metered:
    """GPU-seconds used so far, per lease."""

    used: Mapping[int, float]


@dataclass(frozen=True, slots=True)
class FleetSeen:
    """The devices as they are now."""

    gpus: tuple[Gpu, ...]


@dataclass(frozen=True, slots=True)
class Ticked:
    """Time passed: ends, lapsed heartbeats and unclaimed leases are looked at.

    `beats` says until when each lease's heartbeat is good; a missing one is good.
    """

    beats: Mapping[int, float]


Event = (
    Submitted
    | Cancelled
    | Booked
    | Unbooked
    | Bound
    | Extended
    | Ended
    | Cleared
    | Metered
    | FleetSeen
    | Ticked
)

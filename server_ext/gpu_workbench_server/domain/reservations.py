"""Reservations: slices of one profile, booked from–to for a user or a group. Frozen records.

Knows who may use one and when; where its slices would be is `seating`'s business, and whether it
may be booked at all `booking`'s.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from .leases import Request

if TYPE_CHECKING:
    from .state import State

ReservationState = Literal["booked", "over", "cancelled", "lapsed"]


@dataclass(frozen=True, slots=True)
class Reservation:
    """Times in seconds since the epoch; it holds from `start` until just before `end`."""

    id: int
    owner: str
    """Who booked it."""
    user: str | None
    group: str | None
    """For whom: this user, or everybody whose requests this group pays; one of the two is set."""
    pool: str
    profile: str
    what: str
    count: int
    parts: int
    """Of all `count` slices together."""
    start: float
    end: float
    created_at: float
    same_node: bool = False
    min_memory_gb: float = 0.0
    name: str = ""
    key: str | None = None
    claimed: bool = False
    """Somebody has held a slice of it."""
    state: ReservationState = "booked"

    def serves(self, user: str, group: str | None) -> bool:
        """Whether it is for a request of this user, paid by this group."""
        return user == self.user or (group is not None and group == self.group)

    def overlaps(self, other: Reservation) -> bool:
        return self.start < other.end and other.start < self.end

    @property
    def as_request(self) -> Request:
        """What it asks of the GPUs, as a request that nobody made."""
        return Request(
            self.id, self.user or "", self.group, self.what, self.profile, self.pool, self.count,
            int(self.end - self.start), self.created_at, self.parts, self.min_memory_gb,
            self.same_node,
        )  # fmt: skip


def open_count(state: State, one: Reservation) -> int:
    """Slices of it that nobody holds."""
    return max(0, one.count - state.claimed.get(one.id, 0))


def of_pool(state: State, pool: str) -> list[Reservation]:
    """Those of a pool that are not over, by start."""
    found = [one for one in state.reservations.values() if one.pool == pool]
    return sorted(found, key=lambda one: (one.start, one.id))


def moments(state: State, now: float) -> Iterator[tuple[int, float]]:
    """When reservations will begin and end, with their ids."""
    for one in state.reservations.values():
        yield from ((one.id, at) for at in (one.start, one.end) if at > now)

"""Slices booked ahead, and the calendar of what is taken until when."""

from __future__ import annotations

from typing import Literal

from .base import Wire

ReservationState = Literal["booked", "over", "cancelled", "lapsed"]


class NewReservation(Wire, frozen=True, kw_only=True):
    """Body of `POST /reservations`. Times in seconds since the epoch."""

    what: str
    """As in a request: a memory ("20GB"), a share, a profile or "gpu"."""
    count: int = 1
    start: float | None = None
    """None is now."""
    end: float | None = None
    seconds: float | None = None
    """In place of `end`: how long it lasts."""
    user: str | None = None
    group: str | None = None
    """For whom: a user, or everybody whose requests this group pays. Neither: the caller."""
    pool: str | None = None
    same_node: bool = False
    name: str = ""
    key: str | None = None
    """Chosen by the client: booking again with the same key returns the same reservation."""


class Reservation(Wire, frozen=True, kw_only=True):
    """Slices that are kept for somebody from `start` until `end`."""

    id: int
    state: ReservationState
    mine: bool
    """It is for the caller, or the caller booked it."""
    owner: str
    """Who booked it; blank, as whom it is for, where that is nobody the caller may see."""
    user: str | None
    group: str | None
    pool: str
    profile: str
    what: str
    count: int
    units: float
    same_node: bool
    name: str
    start: float
    end: float
    created_at: float
    held: int = 0
    """Slices of it that somebody holds now."""
    lacks: int = 0
    """Slices that it can't be given at its start, as things stand: leases from before are there."""


class Reservations(Wire, frozen=True, kw_only=True):
    reservations: list[Reservation]


class Occasion(Wire, frozen=True, kw_only=True):
    """One entry of the calendar: a reservation, or a lease until its declared end."""

    kind: Literal["reservation", "lease"]
    id: int
    mine: bool
    title: str
    user: str
    """Whose lease, or who booked; blank where that is nobody the caller may see."""
    pool: str
    profile: str
    count: int
    units: float
    start: float
    end: float


class Calendar(Wire, frozen=True, kw_only=True):
    """What is taken from when until when, by start."""

    occasions: list[Occasion]

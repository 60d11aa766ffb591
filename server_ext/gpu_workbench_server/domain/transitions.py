"""What may follow what: one table, from which the diagrams in the docs are generated."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from ..errors import WrongState
from .leases import Lease, Request
from .reservations import Reservation

REQUEST: dict[str, frozenset[str]] = {
    "queued": frozenset({"granted", "denied", "cancelled", "expired"}),
    "granted": frozenset(),
    "denied": frozenset(),
    "cancelled": frozenset(),
    "expired": frozenset(),
}

LEASE: dict[str, frozenset[str]] = {
    "active": frozenset({"asleep", "ended"}),
    "asleep": frozenset({"active", "ended"}),
    "ended": frozenset(),
}

RESERVATION: dict[str, frozenset[str]] = {
    "booked": frozenset({"over", "cancelled", "lapsed"}),
    "over": frozenset(),
    "cancelled": frozenset(),
    "lapsed": frozenset(),
}

CLUSTER: dict[str, frozenset[str]] = {
    "waiting": frozenset({"starting", "stopping", "ended", "failed"}),
    "starting": frozenset({"running", "stopping", "ended", "failed"}),
    "running": frozenset({"stopping", "ended", "failed"}),
    "stopping": frozenset({"ended", "failed"}),
    "ended": frozenset(),
    "failed": frozenset(),
}

JOB: dict[str, frozenset[str]] = {
    "waiting": frozenset({"starting", "stopping", "stopped", "failed", "lost"}),
    "starting": frozenset(
        {"waiting", "running", "stopping", "succeeded", "failed", "stopped", "lost"}
    ),
    # back, where a lost rank is replaced or it goes on with fewer
    "running": frozenset(
        {"waiting", "starting", "stopping", "succeeded", "failed", "stopped", "lost"}
    ),
    "stopping": frozenset({"stopped", "succeeded", "failed", "lost"}),
    "succeeded": frozenset(),
    "failed": frozenset(),
    "stopped": frozenset(),
    "lost": frozenset(),
}

TABLES = {
    "request": REQUEST,
    "lease": LEASE,
    "reservation": RESERVATION,
    "cluster": CLUSTER,
    "job": JOB,
}

_T = TypeVar("_T", Request, Lease, Reservation)
_NOUNS: dict[type, str] = {Request: "request", Lease: "lease", Reservation: "reservation"}


def check(table: dict[str, frozenset[str]], noun: str, was: str, will: str) -> None:
    """Raise `WrongState` where `will` may not follow `was`."""
    if will not in table[was]:
        raise WrongState(
            f"This {noun} is {was}: it can't become {will}.",
            f"From {was} it can become: {', '.join(sorted(table[was])) or 'nothing, it is over'}.",
        )


def moved(thing: _T, state: str, **changes: object) -> _T:
    """The same request, lease or reservation in its next state."""
    noun = _NOUNS[type(thing)]
    check(TABLES[noun], noun, thing.state, state)
    return replace(thing, state=state, **changes)  # type: ignore[arg-type]

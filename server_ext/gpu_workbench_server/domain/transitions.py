"""What may follow what: one table, from which the diagrams in the docs are generated."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from ..errors import WrongState
from .leases import Lease, Request

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
    "starting": frozenset({"running", "stopping", "succeeded", "failed", "stopped", "lost"}),
    "running": frozenset({"stopping", "succeeded", "failed", "stopped", "lost"}),
    "stopping": frozenset({"stopped", "succeeded", "failed", "lost"}),
    "succeeded": frozenset(),
    "failed": frozenset(),
    "stopped": frozenset(),
    "lost": frozenset(),
}

TABLES = {"request": REQUEST, "lease": LEASE, "cluster": CLUSTER, "job": JOB}

_T = TypeVar("_T", Request, Lease)


def check(table: dict[str, frozenset[str]], noun: str, was: str, will: str) -> None:
    """Raise `WrongState` where `will` may not follow `was`."""
    if will not in table[was]:
        raise WrongState(
            f"This {noun} is {was}: it can't become {will}.",
            f"From {was} it can become: {', '.join(sorted(table[was])) or 'nothing, it is over'}.",
        )


def moved(thing: _T, state: str, **changes: object) -> _T:
    """The same request or lease in its next state."""
    table, noun = (REQUEST, "request") if isinstance(thing, Request) else (LEASE, "lease")
    check(table, noun, thing.state, state)
    return replace(thing, state=state, **changes)  # type: ignore[arg-type]

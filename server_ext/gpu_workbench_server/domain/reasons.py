"""Why a request waits: a closed list of codes, each with a sentence for people."""

from __future__ import annotations

from dataclasses import dataclass

from .leases import Lease
from .units import show_units

CODES: dict[str, str] = {
    "user_limit": "The user holds as much as the user's limit allows.",
    "group_limit": "The group holds as much as the group's limit allows.",
    "gpus_unavailable": "Too few of the GPUs it could use are in service: drained or lost.",
    "clearing": "A lease has ended and its last processes are being ended.",
    "giving_way": "A borrowed lease has been asked to give way for it.",
    "same_node": "Enough slices are free, but not on one node.",
    "waits_for_slices": "Too few slices of the profile are free; it waits for leases to end.",
    "reserved": "The GPUs it could use are reserved for somebody else.",
    "would_delay": "It would still run when an earlier request needs the GPUs; shorter would fit.",
    "priority": "A request with a higher priority goes first.",
    "borrowing": "It asks for more than is deserved; who asks for less than that goes first.",
    "fair_share": "Somebody who has had less of the GPUs goes first.",
    "behind_others": "Earlier requests can use the same GPUs and go first.",
    "starting": "It can start now.",
}


@dataclass(frozen=True, slots=True)
class Reason:
    """`code` is one of `CODES`; `waits_for` are ids of leases. `held` and `limit` are the parts
    that bind, `reservation` the id of what it waits for, where there is one."""

    code: str
    sentence: str
    waits_for: tuple[int, ...] = ()
    held: int | None = None
    limit: int | None = None
    reservation: int | None = None


def over_limit(scope: str, held: int, limit: int, own: tuple[int, ...]) -> Reason:
    whose = "your" if scope == "user" else "your group's"
    who = "You hold" if scope == "user" else "Your group holds"
    return Reason(
        f"{scope}_limit",
        f"{who} {show_units(held)} GPU of {whose} limit of {show_units(limit)}; "
        "this starts when some of that is given back.",
        own,
        held,
        limit,
    )


def waits_for(
    free: int, count: int, label: str, pool: str, ends: Lease | None, request_id: int
) -> Reason:
    """`ends` is the lease whose end lets it start, where that is known."""
    need = f"{label} in pool {pool}" if count == 1 else f"{count - free} of {count} × {label}"
    if ends is None:
        return Reason("waits_for_slices", f"Waits for {need}; all of them are taken.")
    if ends.state == "ended":
        return Reason(
            "clearing",
            f"Waits for {need}: lease {ends.id} has ended and its last processes are being ended.",
            (ends.id,),
        )
    if ends.gives_way_to == request_id:
        return Reason(
            "giving_way",
            f"Waits for {need}: lease {ends.id} was borrowed and has been asked to give way.",
            (ends.id,),
        )
    return Reason("waits_for_slices", f"Waits for {need}, when lease {ends.id} ends.", (ends.id,))


def same_node(free: int, count: int, label: str, ends: Lease | None) -> Reason:
    return Reason(
        "same_node",
        f"{free} × {label} are free, but no node has {count} of them together.",
        (ends.id,) if ends else (),
    )


def behind(ahead: int) -> Reason:
    return Reason(
        "behind_others",
        "An earlier request goes first." if ahead == 1 else f"{ahead} earlier requests go first.",
    )


def priority(ahead: int) -> Reason:
    return Reason("priority", f"A request with priority {ahead} goes first.")


def borrowing(whose: str, held: int, deserved: int) -> Reason:
    who = "You hold" if whose == "user" else "Your group holds"
    return Reason(
        "borrowing",
        f"{who} {show_units(held)} GPU of {show_units(deserved)} deserved: this would be borrowed, "
        "and who is within the quota goes first.",
        held=held,
        limit=deserved,
    )


def fair_share(whose: str, share: float, other: float) -> Reason:
    who = "Your" if whose == "user" else "Your group's"
    return Reason(
        "fair_share",
        f"{who} share of late is {share:.2f} of the quota; a request with {other:.2f} goes first.",
    )


def would_delay(seconds: float) -> Reason:
    return Reason(
        "would_delay",
        f"It would still run when an earlier request needs the GPUs, in {_minutes(seconds)}; "
        "a lease no longer than that could start now.",
    )


def reserved(reservation: int, seconds: float, shorter: bool) -> Reason:
    """`seconds` to its start; `shorter`: until then a lease could run now."""
    if seconds <= 0:
        sentence = f"The GPUs it could use are reserved now (reservation {reservation})."
    else:
        sentence = f"The GPUs it could use are reserved in {_minutes(seconds)} " + (
            f"(reservation {reservation}); a lease no longer than that could start now."
            if shorter
            else f"(reservation {reservation})."
        )
    return Reason("reserved", sentence, reservation=reservation)


def begins(reservation: int, seconds: float) -> Reason:
    """It waits for a reservation that is for it."""
    return Reason(
        "reserved",
        f"It starts when reservation {reservation}, which is for it, begins: "
        f"in {_minutes(seconds)}.",
        reservation=reservation,
    )


def unavailable(label: str, pool: str, left: int, count: int) -> Reason:
    return Reason(
        "gpus_unavailable",
        f"Every GPU of pool {pool} that has {label} is drained or lost; an admin is needed."
        if not left
        else f"Only {left} of {count} × {label} are in service in pool {pool}; an admin is needed.",
    )


def starting() -> Reason:
    return Reason("starting", "It can start now.")


def _minutes(seconds: float) -> str:
    return f"{int(seconds // 60)} min" if seconds >= 60 else f"{int(seconds)} s"

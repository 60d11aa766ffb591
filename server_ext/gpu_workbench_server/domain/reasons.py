"""Why a request waits: a closed list of codes, each with a sentence for people."""

from __future__ import annotations

from dataclasses import dataclass

from .leases import Lease
from .units import show_units

CODES: dict[str, str] = {
    "waits_for_slices": "Too few slices of the profile are free; it waits for leases to end.",
    "behind_others": "Earlier requests can use the same GPUs and go first.",
    "user_limit": "The user holds as much as the user's limit allows.",
    "group_limit": "The group holds as much as the group's limit allows.",
    "clearing": "A lease has ended and its last processes are being ended.",
    "gpus_unavailable": "The GPUs it could use are drained or lost.",
}


@dataclass(frozen=True, slots=True)
class Reason:
    """`code` is one of `CODES`; `waits_for` are ids of leases."""

    code: str
    sentence: str
    waits_for: tuple[int, ...] = ()


def over_limit(scope: str, held: int, limit: int, own: tuple[int, ...]) -> Reason:
    whose = "your" if scope == "user" else "your group's"
    who = "You hold" if scope == "user" else "Your group holds"
    return Reason(
        f"{scope}_limit",
        f"{who} {show_units(held)} GPU of {whose} limit of {show_units(limit)}; "
        "this starts when some of that is given back.",
        own,
    )


def waits_for(free: int, count: int, label: str, pool: str, ends: Lease | None) -> Reason:
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
    return Reason("waits_for_slices", f"Waits for {need}, when lease {ends.id} ends.", (ends.id,))


def behind(ahead: int) -> Reason:
    return Reason(
        "behind_others",
        "An earlier request goes first." if ahead == 1 else f"{ahead} earlier requests go first.",
    )


def unavailable(label: str, pool: str) -> Reason:
    return Reason(
        "gpus_unavailable",
        f"Every GPU of pool {pool} that has {label} is drained or lost; an admin is needed.",
    )

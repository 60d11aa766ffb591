"""Bugs sown on purpose into the broker's mind: each breaks one of its rules, sometimes.

A test that finds nothing wrong proves something only if it finds these.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from gpu_workbench_server.domain.decisions import Booked, Change, Unbooked
from gpu_workbench_server.domain.fleet import Limits
from gpu_workbench_server.domain.state import State

Changes = tuple[Change, ...]
Decide = Callable[[State, Any, float], Changes]


@dataclass(frozen=True)
class Bug:
    """`twist` spoils what was decided; the other two spoil what it is decided from."""

    name: str
    caught_as: str
    """A part of the sentence that says what is wrong."""
    twist: Callable[[State, Changes], Changes] | None = None
    no_limits: bool = False
    no_reservations: bool = False
    overlapping: bool = False
    """The fleet has two MIG instances in the same place."""

    def wrap(self, decide: Decide) -> Decide:
        def buggy(state: State, event: Any, now: float) -> Changes:
            limits, reservations = state.limits, state.reservations
            if self.no_limits:
                state.limits = Limits()
            if self.no_reservations and not isinstance(event, (Booked, Unbooked)):
                state.reservations = {}
            try:
                changes = decide(state, event, now)
            finally:
                state.limits, state.reservations = limits, reservations
            return self.twist(state, changes) if self.twist else changes

        return buggy


def each(kind: str, spoil: Callable[[State, Change], list[Change]]) -> Callable[..., Changes]:
    """A twist of every change of a kind."""

    def twist(state: State, changes: Changes) -> Changes:
        return tuple(
            new for one in changes for new in (spoil(state, one) if one.kind == kind else [one])
        )

    return twist


def _double_grant(state: State, one: Change) -> list[Change]:
    """Grants a whole GPU or an instance that somebody holds."""
    assert one.lease is not None
    mine = one.lease.slices
    held = [theirs for lease in state.leases.values() for theirs in lease.slices]
    same = [theirs for theirs in held if theirs.profile == mine[0].profile][: len(mine)]
    if len(same) == len(mine) and mine[0].kind != "fraction":
        again = [replace(old, id=new.id) for new, old in zip(mine, same, strict=True)]
        return [replace(one, lease=replace(one.lease, slices=tuple(again)))]
    return [one]


def _over_one(state: State, one: Change) -> list[Change]:
    """Puts a fraction on a GPU that has no room for it."""
    assert one.lease is not None
    mine = one.lease.slices
    for gpu in state.gpus.values():
        full = state.use[gpu.uuid].parts + mine[0].parts > 42_000
        if mine[0].kind == "fraction" and len(mine) == 1 and not gpu.mig and full:
            return [
                replace(one, lease=replace(one.lease, slices=(replace(mine[0], gpu=gpu.uuid),)))
            ]
    return [one]


def _half_a_gang(state: State, one: Change) -> list[Change]:
    assert one.lease is not None
    if len(one.lease.slices) < 2:
        return [one]
    return [replace(one, lease=replace(one.lease, slices=one.lease.slices[:-1]))]


def _longer(state: State, one: Change) -> list[Change]:
    """Counts the first ten seconds twice."""
    assert one.ledger is not None
    return [replace(one, ledger=replace(one.ledger, start=one.ledger.start - 10))]


def _clear_at_once(state: State, one: Change) -> list[Change]:
    assert one.lease is not None
    return [replace(one, lease=replace(one.lease, cleared=True))]


def _two_nodes(state: State, one: Change) -> list[Change]:
    """Puts the second slice of a gang on another node."""
    assert one.lease is not None
    mine = list(one.lease.slices)
    if len(mine) < 2 or mine[0].kind == "mig" or not (one.request and one.request.same_node):
        return [one]
    here = state.gpus[mine[0].gpu].node
    for gpu in state.gpus.values():
        room = state.use[gpu.uuid].parts + mine[1].parts <= 42_000
        if gpu.node != here and not gpu.mig and room and gpu.uuid != mine[0].gpu:
            mine[1] = replace(mine[1], gpu=gpu.uuid)
            return [replace(one, lease=replace(one.lease, slices=tuple(mine)))]
    return [one]


def _a_stranger_inside(state: State, one: Change) -> list[Change]:
    """Takes whoever is served for one whom a reservation is for."""
    assert one.lease is not None
    for booked in state.reservations.values():
        if not booked.serves(one.lease.user, one.lease.group):
            return [replace(one, lease=replace(one.lease, reservation=booked.id))]
    return [one]


def _more_than_booked(state: State, one: Change) -> list[Change]:
    """Lets whom a reservation is for take any number of slices from it."""
    assert one.lease is not None
    for booked in state.reservations.values():
        if booked.serves(one.lease.user, one.lease.group):
            return [replace(one, lease=replace(one.lease, reservation=booked.id))]
    return [one]


BUGS = [
    Bug("double grant", "granted", each("granted", _double_grant)),
    Bug("overlapping MIG", "overlap", overlapping=True),
    Bug("fraction over 1", "granted", each("granted", _over_one)),
    Bug("limit ignored", "over the limit", no_limits=True),
    Bug("half a gang", "slices", each("granted", _half_a_gang)),
    Bug("a gang on two nodes", "nodes", each("granted", _two_nodes)),
    Bug("ledger twice", "ledger", each("ended", lambda _, one: [one, one])),
    Bug("ledger never", "ledger", each("ended", lambda _, one: [replace(one, ledger=None)])),
    Bug("seconds twice in the ledger", "ledger", each("ended", _longer)),
    Bug("reservation ignored", "reservation", no_reservations=True),
    Bug("a stranger in a reservation", "reservation", each("granted", _a_stranger_inside)),
    Bug("more than was reserved", "reservation", each("granted", _more_than_booked)),
    Bug("free before it is empty", "seen empty", each("ended", _clear_at_once)),
]

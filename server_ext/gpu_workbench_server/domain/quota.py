"""Limits, deserved quota, and what of it is borrowed. All in parts of a GPU.

A payer is a user or a group. What a payer holds beyond its deserved quota is borrowed: newest
first, so that what was there first stays. Without a deserved quota nothing is borrowed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from .leases import Lease, Request
from .state import State
from .units import PARTS

Scope = Literal["user", "group"]


@dataclass(frozen=True, slots=True)
class Account:
    """What binds one payer now."""

    scope: Scope
    name: str
    held: int
    limit: int | None
    deserved: int | None
    weight: float
    average: float
    """Decayed average of the parts held."""

    @property
    def share(self) -> float:
        """What it had and has, over what it deserves; the weight where nothing is deserved."""
        return (self.average + self.held) / self.share_of_one

    @property
    def share_of_one(self) -> float:
        """How many parts, held or remembered, make a share of 1."""
        return (self.deserved if self.deserved else PARTS) * self.weight

    def within(self, more: int) -> bool:
        """Whether so many parts more would still be its own by right."""
        return self.deserved is None or self.held + more <= self.deserved


def account(state: State, scope: Scope, name: str, now: float) -> Account:
    rules = state.rules
    held = (state.user_parts if scope == "user" else state.group_parts).get(name, 0)
    meter = state.meters.get(f"{scope} {name}")
    of = (state.limits, rules.deserved)
    limit, deserved = (one.user(name) if scope == "user" else one.group(name) for one in of)
    average = meter.read(now, rules.half_life) if meter else 0.0
    return Account(scope, name, held, limit, deserved, rules.weights.get(name, 1.0), average)


def accounts(state: State, user: str, group: str | None, now: float) -> list[Account]:
    """Who pays, the group first."""
    found = [account(state, "group", group, now)] if group is not None else []
    return [*found, account(state, "user", user, now)]


def binding(state: State, request: Request) -> tuple[Scope, int, int] | None:
    """The limit that a request would break now: scope, parts held, limit."""
    held, limit = state.user_parts.get(request.user, 0), state.limits.user(request.user)
    if limit is not None and held + request.parts > limit:
        return "user", held, limit
    if request.group is not None:
        held, limit = state.group_parts.get(request.group, 0), state.limits.group(request.group)
        if limit is not None and held + request.parts > limit:
            return "group", held, limit
    return None


def borrows(state: State, request: Request) -> bool:
    """Whether a request would take its user or group beyond what it deserves."""
    for scope, name, held in _payers(state, request.user, request.group):
        deserved = _deserved(state, scope, name)
        if deserved is not None and held + request.parts > deserved:
            return True
    return False


def entitled(state: State, request: Request) -> bool:
    """Whether its user or group has a deserved quota at all: only then others give way to it."""
    payers = _payers(state, request.user, request.group)
    return any(_deserved(state, scope, name) is not None for scope, name, _ in payers)


def anything_deserved(state: State) -> bool:
    """Whether any quota is set at all: without one, nobody has to give way."""
    rights = state.rules.deserved
    defaults = (rights.default_user, rights.default_group)
    return bool(rights.users or rights.groups) or defaults != (None, None)


def borrowed(state: State) -> list[Lease]:
    """Live leases beyond their user's or group's deserved quota."""
    if not anything_deserved(state):
        return []
    sums: dict[tuple[Scope, str], int] = {}
    found = []
    for lease in sorted(state.leases.values(), key=lambda le: (le.granted_at, le.id)):
        if lease.state == "ended":
            continue
        beyond = False
        for scope, name, _ in _payers(state, lease.user, lease.group):
            held = sums[scope, name] = sums.get((scope, name), 0) + lease.parts
            deserved = _deserved(state, scope, name)
            beyond = beyond or (deserved is not None and held > deserved)
        if beyond:
            found.append(lease)
    return found


def _payers(state: State, user: str, group: str | None) -> Iterator[tuple[Scope, str, int]]:
    yield "user", user, state.user_parts.get(user, 0)
    if group is not None:
        yield "group", group, state.group_parts.get(group, 0)


def _deserved(state: State, scope: Scope, name: str) -> int | None:
    rights = state.rules.deserved
    return rights.user(name) if scope == "user" else rights.group(name)

"""The request form's cards: each profile, and when the caller could have it. A dry run, pure."""

from __future__ import annotations

from gpu_workbench import protocol as wire

from ..domain.asks import Wanted, nick
from ..domain.decide import admit, decide
from ..domain.decisions import Change, Submitted
from ..domain.estimates import forecast
from ..domain.fleet import Pool, Profile
from ..domain.habits import Habits
from ..domain.state import State
from ..domain.units import gpu_units
from ..errors import OverLimit, WorkbenchError
from ..ports import Principal

DRY = 0
"""Id of a request that is only tried; real ones start at 1."""


def cards(
    state: State,
    who: Principal,
    now: float,
    count: int = 1,
    seconds: int | None = None,
    habits: Habits | None = None,
) -> list[wire.Card]:
    """One card for each profile of each pool, smallest first."""
    return [
        _card(state, who, now, pool, profile, count, seconds, habits)
        for name, pool in state.pools.items()
        for profile in state.offered(name)
    ]


def _card(
    state: State,
    who: Principal,
    now: float,
    pool: Pool,
    profile: Profile,
    count: int,
    seconds: int | None,
    habits: Habits | None,
) -> wire.Card:
    when: wire.CardWhen = "never"
    reason, expected, by = "", None, None
    ask = wire.Ask(what=nick(profile), count=count, seconds=seconds, pool=pool.name)
    try:
        request = admit(state, wanted(who, ask), DRY, now)
    except OverLimit as error:
        when, reason = "over_limit", error.message
    except WorkbenchError as error:
        reason = error.message
    else:
        with state.trial():
            changes = decide(state, Submitted(request), now)
            if any(c.kind == "granted" and c.lease and c.lease.id == request.id
                   for c in changes):  # fmt: skip
                when = "now"
            else:
                state.put(Change("queued", request))
                told = forecast(state, now, {request.id}, habits)[request.id]
                when, reason, expected = "queued", told.reason.sentence, told.expected_at
                by = told.expected_by
    return wire.Card(
        profile=profile.name,
        pool=pool.name,
        label=profile.label,
        kind=profile.kind,
        memory_gb=profile.memory_gb,
        units=gpu_units(profile.parts),
        tier=profile.tier,
        when=when,
        expected_at=expected,
        expected_by=by,
        reason=reason,
    )


def wanted(who: Principal, ask: wire.Ask) -> Wanted:
    """An ask in the domain's words; only an admin may raise a priority."""
    return Wanted(
        user=who.user,
        group=who.group,
        what=ask.what,
        count=ask.count,
        seconds=ask.seconds,
        pool=ask.pool,
        same_node=ask.same_node,
        priority=ask.priority if who.admin else min(ask.priority, 0),
        purpose=ask.purpose,
        name=ask.name,
        key=ask.key,
    )

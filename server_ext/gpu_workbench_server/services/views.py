"""Domain records as wire types, as far as the reader may see them. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping

from gpu_workbench import protocol as wire

from ..domain import asks
from ..domain.estimates import Forecast
from ..domain.fleet import Gpu, Pool, Profile, profiles_of
from ..domain.leases import Holder, Lease, LedgerEntry, Request, Slice
from ..domain.quota import Account, Scope, account
from ..domain.state import State
from ..domain.units import PARTS, gpu_units
from ..ports import Principal


def may_see(who: Principal, user: str) -> bool:
    return who.admin or who.user == user


def request(who: Principal, one: Request, told: Forecast | None = None) -> wire.Request:
    """Somebody else's request shows what it waits for and not whose it is."""
    seen = may_see(who, one.user)
    reason = (
        wire.Reason(
            code=told.reason.code,
            sentence=told.reason.sentence,
            waits_for=list(told.reason.waits_for),
            held=None if told.reason.held is None else gpu_units(told.reason.held),
            limit=None if told.reason.limit is None else gpu_units(told.reason.limit),
            reservation=told.reason.reservation,
        )
        if told
        else None
    )
    return wire.Request(
        id=one.id,
        state=one.state,
        user=one.user if seen else "",
        mine=one.user == who.user,
        what=one.what,
        profile=one.profile,
        pool=one.pool,
        count=one.count,
        seconds=one.seconds,
        same_node=one.same_node,
        priority=one.priority,
        purpose=one.purpose,
        name=one.name if seen else "",
        units=gpu_units(one.parts),
        created_at=one.created_at,
        position=told.position if told else None,
        reason=reason,
        expected_at=told.expected_at if told else None,
        expected_by=told.expected_by if told else None,
    )


def slice_(one: Slice) -> wire.Slice:
    return wire.Slice(
        id=one.id,
        gpu=one.gpu,
        kind=one.kind,
        profile=one.profile,
        memory_bytes=one.memory_bytes,
        units=gpu_units(one.parts),
        visible_device=one.visible_device,
        tier=one.tier,
    )


def holder(one: Holder) -> wire.Holder:
    return wire.Holder(kind=one.kind, id=one.id, name=one.name, pid=one.pid, started=one.started)


def lease(who: Principal, one: Lease) -> wire.Lease:
    return wire.Lease(
        id=one.id,
        state=one.state,
        user=one.user,
        mine=one.user == who.user,
        pool=one.pool,
        profile=one.profile,
        slices=[slice_(s) for s in one.slices],
        units=gpu_units(one.parts),
        purpose=one.purpose,
        name=one.name,
        granted_at=one.granted_at,
        ends_at=one.ends_at,
        holder=holder(one.holder) if one.holder else None,
        ended_at=one.ended_at,
        end_reason=one.end_reason,
        cleared=one.cleared,
        reservation=one.reservation,
    )


def notice(one: Lease, now: float) -> wire.Notice:
    """What the holder of a lease is told: what, when, why, and what to do."""
    what = one.holder.name if one.holder and one.holder.name else one.name or f"lease {one.id}"
    left = max(0, round(one.ends_at - now))
    when = f"in {left // 60} min" if left >= 60 else f"in {left} s"
    if one.gives_way_to is not None:
        return wire.Notice(
            lease_id=one.id,
            code="preempted",
            message=f"The slice of {what} ends {when}: it was borrowed, and request or "
            f"reservation {one.gives_way_to} has a right to it.",
            hint="Save your work now. Your next request waits until something is free.",
            at=one.ends_at,
        )
    if not one.noticed:
        return wire.Notice(
            lease_id=one.id,
            code="kept",
            message=f"The slice of {what} stays: the request that needed it waits no more.",
            hint="Nothing to do.",
            at=one.ends_at,
        )
    return wire.Notice(
        lease_id=one.id,
        code="ends_soon",
        message=f"The slice of {what} ends {when}: its time is over then.",
        hint="Save your work, or extend the lease.",
        at=one.ends_at,
    )


def profile(one: Profile) -> wire.Profile:
    return wire.Profile(
        name=one.name,
        kind=one.kind,
        memory_gb=one.memory_gb,
        units=gpu_units(one.parts),
        tier=one.tier,
        enforced=one.enforced,
    )


def pool(one: Pool, offered: list[Profile]) -> wire.Pool:
    return wire.Pool(
        name=one.name,
        engine=one.engine,
        profiles=[profile(p) for p in offered],
        default_seconds=one.default_seconds,
        max_seconds=one.max_seconds,
        idle_seconds=one.idle_seconds,
    )


def gpu(who: Principal, state: State, one: Gpu) -> wire.Gpu:
    return wire.Gpu(
        uuid=one.uuid,
        index=one.index,
        node=one.node,
        name=one.name,
        model=one.model,
        memory_bytes=one.memory_bytes,
        memory_gb=one.memory_gb,
        mig=one.mig,
        simulated=one.simulated,
        health=one.health,
        pool=one.pool,
        numa=one.numa,
        island=one.island,
        segments=segments(who, state, one),
    )


def segments(who: Principal, state: State, one: Gpu) -> list[wire.SliceView]:
    """A GPU's bar from left to right: MIG instances as they lie, else leased slices, then free."""
    leased = state.slices_on(one.uuid)
    if one.mig:
        by_instance = {s.instance: (le, s) for le, s in leased}
        kinds = {p.name: p for p in profiles_of(one, state.pools.get(one.pool, Pool()))}
        found = []
        for place in sorted(one.instances, key=lambda i: i.start):
            kind = kinds[f"mig-{place.profile}"]
            taken = by_instance.get(place.uuid)
            found.append(
                _leased(who, *taken, kind.label) if taken else _free(kind, place.memory_bytes)
            )
        return found
    offered = profiles_of(one, state.pools.get(one.pool, Pool()))
    label = {p.name: p.label for p in offered}
    found = [_leased(who, le, s, label.get(s.profile, s.profile)) for le, s in leased]
    room = state.free_parts(one)
    for kind in offered[:1]:  # smallest first: what is free is shown in its smallest cuts
        for _ in range(room // kind.parts):
            found.append(_free(kind, one.memory_bytes * kind.parts // PARTS))
    return found


def _leased(who: Principal, one: Lease, part: Slice, label: str) -> wire.SliceView:
    seen = may_see(who, one.user)
    return wire.SliceView(
        profile=part.profile,
        label=label,
        units=gpu_units(part.parts),
        memory_bytes=part.memory_bytes,
        slice_id=part.id,
        lease_id=one.id,
        mine=one.user == who.user,
        holder=(one.holder.name if one.holder else one.name) if seen else None,
        ends_at=one.ends_at,
    )


def _free(kind: Profile, memory_bytes: int) -> wire.SliceView:
    return wire.SliceView(
        profile=kind.name,
        label=kind.label,
        units=gpu_units(kind.parts),
        memory_bytes=memory_bytes,
        offer=asks.nick(kind),
    )


def quotas(who: Principal, state: State, now: float) -> list[wire.Quota]:
    """What binds the caller: the user's own, then each group's."""
    mine: list[tuple[Scope, str]] = [("user", who.user)]
    mine += [("group", group) for group in who.groups]
    return [_quota(account(state, scope, name, now)) for scope, name in mine]


def _quota(one: Account) -> wire.Quota:
    return wire.Quota(
        name=one.name,
        scope=one.scope,
        held=gpu_units(one.held),
        limit=None if one.limit is None else gpu_units(one.limit),
        deserved=None if one.deserved is None else gpu_units(one.deserved),
        weight=one.weight,
        average=round(one.average / PARTS, 3),
        share=round(one.share, 3),
    )


def usage_row(one: LedgerEntry, asked_at: Mapping[int, float]) -> wire.UsageRow:
    """A lease that is over; `asked_at` is `Store.asked_at`."""
    return wire.UsageRow(
        lease_id=one.lease_id,
        user=one.user,
        group=one.group,
        pool=one.pool,
        profile=one.profile,
        purpose=one.purpose,
        name=one.name,
        requested_at=asked_at.get(one.lease_id),
        granted_at=one.start,
        until=one.end,
        held_gpu_seconds=round(one.held_gpu_seconds, 3),
        used_gpu_seconds=one.used_gpu_seconds,
        declared_seconds=one.declared_seconds,
        end_reason=one.end_reason,
    )


def running_row(one: Lease, now: float, asked_at: Mapping[int, float]) -> wire.UsageRow:
    """A lease that is not over: what it held so far."""
    return wire.UsageRow(
        lease_id=one.id,
        user=one.user,
        group=one.group,
        pool=one.pool,
        profile=one.profile,
        purpose=one.purpose,
        name=one.holder.name if one.holder else one.name,
        requested_at=asked_at.get(one.id),
        granted_at=one.granted_at,
        until=now,
        held_gpu_seconds=round((now - one.granted_at) * one.parts / PARTS, 3),
        used_gpu_seconds=one.used_gpu_seconds,
        declared_seconds=one.declared_seconds,
        end_reason=None,
    )

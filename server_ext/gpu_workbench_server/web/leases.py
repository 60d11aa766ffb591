"""Leases: what is held, for how long, by which holder."""

from __future__ import annotations

from msgspec import Struct

from gpu_workbench import protocol as wire

from .call import Call


class LeasesQuery(Struct, frozen=True):
    ended: bool = False


async def listing(call: Call[None, LeasesQuery]) -> wire.Leases:
    found = await call.workbench.on_broker(call.services.broker.leases, call.who, call.query.ended)
    return wire.Leases(leases=found)


async def get(call: Call[None, None]) -> wire.Lease:
    return await call.workbench.on_broker(call.services.broker.lease, call.who, call.number)


async def release(call: Call[None, None]) -> wire.Lease:
    return await call.workbench.on_broker(call.services.broker.release, call.who, call.number)


async def extend(call: Call[wire.Extend, None]) -> wire.Lease:
    return await call.workbench.on_broker(
        call.services.broker.extend, call.who, call.number, call.body.seconds
    )


async def bind(call: Call[wire.Holder, None]) -> wire.Lease:
    return await call.workbench.on_broker(
        call.services.broker.bind, call.who, call.number, call.body
    )


async def claim(call: Call[wire.Claim, None]) -> wire.Lease:
    return await call.workbench.on_broker(call.services.broker.claim, call.who, call.body)


async def heartbeat(call: Call[wire.Heartbeat, None]) -> wire.Heartbeat:
    alive = await call.workbench.on_broker(
        call.services.broker.heartbeat, call.who, call.body.leases
    )
    return wire.Heartbeat(leases=alive)

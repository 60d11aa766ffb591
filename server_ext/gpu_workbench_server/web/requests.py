"""Asking for slices and waiting for them."""

from __future__ import annotations

from gpu_workbench import protocol as wire

from .call import Call


async def ask(call: Call[wire.Ask, None]) -> wire.Request:
    return await call.workbench.on_broker(call.services.broker.ask, call.who, call.body)


async def queue(call: Call[None, None]) -> wire.Requests:
    found = await call.workbench.on_broker(call.services.broker.requests, call.who)
    return wire.Requests(requests=found)


async def get(call: Call[None, None]) -> wire.Request:
    return await call.workbench.on_broker(call.services.broker.request, call.who, call.number)


async def cancel(call: Call[None, None]) -> wire.Request:
    return await call.workbench.on_broker(call.services.broker.cancel, call.who, call.number)

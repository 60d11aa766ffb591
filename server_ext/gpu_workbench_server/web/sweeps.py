"""Sweeps: start, follow, stop. Their runs are jobs."""

from __future__ import annotations

from gpu_workbench import protocol as wire

from .call import Call


async def create(call: Call[wire.NewSweep, None]) -> wire.Sweep:
    return await call.workbench.on_holders(call.services.sweeps.create, call.who, call.body)


async def listing(call: Call[None, None]) -> wire.Sweeps:
    return wire.Sweeps(sweeps=await call.workbench.on_holders(call.services.sweeps.list, call.who))


async def get(call: Call[None, None]) -> wire.Sweep:
    return await call.workbench.on_holders(call.services.sweeps.get, call.who, call.item)


async def stop(call: Call[None, None]) -> wire.Sweep:
    return await call.workbench.on_holders(call.services.sweeps.stop, call.who, call.item)

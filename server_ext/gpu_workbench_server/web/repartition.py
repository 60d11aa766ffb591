"""Other MIG geometries for idle GPUs: what is proposed, and doing it."""

from __future__ import annotations

from gpu_workbench import protocol as wire

from .call import Call


async def proposals(call: Call[None, None]) -> wire.Proposals:
    return await call.workbench.on_broker(call.services.broker.proposals, call.who)


async def apply(call: Call[wire.Repartition, None]) -> wire.Proposals:
    broker = call.services.broker
    return await call.workbench.on_broker(broker.repartition, call.who, call.body.gpus)

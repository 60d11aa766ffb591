"""Live figures of GPUs, slices and processes, and their recent past."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from gpu_workbench import protocol as wire

from ..errors import Unavailable
from .call import Call


class HistoryQuery(Struct, frozen=True):
    subject: Annotated[str, Meta(description="A GPU's UUID or a slice's id.")]
    seconds: Annotated[float, Meta(gt=0, description="How far back.")] = 300.0


async def sample(call: Call[None, None]) -> wire.Sample:
    latest = call.services.telemetry.glance()
    if not latest.time:
        raise Unavailable("No sample has been taken yet.", "Ask again in a second.")
    return latest


async def history(call: Call[None, HistoryQuery]) -> wire.History:
    return await call.workbench.on_holders(
        call.services.telemetry.history, call.query.subject, call.query.seconds
    )


async def processes(call: Call[None, None]) -> wire.Processes:
    mine = await call.workbench.on_broker(call.services.broker.leases, call.who)
    found = await call.workbench.on_holders(call.services.telemetry.processes, mine)
    return wire.Processes(processes=found)

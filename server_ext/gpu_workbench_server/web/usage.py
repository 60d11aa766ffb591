"""The ledger: what was held and used."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from gpu_workbench import protocol as wire

from .call import Call


class UsageQuery(Struct, frozen=True):
    since: Annotated[float, Meta(ge=0, description="Seconds since the epoch.")] = 0.0


async def usage(call: Call[None, UsageQuery]) -> wire.Usage:
    return await call.workbench.on_broker(call.services.broker.usage, call.who, call.query.since)

"""Who I am, what there is, and what I could have now: `status`, `fleet`, `cards`."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from gpu_workbench import protocol as wire

from .call import Call


class CardsQuery(Struct, frozen=True):
    count: Annotated[int, Meta(ge=1, description="How many slices at once.")] = 1
    seconds: Annotated[int, Meta(gt=0)] | None = None


async def status(call: Call[None, None]) -> wire.Status:
    return await call.workbench.on_broker(call.services.broker.status, call.who)


async def fleet(call: Call[None, None]) -> wire.Fleet:
    return await call.workbench.on_broker(call.services.broker.fleet, call.who)


async def cards(call: Call[None, CardsQuery]) -> wire.Cards:
    query = call.query
    found = await call.workbench.on_broker(
        call.services.broker.cards, call.who, query.count, query.seconds
    )
    return wire.Cards(cards=found)

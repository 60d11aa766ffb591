"""Live figures of GPUs, slices and processes, and their recent past."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from gpu_workbench import protocol as wire

from ..errors import BadRequest, Unavailable
from .call import Call


class HistoryQuery(Struct, frozen=True, rename={"since": "from"}):
    subject: Annotated[
        str,
        Meta(
            description="Separated by commas: UUIDs of GPUs, ids of slices, `lease:81` for all "
            "slices of a lease (one that ended lately, too), `gpus` for every GPU, and `process:…` "
            "as the list of processes calls it, for one of yours."
        ),
    ]
    since: Annotated[float | None, Meta(description="When the range begins.")] = None
    to: Annotated[float | None, Meta(description="When it ends; default is now.")] = None
    seconds: Annotated[
        float, Meta(gt=0, description="How long the range is, where `from` is left out.")
    ] = 300.0
    points: Annotated[
        int, Meta(ge=1, le=2000, description="About the most points that a series may have.")
    ] = 300
    metrics: Annotated[
        str, Meta(description="Which ones, separated by commas; default is all that are known.")
    ] = ""
    extremes: Annotated[bool, Meta(description="False: only the means.")] = True


async def sample(call: Call[None, None]) -> wire.Sample:
    latest = call.services.telemetry.glance()
    if not latest.time:
        raise Unavailable("No sample has been taken yet.", "Ask again in a second.")
    return latest


async def history(call: Call[None, HistoryQuery]) -> wire.History:
    asked = call.query
    telemetry = call.services.telemetry
    end = telemetry.now() if asked.to is None else asked.to
    start = end - asked.seconds if asked.since is None else asked.since
    if start >= end:
        raise BadRequest("The range ends before it begins.", "`from` must be less than `to`.")
    subjects = _listed(asked.subject)
    if any(one.startswith(wire.PROCESS) for one in subjects):
        leases = await call.workbench.on_broker(call.services.broker.leases, call.who, True)
        subjects = await call.workbench.on_holders(
            telemetry.permitted, subjects, leases, call.who.admin
        )
    return await call.workbench.on_holders(
        telemetry.history,
        subjects,
        start,
        end,
        asked.points,
        _listed(asked.metrics),
        asked.extremes,
    )


def _listed(text: str) -> list[str]:
    return [one.strip() for one in text.split(",") if one.strip()]


class ErrorsQuery(Struct, frozen=True):
    gpu: Annotated[str | None, Meta(description="UUID of a GPU; default is all of them.")] = None


async def errors(call: Call[None, ErrorsQuery]) -> wire.HardwareErrors:
    return wire.HardwareErrors(errors=call.services.telemetry.errors(call.query.gpu))


async def processes(call: Call[None, None]) -> wire.Processes:
    seen = await call.workbench.on_broker(call.services.broker.leases, call.who)
    found = await call.workbench.on_holders(call.services.telemetry.processes, seen, call.who.admin)
    return wire.Processes(processes=found)

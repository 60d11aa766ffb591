"""Training jobs: start, follow, stop. Logs are read by the job's id, never by a path."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from gpu_workbench import protocol as wire

from .call import Call

Offset = Annotated[int, Meta(ge=0, description="`next_offset` of the chunk before; 0 at first.")]


class LogsQuery(Struct, frozen=True):
    rank: Annotated[int, Meta(ge=0)] = 0
    stream: Literal["out", "err"] = "out"
    offset: Annotated[
        int, Meta(description="`next_offset` of the chunk before; negative counts from the end.")
    ] = 0


class SearchQuery(Struct, frozen=True):
    text: Annotated[
        str, Meta(min_length=1, max_length=1000, description="Found in upper and lower case.")
    ]
    rank: Annotated[int, Meta(ge=0, description="Default is every rank.")] | None = None
    stream: Literal["out", "err"] | None = None


class MetricsQuery(Struct, frozen=True):
    offset: Offset = 0


async def create(call: Call[wire.JobSpec, None]) -> wire.Job:
    return await call.workbench.on_holders(call.services.jobs.create, call.who, call.body)


async def listing(call: Call[None, None]) -> wire.Jobs:
    return wire.Jobs(jobs=await call.workbench.on_holders(call.services.jobs.list, call.who))


async def get(call: Call[None, None]) -> wire.Job:
    return await call.workbench.on_holders(call.services.jobs.get, call.who, call.item)


async def spec(call: Call[None, None]) -> wire.JobSpec:
    return await call.workbench.on_holders(call.services.jobs.spec, call.who, call.item)


async def code(call: Call[None, None]) -> wire.Code:
    return await call.workbench.on_holders(call.services.jobs.code, call.who, call.item)


async def again(call: Call[wire.Again, None]) -> wire.Job:
    return await call.workbench.on_holders(call.services.jobs.again, call.who, call.item, call.body)


async def checkpoints(call: Call[None, None]) -> wire.Checkpoints:
    return await call.workbench.on_holders(call.services.jobs.checkpoints, call.who, call.item)


async def resume(call: Call[wire.Resume, None]) -> wire.Job:
    return await call.workbench.on_holders(
        call.services.jobs.resume, call.who, call.item, call.body
    )


async def stop(call: Call[None, None]) -> wire.Job:
    return await call.workbench.on_holders(call.services.jobs.stop, call.who, call.item)


async def logs(call: Call[None, LogsQuery]) -> wire.LogChunk:
    query = call.query
    return await call.workbench.on_holders(
        call.services.jobs.logs, call.who, call.item, query.rank, query.stream, query.offset
    )


async def search(call: Call[None, SearchQuery]) -> wire.LogMatches:
    query = call.query
    return await call.workbench.on_holders(
        call.services.jobs.search, call.who, call.item, query.text, query.rank, query.stream
    )


async def tensorboard(call: Call[None, None]) -> wire.Board:
    return await call.workbench.on_holders(call.services.boards.open, call.who, call.item)


async def metrics(call: Call[None, MetricsQuery]) -> wire.MetricChunk:
    return await call.workbench.on_holders(
        call.services.jobs.metrics, call.who, call.item, call.query.offset
    )


async def result(call: Call[None, None]) -> wire.JobResult:
    return await call.workbench.on_holders(call.services.jobs.result, call.who, call.item)

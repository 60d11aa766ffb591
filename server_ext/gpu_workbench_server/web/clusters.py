"""Dask clusters on leased slices."""

from __future__ import annotations

from gpu_workbench import protocol as wire

from .call import Call


async def create(call: Call[wire.NewCluster, None]) -> wire.Cluster:
    return await call.workbench.on_holders(call.services.clusters.create, call.who, call.body)


async def listing(call: Call[None, None]) -> wire.Clusters:
    found = await call.workbench.on_holders(call.services.clusters.list, call.who)
    return wire.Clusters(clusters=found)


async def get(call: Call[None, None]) -> wire.Cluster:
    return await call.workbench.on_holders(call.services.clusters.get, call.who, call.item)


async def scale(call: Call[wire.Scale, None]) -> wire.Cluster:
    return await call.workbench.on_holders(
        call.services.clusters.scale, call.who, call.item, call.body.workers
    )


async def adapt(call: Call[wire.Adapt, None]) -> wire.Cluster:
    return await call.workbench.on_holders(
        call.services.clusters.adapt, call.who, call.item, call.body
    )


async def rename(call: Call[wire.Rename, None]) -> wire.Cluster:
    return await call.workbench.on_holders(
        call.services.clusters.rename, call.who, call.item, call.body.name
    )


async def restart(call: Call[None, None]) -> wire.Cluster:
    return await call.workbench.on_holders(call.services.clusters.restart, call.who, call.item)


async def stop(call: Call[None, None]) -> wire.Cluster:
    return await call.workbench.on_holders(call.services.clusters.stop, call.who, call.item)

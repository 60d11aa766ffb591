"""`gw.cluster` and `gw.clusters`: start a Dask cluster on slices, or take one up by its name.

The cluster runs in processes of its own and outlives kernel and server; `GpuCluster` is the handle.
Dask is imported only once there is a cluster, while that starts.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from . import protocol as wire
from .client import Client, get_client
from .cluster_display import OVER
from .errors import GpuWorkbenchError

if TYPE_CHECKING:
    from .gpu_cluster import GpuCluster


def cluster(
    workers: int | None = None,
    per_worker: str | None = None,
    name: str | None = None,
    *,
    pool: str | None = None,
    hours: float | None = None,
    threads_per_worker: int = 1,
    host_memory: int | None = None,
    idle_minutes: float | None = None,
    wait: bool = True,
    asynchronous: bool = False,
) -> GpuCluster:
    """Start a Dask cluster of `workers` (2) workers, each on a slice of its own, or take one up.

    `per_worker` is a slice as in `gw.request`: "1g.10gb" (the default), "20GB", "0.25", "gpu";
    `pool` is where they come from. With 0 workers it holds none until it is scaled.
    With the `name` of a cluster that lives, that one is returned as it is: a cell can be run again.
    `host_memory` is in bytes per worker. It ends when its last lease ends, when it is closed, or
    when it had no client and no task for `idle_minutes` (0: never; by default its pool's). Waits
    until all its workers are there, showing position and reason; interrupting cancels it. With
    `wait=False` it starts at once and grows as slices are granted. With `asynchronous=True`, await
    it, as any Dask cluster.
    Raises `GpuWorkbenchError` where it can't be had.

        with gw.cluster(workers=2, per_worker="1g.10gb") as cluster:
            client = cluster.get_client()
    """
    client = get_client()
    found = None if name is None else _living(client, name)
    if found is None:
        if name is not None and workers is None and per_worker is None:
            raise GpuWorkbenchError(
                "not_found",
                f"You have no running cluster called {name}.",
                f"gw.clusters() lists yours; gw.cluster(workers=2, name={name!r}) starts one.",
            )
        new = wire.NewCluster(
            workers=2 if workers is None else workers,
            per_worker=per_worker or "1g.10gb",
            pool=pool,
            name=name,
            seconds=None if hours is None else round(hours * 3600),
            threads_per_worker=threads_per_worker,
            host_memory_bytes=host_memory,
            python=sys.executable,
            cwd=os.getcwd(),
            idle_seconds=None if idle_minutes is None else round(idle_minutes * 60),
        )
        found = client.call("POST", "clusters", new, returns=wire.Cluster)
    try:
        handle = _handle(found, client, asynchronous)
        if wait and not asynchronous:
            handle.wait(show=True)
        return handle
    except KeyboardInterrupt:
        client.call("DELETE", f"clusters/{found.id}", returns=wire.Cluster)
        print(f"cluster {found.name} was cancelled.")
        raise


def clusters() -> list[GpuCluster]:
    """My clusters, newest first; those that are over lately, too."""
    client = get_client()
    found = client.call("GET", "clusters", returns=wire.Clusters).clusters
    return [_handle(one, client) for one in found]


def _living(client: Client, name: str) -> wire.Cluster | None:
    status = client.status()
    for one in client.call("GET", "clusters", returns=wire.Clusters).clusters:
        mine = one.user == status.user  # an admin sees everybody's
        if one.name == name and mine and one.state not in (*OVER, "stopping"):
            return one
    return None


def _handle(found: wire.Cluster, client: Client, asynchronous: bool = False) -> GpuCluster:
    from .gpu_cluster import GpuCluster

    make: Any = GpuCluster
    handle: GpuCluster = make(found, client, asynchronous=asynchronous)
    return handle

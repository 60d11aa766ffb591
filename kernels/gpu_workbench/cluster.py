"""`gw.cluster`: a Dask cluster with one worker on each of its leased slices.

The cluster runs in processes of its own and outlives kernel and server; what is here holds nothing
but its id and asks the server. Dask itself is imported only when a client is made.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any

from . import cluster_display
from . import protocol as wire
from .client import Client, get_client
from .cluster_display import OVER
from .display import Live
from .errors import GpuWorkbenchError

if TYPE_CHECKING:
    from distributed import Client as DaskClient

_POLL_SECONDS = 0.25
_CLOSE_SECONDS = 30.0


def cluster(
    workers: int | None = None,
    per_worker: str | None = None,
    name: str | None = None,
    *,
    hours: float | None = None,
    threads_per_worker: int = 1,
    host_memory: int | None = None,
    idle_minutes: float | None = None,
    wait: bool = True,
) -> ClusterHandle:
    """Start a Dask cluster of `workers` (2) workers, each on a slice of its own, or take one up.

    `per_worker` is a slice as in `gw.request`: "1g.10gb" (the default), "20GB", "0.25", "gpu".
    With the `name` of a cluster that lives, that one is returned as it is: a cell can be run again.
    `host_memory` is in bytes per worker. It ends when its lease ends, when it is closed, or when no
    task ran for `idle_minutes` (0: never; by default 30). Waits until it runs, showing position and
    reason; interrupting cancels it. Raises `GpuWorkbenchError` where it can't be had.

        with gw.cluster(workers=2, per_worker="1g.10gb") as cluster:
            client = cluster.get_client()
    """
    client = get_client()
    handle = None if name is None else _living(client, name)
    if handle is None:
        if name is not None and workers is None and per_worker is None:
            raise GpuWorkbenchError(
                "not_found",
                f"You have no running cluster called {name}.",
                f"gw.clusters() lists yours; gw.cluster(workers=2, name={name!r}) starts one.",
            )
        new = wire.NewCluster(
            workers=2 if workers is None else workers,
            per_worker=per_worker or "1g.10gb",
            name=name,
            seconds=None if hours is None else round(hours * 3600),
            threads_per_worker=threads_per_worker,
            host_memory_bytes=host_memory,
            python=sys.executable,
            cwd=os.getcwd(),
            idle_seconds=None if idle_minutes is None else round(idle_minutes * 60),
        )
        handle = ClusterHandle(client.call("POST", "clusters", new, returns=wire.Cluster), client)
    if not wait:
        return handle
    try:
        return handle.wait(show=True)
    except KeyboardInterrupt:
        handle.close(wait=False)
        print(f"cluster {handle.name} was cancelled.")
        raise


def clusters() -> list[ClusterHandle]:
    """My clusters, newest first; those that are over lately, too."""
    client = get_client()
    found = client.call("GET", "clusters", returns=wire.Clusters).clusters
    return [ClusterHandle(one, client) for one in found]


def _living(client: Client, name: str) -> ClusterHandle | None:
    status = client.status()
    for one in client.call("GET", "clusters", returns=wire.Clusters).clusters:
        mine = one.user == status.user  # an admin sees everybody's
        if one.name == name and mine and one.state not in (*OVER, "stopping"):
            return ClusterHandle(one, client)
    return None


class ClusterHandle:
    """A cluster by its id. Throw it away and the cluster lives on; `gw.cluster(name=…)` is it."""

    def __init__(self, cluster: wire.Cluster, client: Client) -> None:
        self._last = cluster
        self._client = client
        self._dask: list[Any] = []

    # --- how it is ------------------------------------------------------------------------------

    @property
    def id(self) -> str:
        return self._last.id

    @property
    def name(self) -> str:
        return self._last.name

    @property
    def status(self) -> wire.Cluster:
        """How it is now."""
        if self._last.state not in OVER:
            self._last = self._client.call("GET", f"clusters/{self.id}", returns=wire.Cluster)
        return self._last

    @property
    def state(self) -> wire.ClusterState:
        """`waiting`, `starting`, `running`, `stopping`, then `ended` or `failed`."""
        return self.status.state

    @property
    def workers(self) -> list[wire.WorkerView]:
        """One for each slice that is in use."""
        return self.status.workers

    @property
    def scheduler_address(self) -> str:
        """For clients of this user: they need the files in `security`, too."""
        now = self.status
        if now.scheduler_address is None:
            raise self._not_running(now)
        return now.scheduler_address

    @property
    def security(self) -> Any:
        """`distributed.Security` of this cluster."""
        from distributed import Security

        now = self.status
        if now.security is None:
            raise self._not_running(now)
        make: Any = Security
        return make(
            tls_ca_file=now.security["ca"],
            tls_client_cert=now.security["cert"],
            tls_client_key=now.security["key"],
            require_encryption=True,
        )

    # --- use ------------------------------------------------------------------------------------

    def get_client(self, set_as_default: bool = True) -> DaskClient:
        """A Dask client of this cluster; `close` closes it, too. Waits until the cluster runs."""
        from distributed import Client as DaskClient

        self.wait()
        make: Any = DaskClient
        found: DaskClient = make(
            self.scheduler_address, security=self.security, set_as_default=set_as_default
        )
        self._dask.append(found)
        return found

    def scale(self, workers: int, wait: bool = True) -> ClusterHandle:
        """Use `workers` of its slices, from one to all; the others stay leased. Keeps results."""
        body = wire.Scale(workers=workers)
        self._last = self._client.call(
            "POST", f"clusters/{self.id}/scale", body, returns=wire.Cluster
        )
        return self.wait() if wait else self

    def close(self, wait: bool = True) -> None:
        """End it and give its slices back; idempotent. With `wait`, until that is done."""
        for one in self._dask:
            with contextlib.suppress(Exception):  # its scheduler may be gone already
                one.close(timeout=2)
        self._dask.clear()
        if self._last.state not in OVER:
            self._last = self._client.call("DELETE", f"clusters/{self.id}", returns=wire.Cluster)
        deadline = time.monotonic() + _CLOSE_SECONDS
        while wait and self.state not in OVER and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)

    def wait(self, timeout: float | None = None, show: bool = False) -> ClusterHandle:
        """Until it runs with all workers that are wanted.

        Raises `GpuWorkbenchError` where it ends instead, `TimeoutError` after `timeout` seconds.
        """
        live = Live() if show else None
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            now = self.status
            if live is not None:
                live.show(cluster_display.text(now), cluster_display.html(now))
            if now.state in (*OVER, "stopping"):
                raise self._not_running(now)
            ready = sum(one.state == "running" for one in now.workers)
            if now.state == "running" and ready == now.workers_wanted == len(now.workers):
                return self
            if deadline is not None and time.monotonic() > deadline:
                raise TimeoutError(f"{self.name} is {now.state} after {timeout:g} s: {now.message}")
            time.sleep(_POLL_SECONDS)

    def __enter__(self) -> ClusterHandle:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # --- looks ----------------------------------------------------------------------------------

    def __repr__(self) -> str:
        return cluster_display.text(self._fresh())

    def _repr_html_(self) -> str:
        return cluster_display.html(self._fresh())

    def _fresh(self) -> wire.Cluster:
        """Now, or as it was last where the server can't be asked: showing it never raises."""
        try:
            return self.status
        except GpuWorkbenchError:
            return self._last

    def _not_running(self, now: wire.Cluster) -> GpuWorkbenchError:
        why = f": {now.message}" if now.message else ""
        hint = (
            "Start a new one with gw.cluster(…)."
            if now.state in (*OVER, "stopping")
            else ("cluster.wait() waits for it.")
        )
        return GpuWorkbenchError(
            "cluster_not_running", f"Cluster {now.name} is {now.state}{why}", hint
        )

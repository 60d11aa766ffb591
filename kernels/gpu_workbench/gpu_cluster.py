"""`GpuCluster`: a Dask cluster that runs elsewhere, as any of distributed's `Cluster` objects.

It holds the cluster's id and a connection to its scheduler, and asks the user's server for whatever
touches slices. Throw it away and the cluster lives on; `close` ends the cluster, `disconnect` only
this connection. Sync and async as in distributed: `with`, `async with`, `await`, `Client(cluster)`.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import weakref
from collections.abc import Callable, Generator
from typing import Any

from distributed import Security
from distributed.core import Status, rpc
from distributed.deploy.cluster import Cluster
from distributed.utils import NoOpAwaitable

from . import cluster_display
from . import protocol as wire
from .client import Client
from .cluster_display import OVER
from .display import Live
from .errors import GpuWorkbenchError

_POLL_SECONDS = 0.1
_LOOK_SECONDS = 1.0
_CLOSE_SECONDS = 30.0

# distributed has no types.
_Cluster: Any = Cluster
_Security: Any = Security
_rpc: Any = rpc


class Adapting:
    """That a cluster chooses its number of workers itself, until `stop`."""

    periodic_callback = True  # what distributed's widget looks at

    def __init__(self, cluster: GpuCluster, minimum: int, maximum: int) -> None:
        self.minimum, self.maximum = minimum, maximum
        self._cluster = weakref.proxy(cluster)

    def stop(self) -> None:
        """Keep the number of workers that there are now."""
        self._cluster.scale(len(self._cluster.info.workers))


class GpuCluster(_Cluster):  # type: ignore[misc]
    def __init__(
        self, found: wire.Cluster, client: Client, asynchronous: bool = False, loop: Any = None
    ) -> None:
        """`gw.cluster` makes them; they connect when they are first used, or awaited."""
        self._last = found
        self._client = client
        self._starting: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._adaptive: Adapting | None
        self._clients: weakref.WeakSet[Any] = weakref.WeakSet()
        super().__init__(asynchronous=asynchronous, loop=loop, name=found.name)

    # --- how it is ------------------------------------------------------------------------------

    @property
    def id(self) -> str:
        return self._last.id

    @property
    def info(self) -> wire.Cluster:
        """How it is now, as the server knows it."""
        if self._last.state not in OVER:
            self._last = self._client.call("GET", f"clusters/{self.id}", returns=wire.Cluster)
            self.name = self._last.name
        return self._last

    @property
    def state(self) -> wire.ClusterState:
        """`waiting`, `starting`, `running`, `stopping`, then `ended` or `failed`."""
        return self.info.state

    @property
    def workers(self) -> dict[str, wire.WorkerView]:
        """One for each slice that is in use, by the slice's id."""
        return {one.name: one for one in self.info.workers}

    @property
    def security(self) -> Any:
        """`distributed.Security` of this cluster; needs the files of its owner."""
        files = self._last.security or self.info.security
        if files is None:
            raise self._not_running(self._last)
        if not files:  # UCX
            return _Security()
        return _Security(
            tls_ca_file=files["ca"],
            tls_client_cert=files["cert"],
            tls_client_key=files["key"],
            require_encryption=True,
        )

    @property
    def dashboard_link(self) -> str:
        """On the user's own server, behind its login."""
        path = self._last.dashboard_path
        return f"{self._client.url.rstrip('/')}{path}" if path else ""

    # --- connecting -----------------------------------------------------------------------------

    async def _start(self) -> None:
        """Connect once it has a scheduler; concurrent callers share one attempt."""
        if self.status == Status.running:
            return
        if self.status in (Status.closing, Status.closed):
            raise self._not_running(self._last)
        if self._starting is None:
            self._starting = asyncio.ensure_future(self._connect())
        try:
            await asyncio.shield(self._starting)
        finally:
            if self._starting is not None and self._starting.done():
                self._starting = None

    async def _connect(self) -> None:
        while True:
            now = await asyncio.to_thread(lambda: self.info)
            if now.state in (*OVER, "stopping"):
                raise self._not_running(now)
            if now.state == "running" and now.scheduler_address:
                break
            await asyncio.sleep(_POLL_SECONDS)
        self.status = Status.starting
        arguments = self.security.get_connection_args("client")
        self.scheduler_comm = _rpc(now.scheduler_address, connection_args=arguments)
        await super()._start()
        self._watching = asyncio.ensure_future(self._watch())

    async def _watch(self) -> None:
        """Say so when a worker leaves with its lease, or when it ends by itself: nobody would
        learn it from a connection that closes."""
        told = self._last.notice_at
        while self._last.state not in OVER:
            await asyncio.sleep(_LOOK_SECONDS)
            with contextlib.suppress(GpuWorkbenchError):
                now = await asyncio.to_thread(lambda: self.info)
                if now.notice_at != told and now.state not in OVER:
                    self._log(f"cluster {now.name}: {now.notice}")
                told = now.notice_at
        if self.status == Status.running:
            self._log(cluster_display.text(self._last))
            self._watching = None  # which is this task
            await self._disconnect()

    def __await__(self) -> Generator[Any, Any, GpuCluster]:
        async def started() -> GpuCluster:
            await self._start()
            return self

        return started().__await__()

    def _connected(self) -> None:
        """Connect, where the caller may block."""
        if not self.asynchronous and self.status != Status.running:
            self._run_loop()
            self.sync(self._start)

    def _run_loop(self) -> None:
        if not self._loop_runner.is_started():
            self._loop_runner.start()

    # --- use ------------------------------------------------------------------------------------

    def wait(
        self, workers: int | None = None, timeout: float | None = None, show: bool = False
    ) -> GpuCluster:
        """Block until it runs with so many workers; by default all that are wanted.

        Raises `GpuWorkbenchError` where it ends instead, `TimeoutError` after `timeout` seconds.
        """
        live = Live() if show else None
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            now = self.info
            ready = sum(one.state == "running" for one in now.workers)
            enough = now.workers_wanted if workers is None else workers
            leaving = workers is None and len(now.workers) > enough
            there = now.state == "running" and ready >= enough and not leaving
            if live is not None:
                # One line is enough once it is there: who ends the cell with it sees all of it.
                live.show(cluster_display.text(now), cluster_display.html(now, brief=there))
            if now.state in (*OVER, "stopping"):
                raise self._not_running(now)
            if there:
                self._connected()
                return self
            if deadline is not None and time.monotonic() > deadline:
                raise TimeoutError(f"{self.name} is {now.state} after {timeout:g} s: {now.message}")
            time.sleep(_POLL_SECONDS)

    async def _wait_for_workers(self, n_workers: int = 0, timeout: float | None = None) -> None:
        await self._start()
        await super()._wait_for_workers(n_workers, timeout)

    def wait_for_workers(self, n_workers: int, timeout: float | None = None) -> Any:
        """As distributed's; shows what the missing ones wait for."""
        if self.asynchronous or not isinstance(n_workers, int) or n_workers < 1:
            return super().wait_for_workers(n_workers, timeout)
        self.wait(n_workers, timeout, show=True)
        return super().wait_for_workers(n_workers, timeout)

    def get_client(self, set_as_default: bool = True) -> Any:
        """A Dask client of this cluster; `close` closes it, too. Waits until the cluster runs."""
        from distributed import Client as DaskClient

        if not self.asynchronous:
            self._connected()
        make: Any = DaskClient
        found = make(self, set_as_default=set_as_default, asynchronous=self.asynchronous)
        self._clients.add(found)
        return found

    def scale(self, n: int) -> Any:
        """Have `n` workers: slices are requested through the queue, or given back.

        A worker that leaves hands its results over first. Returns at once; `wait` waits for it.
        """
        self._adaptive = None
        return self._ask("POST", "scale", wire.Scale(workers=n))

    def adapt(self, minimum: int = 0, maximum: int | None = None, **_: Any) -> Any:
        """Let it choose between so many workers, by what there is to do; upwards through the queue.

        `maximum` is by default what it has now. `scale` ends it.
        """
        most = max(1, self._last.workers_wanted) if maximum is None else maximum
        self._adaptive = Adapting(self, minimum, most)
        done = self._ask("POST", "adapt", wire.Adapt(minimum=minimum, maximum=most))
        return done if self.asynchronous else self._adaptive

    def rename(self, name: str) -> Any:
        return self._ask("POST", "rename", wire.Rename(name=name))

    def restart(self) -> Any:
        """New processes for all workers, on the same slices; what they computed is lost."""
        return self._ask("POST", "restart", None)

    async def _get_logs(
        self, cluster: bool = True, scheduler: bool = True, workers: Any = True
    ) -> Any:
        await self._start()
        return await super()._get_logs(cluster, scheduler, workers)

    def get_logs(self, cluster: bool = True, scheduler: bool = True, workers: Any = True) -> Any:
        """Logs of the scheduler and of each worker by its address."""
        self._connected()
        return super().get_logs(cluster, scheduler, workers)

    def __enter__(self) -> GpuCluster:
        if not self.asynchronous:
            self._connected()
        entered: GpuCluster = super().__enter__()
        return entered

    # --- its end --------------------------------------------------------------------------------

    def close(self, timeout: float | None = None) -> Any:
        """End the cluster and give its slices back. Idempotent; returns when that is done."""
        if self.status == Status.closed:
            return NoOpAwaitable() if self.asynchronous else None
        if self.asynchronous:
            return asyncio.ensure_future(self._close())
        for one in list(self._clients):
            with contextlib.suppress(Exception):  # its scheduler may be gone already
                one.close(timeout=2)
        self._run_loop()
        self.sync(self._close, callback_timeout=timeout)
        self._loop_runner.stop()
        return None

    async def _close(self) -> None:
        if self.status == Status.closed:
            return
        if self._last.state not in OVER:
            self._last = await asyncio.to_thread(self._call("DELETE", ""))
        await self._disconnect()
        deadline = time.monotonic() + _CLOSE_SECONDS
        while self._last.state not in OVER and time.monotonic() < deadline:
            await asyncio.sleep(_POLL_SECONDS)
            await asyncio.to_thread(lambda: self.info)
        # distributed's widget looked for the last time before: it would say for ever that it runs.
        widget = self.periodic_callbacks.get("cluster-repr")
        if widget is not None:
            widget.callback()

    def disconnect(self) -> Any:
        """Drop this connection; the cluster lives on."""
        if self.asynchronous:
            return asyncio.ensure_future(self._disconnect())
        if self.status == Status.running:
            self.sync(self._disconnect)
            self._loop_runner.stop()
        return None

    async def _disconnect(self) -> None:
        self._adaptive = None
        if self._watching is not None:
            self._watching.cancel()
        with contextlib.suppress(OSError):
            await super()._close()
        self.status = Status.closed

    def __del__(self, _warn: Any = None) -> None:
        """No warning: the cluster is meant to outlive this object."""

    # --- looks ----------------------------------------------------------------------------------

    def __repr__(self) -> str:
        now = self._fresh()
        threads = sum(one["nthreads"] for one in self.scheduler_info["workers"].values())
        what = f"GpuCluster({now.name!r}, {self.scheduler_address!r}, threads={threads})"
        return f"{what}\n{cluster_display.text(now)}"

    def _repr_html_(self, cluster_status: Any = None) -> str:
        # Connected, the last look is a second old, and distributed asks from its event loop.
        return cluster_display.html(self._last if self._watching else self._fresh())

    def _fresh(self) -> wire.Cluster:
        """Now, or as it was last where the server can't be asked: showing it never raises."""
        try:
            return self.info
        except GpuWorkbenchError:
            return self._last

    # --- asking the server ----------------------------------------------------------------------

    def _ask(self, method: str, verb: str, body: Any) -> Any:
        call = self._call(method, verb, body)
        if self.asynchronous:
            return asyncio.ensure_future(self._asked(call))
        self._taken(call())
        return None

    async def _asked(self, call: Callable[[], wire.Cluster]) -> None:
        self._taken(await asyncio.to_thread(call))

    def _taken(self, now: wire.Cluster) -> None:
        self._last = now
        self.name = now.name

    def _call(self, method: str, verb: str, body: Any = None) -> Callable[[], wire.Cluster]:
        path = f"clusters/{self.id}/{verb}".rstrip("/")
        return lambda: self._client.call(method, path, body, returns=wire.Cluster)

    @staticmethod
    def _not_running(now: wire.Cluster) -> GpuWorkbenchError:
        why = f": {now.message}" if now.message else ""
        over = now.state in (*OVER, "stopping")
        hint = "Start a new one with gw.cluster(…)." if over else "cluster.wait() waits for it."
        return GpuWorkbenchError(
            "cluster_not_running", f"Cluster {now.name} is {now.state}{why}", hint
        )

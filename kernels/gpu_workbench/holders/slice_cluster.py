"""The one cluster class: distributed's `SpecCluster` with a nanny on each slice that it is given.

Real slices, simulated ones and different sizes may be mixed. It is told which slices to use
(`use`), moves the data of a worker that leaves before it ends it, and says how everybody does. It
knows no server and no file; `dask_cluster` is the process around it.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from distributed import Nanny, SpecCluster
from distributed.core import Status
from distributed.system import MEMORY_LIMIT

from .. import protocol as wire
from .dask_workers import nanny_options, this_machine
from .pages import QuietScheduler
from .worker_specs import worker_spec

MOVE_SECONDS = 20.0
"""So long a worker that leaves may move its data to others."""
_LOWER_SECONDS = 3.0
"""So long fewer workers must do before some are given up."""

# Of Dask, without types.
_Cluster: Any = SpecCluster


class SliceCluster(_Cluster):  # type: ignore[misc]
    """Await it to start it; then `use` slices and `step` about once a second."""

    def __init__(
        self,
        asked: wire.ClusterSpec,
        directory: Path,
        security: Any,
        pages: Path,
        protocol: str = "tls",
    ) -> None:
        """`security` is None where the protocol has none."""
        self._asked = asked
        self._directory = directory
        self._slices: dict[str, wire.Slice] = {}
        self._wanted: dict[str, wire.Lease] = {}
        self._opening: asyncio.Task[None] | None = None
        self._leaving: dict[str, asyncio.Task[None]] = {}
        self._fewer: tuple[int, float] | None = None
        self._restarts: int | None = None
        self.failures = 0
        """How many times in a row a worker did not start."""
        self.failure = ""
        self._retry_at = 0.0
        options = {
            "protocol": protocol,
            "host": "127.0.0.1",
            "port": 0,
            "dashboard_address": "127.0.0.1:0",
            "pages": pages,
            "security": security,
        }
        self._link = {"security": security, "protocol": protocol}
        super().__init__(
            scheduler={"cls": QuietScheduler, "options": options},
            security=security,
            name=asked.name,
            asynchronous=True,
        )

    # --- what is wanted -------------------------------------------------------------------------

    def use(self, leases: Sequence[wire.Lease]) -> None:
        """A worker on each slice of these leases, and on no other, from the next step on."""
        self._wanted = {one.id: lease for lease in leases for one in lease.slices}
        self._slices |= {one.id: one for lease in leases for one in lease.slices}

    def step(self) -> None:
        """Begin what is to be done; nothing here waits."""
        for name, nanny in list(self.workers.items()):
            if nanny.status in (Status.failed, Status.closed):  # given up by its nanny: a new one
                del self.workers[name]
        for name in set(self.workers) - set(self._wanted) - set(self._leaving):
            self._leaving[name] = asyncio.create_task(self._retire(name))
        if self._opening is not None and self._opening.done():
            self._judge(self._opening.exception())
            self._opening = None
        missing = set(self._wanted) - set(self.workers) - set(self._leaving)
        if missing and self._opening is None and time.monotonic() >= self._retry_at:
            self._opening = asyncio.create_task(self._open(missing))

    async def stop(self) -> None:
        """Close all; raises where that fails."""
        for task in (self._opening, *self._leaving.values()):
            if task is not None:
                task.cancel()
        await self.close()

    async def _open(self, names: set[str]) -> None:
        for name in names:
            lease, one = self._wanted[name], self._slices[name]
            spec = worker_spec(self._asked, lease, one, this_machine(MEMORY_LIMIT, one))
            options = nanny_options(spec, self._directory) | self._link
            self.worker_spec[name] = {"cls": Nanny, "options": options}
        await self._correct_state()

    async def _retire(self, name: str) -> None:
        """Move its data first, then end it; its slice is empty when it is gone from `workers`.

        `SpecCluster` itself would name the worker where the scheduler wants an address, and so move
        nothing.
        """
        try:
            with contextlib.suppress(TimeoutError, OSError):
                moving = self.scheduler.retire_workers(names=[name], remove=True)
                await asyncio.wait_for(moving, MOVE_SECONDS)
            with contextlib.suppress(TimeoutError, OSError):
                await asyncio.wait_for(self.workers[name].close(timeout=3), 6)
            with contextlib.suppress(TimeoutError, OSError, AttributeError):
                await self.workers[name].kill(timeout=1)
        finally:
            self.worker_spec.pop(name, None)
            self.workers.pop(name, None)
            self._leaving.pop(name, None)

    def _judge(self, error: BaseException | None) -> None:
        if error is None:
            self.failures = 0
            return
        self.failures += 1
        self.failure = str(error) or repr(error)
        self._retry_at = time.monotonic() + 2.0**self.failures
        print(f"a worker did not start: {error!r}", file=sys.stderr, flush=True)

    def restart_workers(self, times: int) -> None:
        """Restart them all where they were not restarted so many times already."""
        if self._restarts is not None and times > self._restarts:
            stimulus = f"restart-{times}"
            self._futures.add(
                asyncio.ensure_future(self.scheduler.restart(stimulus_id=stimulus, timeout=30))
            )
        self._restarts = times

    # --- what is --------------------------------------------------------------------------------

    @property
    def ready(self) -> int:
        """Workers on wanted slices that do work."""
        return sum(one.state == "running" for one in self.views())

    def views(self) -> list[wire.WorkerView]:
        """Of every slice that is wanted, or not empty yet."""
        known = (
            {} if self.scheduler is None else {w.name: w for w in self.scheduler.workers.values()}
        )
        names = [*self._wanted, *(name for name in self.workers if name not in self._wanted)]
        return [self._view(self._slices[name], known.get(name)) for name in names]

    def _view(self, one: wire.Slice, worker: Any) -> wire.WorkerView:
        leaves = one.id not in self._wanted
        metrics = {} if worker is None else worker.metrics
        cpu, spilled = metrics.get("cpu"), metrics.get("spilled_bytes") or {}
        return wire.WorkerView(
            name=one.id,
            slice_id=one.id,
            pid=None if worker is None else worker.pid,
            state="leaving" if leaves else "starting" if worker is None else "running",
            slice_bytes=one.memory_bytes,
            host_bytes=metrics.get("memory"),
            host_limit_bytes=None if worker is None else worker.memory_limit,
            spilled_bytes=spilled.get("disk"),
            busy=None if cpu is None else round(cpu / 100, 2),
            tasks=None if worker is None else len(worker.processing),
            results=None if worker is None else len(worker.has_what),
        )

    def in_use(self) -> bool:
        """A client is connected, or there is something to do."""
        clients = set(self.scheduler.clients) - {"fire-and-forget"}  # the scheduler's own
        return bool(clients) or self.tasks() > 0

    def tasks(self) -> int:
        """All that are not done yet."""
        scheduler = self.scheduler
        on_workers = sum(len(worker.processing) for worker in scheduler.workers.values())
        return len(scheduler.queued) + len(scheduler.unrunnable) + on_workers

    def desired(self, adapt: wire.Adapt) -> int:
        """How many workers are useful now: more at once, fewer only when that lasts."""
        now, here = time.monotonic(), len(self._wanted)
        found = max(adapt.minimum, min(adapt.maximum, int(self.scheduler.adaptive_target())))
        if found >= here:
            self._fewer = None
            return found
        most, since = self._fewer or (found, now)
        self._fewer = (max(most, found), since)
        if now - since < _LOWER_SECONDS:
            return min(here, adapt.maximum)
        return max(most, found)

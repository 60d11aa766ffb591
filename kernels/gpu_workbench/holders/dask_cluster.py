"""A Dask cluster on a lease's slices: `python -m gpu_workbench.holders.dask_cluster DIR`.

One scheduler and one nanny per slice in this process, the workers forked from a small server of
their own (never from here, and CUDA is never touched here). It follows `target.json` and tells
`status.json`, level-triggered, and knows no server: whoever is killed, what is in the directory
stays true. Listens on 127.0.0.1 only, with TLS: an open scheduler runs anybody's code.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, Literal

import dask
import msgspec
from distributed import Nanny, Scheduler, SpecCluster
from distributed.core import Status
from distributed.security import Security
from distributed.system import MEMORY_LIMIT

from .. import protocol as wire
from . import files
from .dask_workers import has_dask_cuda, worker_options

_TICK = 0.5
_TELL_EVERY = 2.0
_CLOSE_SECONDS = 8.0
_ENDS_AT_SLACK = 30.0
"""Seconds after the lease's end in which the server may stop us, or extend the lease."""
_TRIES = 3

_SETTINGS = {
    # Spawning a worker costs 0.5 CPU seconds each, forking it from a warm server 0.1.
    "distributed.worker.multiprocessing-method": "forkserver",
    # These pages ask nobody who they are, and other users of this machine reach loopback too.
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
}

# Parts of Dask without types.
_Cluster: Any = SpecCluster
_Security: Any = Security

State = Literal["starting", "running", "stopping", "ended", "failed"]


class ClusterHolder:
    """The cluster of one directory, from its start to its end."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._spec = msgspec.convert(files.read_json(directory / files.SPEC), wire.ClusterSpec)
        self._target = wire.ClusterTarget(workers=len(self._spec.lease.slices))
        self._state: State = "starting"
        self._message = "starting the scheduler"
        self._wake = asyncio.Event()
        self._why_stop: str | None = None
        self._security = _Security.temporary()
        self._key_files = _write_security(self._security, directory)
        self._cluster = _Cluster(
            scheduler={
                "cls": Scheduler,
                "options": {
                    "protocol": "tls",
                    "host": "127.0.0.1",
                    "port": 0,
                    "dashboard": False,
                    "dashboard_address": "127.0.0.1:0",
                    "security": self._security,
                },
            },
            security=self._security,
            name=self._spec.name,
            asynchronous=True,
        )
        self._told: tuple[Any, ...] = ()
        self._told_at = 0.0
        self._used_at = time.monotonic()
        self._transitions = -1
        self._failures = 0
        self._retry_at = 0.0

    # --- life ---------------------------------------------------------------------------------

    async def run(self) -> int:
        """Until it is told to stop, idles out, or can't go on; the exit code of the process."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop, "stopped")
        self._tell()
        await self._cluster
        scaling: asyncio.Task[None] | None = None
        while self._why_stop is None:
            self._read_target()
            if scaling is None and self._wants_scaling():
                scaling = asyncio.create_task(self._scale())
            if scaling is not None and scaling.done():
                self._judge(scaling.exception())
                scaling = None
            self._tell()
            self._judge_idle()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), _TICK)
        if scaling is not None:
            scaling.cancel()
        await self._close()
        return 1 if self._state == "failed" else 0

    def stop(self, why: str) -> None:
        self._why_stop = self._why_stop or why
        self._wake.set()

    async def _close(self) -> None:
        failed = self._state == "failed"
        if not failed:
            self._state = "stopping"
        self._message = self._why_stop or "stopped"
        self._tell()
        try:
            await asyncio.wait_for(self._cluster.close(), _CLOSE_SECONDS)
        except Exception as error:  # whatever stays, the lease's end takes along
            print(f"closing: {error!r}", file=sys.stderr, flush=True)
        self._state = "failed" if failed else "ended"
        self._tell()

    # --- what is wanted -----------------------------------------------------------------------

    def _read_target(self) -> None:
        if not self._directory.is_dir():
            self.stop("its directory is gone")
            return
        found = files.read_json(self._directory / files.TARGET)
        if found is not None:
            with contextlib.suppress(msgspec.ValidationError):
                self._target = msgspec.convert(found, wire.ClusterTarget)
        ends_at = self._target.ends_at or self._spec.lease.ends_at
        if self._target.stop:
            self.stop("stopped")
        elif time.time() > ends_at + _ENDS_AT_SLACK:
            self.stop("its lease has ended")

    def _wanted(self) -> list[wire.Slice]:
        slices = self._spec.lease.slices
        return slices[: max(1, min(self._target.workers, len(slices)))]

    def _wants_scaling(self) -> bool:
        for name, nanny in list(self._cluster.workers.items()):
            if nanny.status in (Status.failed, Status.closed):  # given up by its nanny: a new one
                del self._cluster.workers[name]
        missing = {one.id for one in self._wanted()} ^ set(self._cluster.workers)
        return bool(missing) and time.monotonic() >= self._retry_at

    async def _scale(self) -> None:
        self._cluster.worker_spec = {
            one.id: {
                "cls": Nanny,
                "options": worker_options(self._spec, one, self._directory, MEMORY_LIMIT)
                | {"security": self._security},
            }
            for one in self._wanted()
        }
        await self._cluster

    def _judge(self, error: BaseException | None) -> None:
        """A worker that can't start is tried again some times, then it is the cluster's failure."""
        if error is None:
            self._failures = 0
            return
        self._failures += 1
        self._retry_at = time.monotonic() + 2.0**self._failures
        print(f"a worker did not start: {error!r}", file=sys.stderr, flush=True)
        if self._failures >= _TRIES:
            self._state = "failed"
            self.stop(f"its workers don't start: {error}")

    def _judge_idle(self) -> None:
        """Used is what works: a client that is only connected doesn't hold a GPU for ever."""
        scheduler: Any = self._cluster.scheduler
        busy = bool(scheduler.queued or scheduler.unrunnable) or any(
            worker.processing for worker in scheduler.workers.values()
        )
        starting = self._state == "starting"
        if starting or busy or scheduler.transition_counter != self._transitions:
            self._transitions = scheduler.transition_counter
            self._used_at = time.monotonic()
        limit = self._spec.idle_seconds
        if limit and time.monotonic() - self._used_at >= limit:
            self.stop(f"ended after {_minutes(limit)} without a task")

    # --- what is ------------------------------------------------------------------------------

    def _views(self) -> list[wire.WorkerView]:
        scheduler = self._cluster.scheduler
        known = {} if scheduler is None else {w.name: w for w in scheduler.workers.values()}
        lives = self._state in ("starting", "running")
        wanted = {one.id for one in self._wanted()} if lives else set()
        return [
            wire.WorkerView(
                name=one.id,
                slice_id=one.id,
                pid=known[one.id].pid if one.id in known else None,
                state="running" if one.id in known else "starting",
            )
            for one in self._spec.lease.slices
            if one.id in wanted or one.id in known
        ]

    def _tell(self) -> None:
        """Write the status where it changed, or every 2 s as a sign of life."""
        views = self._views()
        if self._state in ("starting", "running"):
            ready = sum(one.state == "running" for one in views)
            wanted = len(self._wanted())
            if ready >= wanted:
                self._state, self._message = "running", self._remark()
            elif self._failures:
                self._message = f"worker {ready + 1} of {wanted} did not start, trying again"
            else:
                self._message = f"starting workers, {ready} of {wanted} are up"
        now = (self._state, self._message, views)
        if now == self._told and time.monotonic() - self._told_at < _TELL_EVERY:
            return
        scheduler = self._cluster.scheduler
        status = wire.ClusterStatus(
            state=self._state,
            message=self._message,
            workers=views,
            updated_at=time.time(),
            scheduler_address=None if scheduler is None else scheduler.address,
            security=self._key_files,
        )
        try:
            files.write_json(self._directory / files.STATUS, msgspec.to_builtins(status))
        except OSError as error:  # a full disk must not end a cluster
            print(f"status not written: {error}", file=sys.stderr, flush=True)
            return
        self._told, self._told_at = now, time.monotonic()

    def _remark(self) -> str:
        real = any(one.tier != "simulated" for one in self._spec.lease.slices)
        if real and not has_dask_cuda():
            return "without dask-cuda: no spilling, no memory pool"
        return ""


def _write_security(security: Any, directory: Path) -> dict[str, str]:
    """The cluster's TLS key and certificate as files, for clients of the same user."""
    texts = {"ca": security.tls_ca_file, "cert": security.tls_client_cert}
    texts["key"] = security.tls_client_key
    paths = {}
    for name, text in texts.items():
        path = directory / f"tls-{name}.pem"
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(text)
        paths[name] = str(path)
    return paths


def _minutes(seconds: int) -> str:
    return f"{seconds} s" if seconds < 120 else f"{round(seconds / 60)} min"


async def _run(directory: Path) -> int:
    return await ClusterHolder(directory).run()


def main(directory: Path) -> int:
    dask.config.set(_SETTINGS)
    # The log is for what went wrong; the variables are for the workers and their server, which
    # mourns semaphores when we are killed.
    logging.getLogger("distributed").setLevel(logging.WARNING)
    os.environ["DASK_LOGGING__DISTRIBUTED"] = "warning"
    quiet = "ignore::UserWarning:multiprocessing.resource_tracker"
    os.environ["PYTHONWARNINGS"] = ",".join(filter(None, [os.environ.get("PYTHONWARNINGS"), quiet]))
    try:
        return asyncio.run(_run(directory))
    except Exception as error:
        sign = wire.ClusterStatus(
            state="failed", message=f"did not start: {error}", workers=[], updated_at=time.time()
        )
        with contextlib.suppress(OSError):
            files.write_json(directory / files.STATUS, msgspec.to_builtins(sign))
        raise


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))

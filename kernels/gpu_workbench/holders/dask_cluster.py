"""The process of a Dask cluster: `python -m gpu_workbench.holders.dask_cluster DIR`.

Scheduler and nannies are here, the workers forked from a small server of their own (never from
here, and CUDA is never touched here). It follows `target.json` and tells `status.json`,
level-triggered, and knows no server: whoever is killed, what is in the directory stays true. It
listens on 127.0.0.1 only, with TLS: an open scheduler runs anybody's code.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import time
import warnings
from pathlib import Path
from typing import Any, Literal

import dask
import msgspec

from .. import protocol as wire
from . import credentials, files, forkserver, sockets, tags, transport
from .dask_workers import has_dask_cuda
from .slice_cluster import SliceCluster
from .worker_specs import PROCESS

_TICK = 0.2
_STARTING_TICK = 0.05
"""Somebody waits for it."""
_TELL_EVERY = 2.0
_CLOSE_SECONDS = 8.0
_BEFORE_END = 10.0
"""Seconds before its lease's end in which a worker moves its data to others that stay."""
_ENDS_AT_SLACK = 30.0
"""Seconds after the last lease's end in which the server may stop us, or extend a lease."""
_TRIES = 3

_SETTINGS = {
    # Spawning a worker costs 0.5 CPU seconds each, forking it from a warm server 0.1.
    "distributed.worker.multiprocessing-method": "forkserver",
    "distributed.worker.http.routes": [],
}

State = Literal["starting", "running", "stopping", "ended", "failed"]


class ClusterHolder:
    """The cluster of one directory, from its start to its end."""

    def __init__(self, directory: Path, place: Path) -> None:
        """`place` is for its sockets."""
        self._directory = directory
        self._spec = msgspec.convert(files.read_json(directory / files.SPEC), wire.ClusterSpec)
        self._target = wire.ClusterTarget()
        self._state: State = "starting"
        self._message = "starting the scheduler"
        self._wake = asyncio.Event()
        self._why_stop: str | None = None
        self._transport = self._choose_transport()
        tls = self._transport.protocol == "tls"
        security = credentials.make() if tls else None
        self._key_files = credentials.write(security, directory) if tls else {}
        self._pages = place / "dashboard.sock"
        self._cluster = SliceCluster(
            self._spec, directory, security, self._pages, self._transport.protocol
        )
        self._told: tuple[Any, ...] = ()
        self._told_at = 0.0
        self._used_at = time.monotonic()
        self._transitions = -1
        self._heard: tuple[int, float] = (0, time.monotonic())
        """When `target.json` was last touched, and when (monotonic) that was seen."""

    def _choose_transport(self) -> transport.Transport:
        """By the slices that it begins on."""
        found = files.read_json(self._directory / files.TARGET)
        leases = [] if found is None else msgspec.convert(found, wire.ClusterTarget).leases
        slices = [one for lease in leases for one in lease.slices]
        return transport.choose(self._spec.ucx, slices, transport.is_installed())

    # --- life ---------------------------------------------------------------------------------

    async def run(self) -> int:
        """Until it is told to stop, idles out, or can't go on; the exit code of the process."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop, "stopped")
        self._tell()
        await self._cluster
        while self._why_stop is None:
            self._follow()
            self._cluster.step()
            self._judge()
            self._tell()
            tick = _STARTING_TICK if self._state == "starting" else _TICK
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), tick)
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
            await asyncio.wait_for(self._cluster.stop(), _CLOSE_SECONDS)
        except Exception as error:  # whatever stays, the lease's end takes along
            print(f"closing: {error!r}", file=sys.stderr, flush=True)
        self._state = "failed" if failed else "ended"
        self._tell()

    # --- what is wanted -----------------------------------------------------------------------

    def _follow(self) -> None:
        """Take up what is wanted, or see that nobody wants anything any more."""
        if not self._directory.is_dir():
            self.stop("its directory is gone")
            return
        found = files.read_json(self._directory / files.TARGET)
        if found is not None:
            with contextlib.suppress(msgspec.ValidationError):
                self._target = msgspec.convert(found, wire.ClusterTarget)
        leases, now = self._target.leases, time.time()
        if self._target.stop:
            self.stop("stopped")
        elif leases and all(now > one.ends_at + _ENDS_AT_SLACK for one in leases):
            self.stop("its lease has ended")
        elif self._is_alone():
            self.stop("its server is gone")
        staying = [one for one in leases if now < one.ends_at - _BEFORE_END]
        self._cluster.use(staying or leases)
        self._cluster.restart_workers(self._target.restarts)

    def _is_alone(self) -> bool:
        """Nobody has touched the target for longer than a cluster may live without a server."""
        touched = 0
        with contextlib.suppress(OSError):
            touched = (self._directory / files.TARGET).stat().st_mtime_ns
        if touched != self._heard[0]:
            self._heard = (touched, time.monotonic())
        limit = self._spec.silence_seconds
        return limit is not None and time.monotonic() - self._heard[1] > limit

    def _judge(self) -> None:
        """End it where its workers don't start, or nobody uses it."""
        if self._cluster.failures >= _TRIES:
            self._state = "failed"
            self.stop(f"its workers don't start: {self._cluster.failure}")
        scheduler: Any = self._cluster.scheduler
        worked = scheduler.transition_counter != self._transitions
        if worked or self._cluster.in_use() or self._state == "starting":
            self._transitions = scheduler.transition_counter
            self._used_at = time.monotonic()
        limit = self._spec.idle_seconds
        if limit and time.monotonic() - self._used_at >= limit:
            self.stop(f"ended after {_minutes(limit)} without a client or a task")

    # --- what is ------------------------------------------------------------------------------

    def _tell(self) -> None:
        """Write the status where it changed, or every 2 s as a sign of life."""
        lives = self._state in ("starting", "running")
        views = self._cluster.views() if lives else []
        wanted = [one for one in views if one.state != "leaving"]
        ready = sum(one.state == "running" for one in wanted)
        if lives and self._cluster.scheduler is not None and self._told:
            if ready >= len(wanted):
                self._state, self._message = "running", self._remark()
            elif self._cluster.failures:
                self._message = f"worker {ready + 1} of {len(wanted)} did not start, trying again"
            else:
                self._message = f"starting workers, {ready} of {len(wanted)} are up"
        seen = [(one.name, one.pid, one.state) for one in views]
        now = (self._state, self._message, seen, self._desired() if lives else None)
        if now == self._told and time.monotonic() - self._told_at < _TELL_EVERY:
            return
        try:
            files.write_json(self._directory / files.STATUS, self._status(views, now[-1]))
        except OSError as error:  # a full disk must not end a cluster
            print(f"status not written: {error}", file=sys.stderr, flush=True)
            return
        self._told, self._told_at = now, time.monotonic()

    def _status(self, views: list[wire.WorkerView], desired: int | None) -> dict[str, Any]:
        scheduler: Any = self._cluster.scheduler
        limit, tasks = self._spec.idle_seconds, None if scheduler is None else self._cluster.tasks()
        idle_at = None
        if limit and self._state == "running" and not self._cluster.in_use():
            idle_at = time.time() + limit - (time.monotonic() - self._used_at)
        status = wire.ClusterStatus(
            state=self._state,
            message=self._message,
            workers=views,
            updated_at=time.time(),
            desired=desired,
            tasks=tasks,
            idle_at=idle_at,
            scheduler_address=None if scheduler is None else scheduler.address,
            dashboard_socket=None if scheduler is None else str(self._pages),
            security=self._key_files,
        )
        found: dict[str, Any] = msgspec.to_builtins(status)
        return found

    def _desired(self) -> int | None:
        if self._target.adapt is None or self._cluster.scheduler is None:
            return None
        return self._cluster.desired(self._target.adapt)

    def _remark(self) -> str:
        slices = [one for lease in self._target.leases for one in lease.slices]
        if any(one.tier != "simulated" for one in slices) and not has_dask_cuda():
            return "without dask-cuda: no spilling, no memory pool"
        return self._transport.remark


def _minutes(seconds: int) -> str:
    return f"{seconds} s" if seconds < 120 else f"{round(seconds / 60)} min"


async def _run(directory: Path, place: Path) -> int:
    return await ClusterHolder(directory, place).run()


def main(directory: Path, warm: bool = False) -> int:
    """`warm`: workers are forked from what this process has imported."""
    place = sockets.socket_directory(directory)
    sockets.use_for_multiprocessing(place)
    if warm:
        forkserver.start()
    dask.config.set(_SETTINGS)
    # The log is for what went wrong; the variables are for the workers and their server, which
    # mourns semaphores when we are killed.
    logging.getLogger("distributed").setLevel(logging.WARNING)
    # Each connected notebook follows the workers, as distributed's own cluster objects do.
    warnings.filterwarnings("ignore", "Scheduler already contains a plugin with name worker-status")
    os.environ["DASK_LOGGING__DISTRIBUTED"] = "warning"
    quiet = "ignore::UserWarning:multiprocessing.resource_tracker"
    os.environ["PYTHONWARNINGS"] = ",".join(filter(None, [os.environ.get("PYTHONWARNINGS"), quiet]))
    # Workers are forked from a server that starts with these: room for their tags, and what comes
    # too late in a nanny's options.
    os.environ.update({name: tags.ROOM[name] for name in (wire.LEASE_ENV, wire.SLICES_ENV)})
    os.environ.update(PROCESS | os.environ)
    try:
        return asyncio.run(_run(directory, place))
    except Exception as error:
        sign = wire.ClusterStatus(
            state="failed", message=f"did not start: {error}", workers=[], updated_at=time.time()
        )
        with contextlib.suppress(OSError):
            files.write_json(directory / files.STATUS, msgspec.to_builtins(sign))
        raise
    finally:
        sockets.remove_sockets(place, directory)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))

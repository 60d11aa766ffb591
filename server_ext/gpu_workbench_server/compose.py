"""The other half of the composition root: settings in, running services out. Knows no traitlets.

Imported early and so imports nothing heavy at its top; `compose` runs in a thread.
"""

from __future__ import annotations

import hashlib
import logging
from asyncio import AbstractEventLoop
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpu_workbench import protocol as wire

from .errors import BadConfiguration, NoDevices
from .housekeeping import Housekeeping
from .lock import DataDirectoryLock
from .ports import Clock, DeviceBackend, EventSink
from .settings import Settings
from .web.context import Services

if TYPE_CHECKING:
    from .services.broker import Broker
    from .services.policy_source import PolicySource
    from .services.reaper import KernelSource
    from .store.sql import SqlStore

log = logging.getLogger(__name__)

FLEET_SECONDS = 30
"""Rounds of housekeeping between two looks at which GPUs there are."""
CLEANING_ROUNDS = 600
"""And between two looks at the directories of jobs that are over."""


@dataclass
class Running:
    """All that was started, and how to stop it."""

    services: Services
    summary: str
    broker: Broker
    kernels: KernelSource
    _cleanup: ExitStack = field(repr=False)

    def detached(self) -> int:
        """Leases of clusters and jobs: they outlive this server and need its heartbeats."""
        return sum(lease.purpose in ("cluster", "job") for lease in self.broker.alive())

    def close(self) -> None:
        """Give back what this server's kernels hold, then stop everything. Blocking, idempotent."""
        try:
            self._release_kernels()
        except Exception:
            log.exception("GPU Workbench: the kernels' leases could not be given back")
        self._cleanup.close()

    def _release_kernels(self) -> None:
        """Our kernels end with us, and too late to say so themselves."""
        from .services.broker import SYSTEM

        mine = {kernel.id for kernel in self.kernels.kernels()}
        for lease in self.broker.alive():
            if lease.holder is not None and lease.holder.id in mine:
                self.broker.release(SYSTEM, lease.id)


def broker_name(data_dir: Path) -> str:
    """The same after every restart, another for another data directory."""
    return hashlib.sha256(str(data_dir).encode()).hexdigest()[:12]


def compose(
    settings: Settings,
    events: EventSink,
    on_sample: Callable[[wire.Sample], None],
    manager: Any,
    loop: AbstractEventLoop,
    environment: Mapping[str, str],
) -> Running:
    """Open, start and wire everything. Raises a `WorkbenchError`, and leaves nothing open then.

    `events` and `on_sample` get the news and the samples; `manager` is the Jupyter server's
    kernel manager, `environment` what clusters and jobs inherit.
    """
    from .engines.local import LocalEngine
    from .observe.metrics import Metrics, Sources, render
    from .services.boards import Boards
    from .services.broker import SYSTEM, Broker
    from .services.clusters import Clusters
    from .services.hardware_errors import HardwareErrors
    from .services.history import Histories
    from .services.jobs import Jobs
    from .services.policy_source import PolicySource
    from .services.reaper import Reaper
    from .services.sweeps import Sweeps
    from .services.telemetry import Telemetry
    from .store.sql import SqlStore
    from .web.kernels import JupyterKernels

    with ExitStack() as undo:
        source = PolicySource(settings)
        policy = source.read()  # a fault in it is said before anything is made or locked
        hold_directory(settings.data_dir, undo)
        store = SqlStore.open(settings.store_url or settings.data_dir)
        undo.callback(store.close)
        if store.file is None:
            store.hold()
        elif store.file.parent != settings.data_dir:
            hold_directory(store.file.parent, undo)
        devices = open_devices(settings)
        undo.callback(devices.close)

        clock: Clock = SystemClock()
        sources = Sources(
            fleet=lambda: broker.fleet(SYSTEM),
            leases=lambda: broker.leases(SYSTEM),
            requests=lambda: broker.requests(SYSTEM),
            sample=lambda: telemetry.latest(),
            strangers=lambda: telemetry.strangers(),
            now=clock.now,
        )
        metrics = Metrics(sources)
        sink = metrics.counting(events)
        engine = LocalEngine(settings.data_dir / "engine", broker_name(settings.data_dir))
        undo.callback(engine.close)
        broker = Broker(store, devices, clock, sink, policy, metrics.decided)
        broker.start()
        common = (broker, engine, store, sink, clock)
        clusters = Clusters(
            *common,
            settings.data_dir / "clusters",
            environment,
            stop_grace=settings.grace_seconds,
            silence=float(settings.lease_ttl),
            ucx=settings.ucx,
            past=lambda *asked: telemetry.history(*asked),
        )
        jobs = Jobs(
            *common,
            settings.data_dir / "jobs",
            environment,
            stop_grace=settings.grace_seconds,
            past=lambda *asked: telemetry.history(*asked),
            keep_seconds=settings.job_days * 86400,
            keep_bytes=settings.job_gigabytes * 1e9,
            warm_start=settings.warm_start,
        )
        sweeps = Sweeps(jobs, sink, clock, settings.data_dir / "sweeps")
        boards = Boards(jobs.place, engine, environment)
        kernels = JupyterKernels(manager, loop)
        attributions = (clusters.attributions, jobs.attributions)
        reaper = Reaper(broker, engine, devices, kernels, clock, policy, attributions)
        histories = Histories(settings.data_dir / "telemetry")
        errors = HardwareErrors(settings.data_dir / "telemetry" / "errors.json")
        measured = {one.id: one.used_gpu_seconds or 0.0 for one in broker.alive()}
        telemetry: Telemetry = Telemetry(
            devices, reaper.held, clock, on_sample, measured, histories, sink, errors
        )

        chores: dict[str, Callable[[], object]] = {
            "the policy file": partial(follow, source, broker),
            "the broker's tick": broker.tick,
            "clusters": clusters.reconcile,
            "jobs": jobs.reconcile,
            "directories of jobs": every(CLEANING_ROUNDS, jobs.clean),
            "boards": every(CLEANING_ROUNDS, partial(boards.tidy, settings.data_dir / "jobs")),
            "sweeps": sweeps.reconcile,
            "leases": reaper.step,
            "use of leases": lambda: broker.meter(telemetry.take_used()),
            "the fleet": every(FLEET_SECONDS, broker.refresh_fleet, lambda: telemetry.lost),
        }
        housekeeping = Housekeeping(chores, settings.tick_seconds)
        telemetry.start()
        undo.callback(telemetry.stop)
        housekeeping.start()
        undo.callback(housekeeping.stop)
        return Running(
            services=Services(
                broker, clusters, jobs, sweeps, boards, telemetry, lambda: render(metrics.registry)
            ),
            summary=_summary(devices, store),
            broker=broker,
            kernels=kernels,
            _cleanup=undo.pop_all(),
        )


def hold_directory(directory: Path, undo: ExitStack) -> None:
    """Be the only broker of a directory until `undo` ends; `BrokerBusy` where there is one."""
    lock = DataDirectoryLock(directory)
    lock.take()
    undo.callback(lock.release)


def follow(source: PolicySource, broker: Broker) -> None:
    """Where the policy file has changed: the new one from now on, or its faults said."""
    if not source.changed():
        return
    try:
        broker.adopt(source.read())
    except BadConfiguration as fault:
        log.warning("The policy file was not taken over: %s %s", fault, fault.hint)
        broker.keep_policy(fault)
    else:
        log.info("The policy file was read again and is in force")


def open_devices(settings: Settings) -> DeviceBackend:
    """As configured; `auto` takes the driver where it shows a GPU."""
    if settings.devices != "simulated":
        from .devices.nvml import NvmlBackend

        backend = NvmlBackend(broker=broker_name(settings.data_dir))
        if settings.devices == "nvml":
            return backend  # it may find its GPUs later; the fleet says what is in the way
        try:
            backend.inventory()
        except NoDevices:
            backend.close()
        else:
            return backend
    from .devices.simulated import SimulatedBackend

    return SimulatedBackend(
        settings.fleet_file,
        broker_name(settings.data_dir),
        layouts=settings.data_dir / "simulated-mig.json",
    )


class SystemClock:
    """Seconds since the epoch, as the system counts them."""

    def now(self) -> float:
        import time

        return time.time()


def every(
    rounds: int, chore: Callable[[], object], sooner: Callable[[], object] = lambda: None
) -> Callable[[], None]:
    """A chore for one round in so many, and at once when `sooner` tells something else."""
    left, told = rounds, sooner()

    def sometimes() -> None:
        nonlocal left, told
        left, before, told = left - 1, told, sooner()
        if left <= 0 or told != before:
            left = rounds
            chore()

    return sometimes


def _summary(devices: DeviceBackend, store: SqlStore) -> str:
    kind = "simulated GPUs" if devices.simulated else "GPUs of this machine"
    return f"{kind}, state in {store.name}"

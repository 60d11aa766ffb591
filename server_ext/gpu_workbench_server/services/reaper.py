"""Keeps leases honest on the machine where their holders run: beats, ends, clears.

Level-triggered: `step` looks at what is and moves it one step on, so it may be cut off anywhere.
- A lease whose holder's process lives gets a heartbeat; one whose process is gone is lost, after a
  grace in which a kernel may restart.
- What still runs on an ended lease is asked to end, then made to; only when the devices show
  nothing any more are the slices free for somebody else.

Clusters and jobs stop their own processes first; this is what catches all that they left.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ..domain.leases import Holder, Lease
from ..ports import Clock, DeviceBackend, Engine, Held, ProcessRef
from .broker import SYSTEM, Broker
from .policy import Policy

log = logging.getLogger(__name__)

Attribution = Callable[[], Mapping[int, Mapping[int, str | None]]]
"""lease id → root pid → slice id, as clusters and jobs know it of their workers and ranks."""


@dataclass(frozen=True, slots=True)
class KernelFacts:
    """A running kernel, as the Jupyter server knows it."""

    id: str
    pid: int | None
    name: str
    """Path of its notebook, where there is one."""
    busy: bool = False
    last_activity: float = 0.0


class KernelSource(Protocol):
    """The Jupyter server's kernels. Called from the reaper's thread."""

    def kernels(self) -> Sequence[KernelFacts]: ...

    def stop(self, kernel_id: str) -> None:
        """Shut the kernel down, gracefully first; returns at once."""


class Reaper:
    def __init__(
        self,
        broker: Broker,
        engine: Engine,
        devices: DeviceBackend,
        kernels: KernelSource,
        clock: Clock,
        policy: Policy,
        attributions: Sequence[Attribution] = (),
    ) -> None:
        self._broker = broker
        self._engine = engine
        self._devices = devices
        self._kernels = kernels
        self._clock = clock
        self._policy = policy
        self._attributions = attributions
        self._living: dict[int, Holder] = {}
        """By lease: the holder that lived at the last step."""
        self._dead_since: dict[int, float] = {}
        self._stopped: set[int] = set()

    def step(self) -> None:
        """One look at everything; about once a second."""
        now = self._clock.now()
        leases = self._broker.alive()
        self._living = {
            one.id: one.holder for one in leases if one.holder is not None and self._lives(one)
        }
        for lease in leases:
            self._beat(lease, now)
        for lease in self._broker.uncleared():
            self._clear(lease, now)

    def held(self) -> list[Held]:
        """What the devices are to attribute: each lease with the processes known to be its own.

        Asked twice a second: of a holder that lived at the last step it is taken that it lives.
        """
        leases = self._broker.alive()
        if not leases:
            return []
        attributed = self._attributed()
        return [self._as_held(lease, attributed) for lease in leases]

    # --- the living -----------------------------------------------------------------------------

    def _beat(self, lease: Lease, now: float) -> None:
        if lease.holder is None or lease.holder.pid is None:
            return  # not taken yet, or about to be: `claim_seconds` and the time-to-live judge
        if lease.id in self._living:
            self._dead_since.pop(lease.id, None)
            self._broker.heartbeat(SYSTEM, [lease.id])
            return
        since = self._dead_since.setdefault(lease.id, now)
        if now - since >= self._policy.dead_grace:
            self._dead_since.pop(lease.id, None)
            log.info("lease %d is lost: its %s is gone", lease.id, lease.holder.kind)
            self._broker.release(SYSTEM, lease.id, "lost")

    def _lives(self, lease: Lease) -> bool:
        holder = lease.holder
        if holder is None or holder.pid is None or holder.started is None:
            return False
        ref = ProcessRef(holder.id, holder.pid, holder.started)
        return self._engine.state(ref) == "running"

    def _known_to_live(self, lease: Lease) -> bool:
        """By the last step, or as of now where that did not see it with this holder."""
        return self._living.get(lease.id) == lease.holder or self._lives(lease)

    # --- the ended ------------------------------------------------------------------------------

    def _clear(self, lease: Lease, now: float) -> None:
        """Free the slices of an ended lease once nothing runs on them, helping where needed."""
        left = self._left_on(lease)
        if not left:
            self._stopped.discard(lease.id)
            self._broker.clear(lease.id)
            return
        if lease.id not in self._stopped:
            self._stopped.add(lease.id)
            self._stop_kernels(lease, left)
        if now - (lease.ended_at or now) >= self._policy.stop_grace:
            killed = self._engine.kill_lease(lease.id)
            if killed:
                log.warning("lease %d: killed %s that outlived it", lease.id, killed)

    def _left_on(self, lease: Lease) -> list[int]:
        """Pids that still use an ended lease's slices.

        A kernel that attached itself (holder `cell`) gives its slice back and lives on: it counts
        only where the device itself still shows it.
        """
        held = self._as_held(lease, self._attributed())
        if lease.holder and lease.holder.kind == "cell":
            held = Held(lease.id, lease.slices, {})
        left = set(self._devices.processes_of(held))
        left.update(self._engine.lease_pids(lease.id))
        return sorted(left)

    def _stop_kernels(self, lease: Lease, left: Sequence[int]) -> None:
        for kernel in self._kernels.kernels():
            holds = lease.holder is not None and lease.holder.id == kernel.id
            if (holds and lease.holder and lease.holder.kind == "kernel") or kernel.pid in left:
                log.info("lease %d has ended: stopping kernel %s", lease.id, kernel.id)
                self._kernels.stop(kernel.id)

    def _attributed(self) -> dict[int, dict[int, str | None]]:
        """What all sources tell; it takes files to be read, one of each cluster and job."""
        found: dict[int, dict[int, str | None]] = {}
        for source in self._attributions:
            for lease_id, pids in source().items():
                found.setdefault(lease_id, {}).update(pids)
        return found

    def _as_held(self, lease: Lease, attributed: Mapping[int, Mapping[int, str | None]]) -> Held:
        pids: dict[int, str | None] = {}
        holder = lease.holder
        # A cluster's own process is on no slice; its workers are, and are known by its status.
        own = holder.pid if holder and holder.kind != "cluster" else None
        if own and self._known_to_live(lease):
            pids[own] = None
        pids.update(attributed.get(lease.id, {}))
        return Held(lease.id, lease.slices, pids)

"""Dask clusters of this server's user: ask, follow, scale, stop.

The verbs only. `cluster_orders` checks what is asked for, `cluster_runner` moves a cluster on,
`cluster_records` writes it down, `cluster_files` is its directory.
"""

from __future__ import annotations

import logging
import os
import secrets
import sys
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from gpu_workbench import protocol as wire

from ..domain.clusters import OVER, ClusterRecord, stopped
from ..domain.environment import environment_for_holder
from ..errors import Refused, WorkbenchError, WrongState
from ..ports import BrokerApi, Clock, Engine, EventSink, Principal, Store
from . import cluster_orders
from .cluster_records import ClusterRecords
from .cluster_runner import ClusterRunner
from .cluster_seats import ClusterSeats, owner_of
from .size_hints import Past, SizeHints

log = logging.getLogger(__name__)


class Clusters:
    """Thread-safe. Call `reconcile` about once a second."""

    def __init__(
        self,
        broker: BrokerApi,
        engine: Engine,
        store: Store,
        sink: EventSink,
        clock: Clock,
        root: Path,
        environment: Mapping[str, str] | None = None,
        python: str = sys.executable,
        stop_grace: float = 10.0,
        silence: float | None = None,
        ucx: bool = False,
        past: Past | None = None,
    ) -> None:
        """`root` gets a directory per cluster. `environment` is what its processes inherit (the
        server's own by default), filtered here. A cluster ends that heard of no server for
        `silence` seconds. `ucx` lets it use UCX. `past` tells what a lease's slices did."""
        base = environment_for_holder(os.environ if environment is None else environment)
        self._broker = broker
        self._seats = ClusterSeats(broker)
        self._clock = clock
        self._python = python
        self._records = ClusterRecords(store, sink, clock, root)
        hints = SizeHints(broker, clock, past)
        self._runner = ClusterRunner(
            broker, engine, self._records, clock, base, stop_grace, silence, ucx, hints
        )
        self._lock = threading.RLock()
        self._trouble: dict[str, str] = {}

    # --- for people -----------------------------------------------------------------------------

    def create(self, who: Principal, new: wire.NewCluster) -> wire.Cluster:
        """Ask for its slices; it starts when they are granted.

        Raises `BadRequest`, or a `Refused` where the slices can never be had or the name is taken.
        """
        cluster_orders.check(new)
        with self._lock:
            cluster_id = f"cluster-{secrets.token_hex(4)}"
            name = (new.name or self._free_name(who)).strip()
            self._check_name(who, name)
            most = max(new.workers, new.adapt.maximum if new.adapt else 0)
            asked = self._seats.check(who, new.per_worker, new.pool, most, new.seconds)
            record = ClusterRecord(
                id=cluster_id,
                name=name,
                owner=who.user,
                per_worker=asked.profile,
                groups=who.groups,
                what=new.per_worker,
                pool=asked.pool,
                adapt=(new.adapt.minimum, new.adapt.maximum) if new.adapt else None,
                workers_wanted=new.workers,
                threads_per_worker=new.threads_per_worker,
                host_memory_bytes=new.host_memory_bytes,
                fleet_units=self._broker.status(who).units_total,
                python=new.python or self._python,
                idle_seconds=self._idle_of(who, asked.pool)
                if new.idle_seconds is None
                else new.idle_seconds,
                created_at=self._clock.now(),
                seconds=new.seconds,
                cwd=new.cwd,
            )
            self._records.put(record)
            self._advance(record)
            return self.get(who, cluster_id)

    def list(self, who: Principal) -> list[wire.Cluster]:
        """The caller's clusters, newest first: all that live, and some that are over."""
        return [self._records.view(one) for one in self._records.shown_to(who)]

    def get(self, who: Principal, cluster_id: str) -> wire.Cluster:
        """As it is now: who waits for a start or an end need not wait for the next round."""
        record = self._records.own(who, cluster_id)
        if record.state in ("starting", "stopping"):
            with self._lock:
                self._advance(self._records.newest(record))
        return self._records.view(self._records.own(who, cluster_id))

    def scale(self, who: Principal, cluster_id: str, workers: int) -> wire.Cluster:
        """So many workers from now on: slices are asked for, or given back once they are empty.

        Raises a `Refused` where so many can never be had.
        """
        cluster_orders.check_workers(workers)
        with self._lock:
            record = self._changeable(who, cluster_id)
            self._check_more(record, workers)
            return self._changed(who, replace(record, workers_wanted=workers, adapt=None))

    def adapt(self, who: Principal, cluster_id: str, adapt: wire.Adapt) -> wire.Cluster:
        """Between so many workers as its scheduler finds useful, until it is scaled by hand."""
        cluster_orders.check_adapt(adapt)
        with self._lock:
            record = self._changeable(who, cluster_id)
            self._check_more(record, adapt.maximum)
            bounds = (adapt.minimum, adapt.maximum)
            return self._changed(who, replace(record, adapt=bounds))

    def rename(self, who: Principal, cluster_id: str, name: str) -> wire.Cluster:
        name = cluster_orders.check_name(name)
        with self._lock:
            record = self._changeable(who, cluster_id)
            if name != record.name:
                self._check_name(who, name)
            return self._changed(who, replace(record, name=name))

    def restart(self, who: Principal, cluster_id: str) -> wire.Cluster:
        """New processes for all its workers, on the same slices; what they computed is lost."""
        with self._lock:
            record = self._changeable(who, cluster_id)
            return self._changed(who, replace(record, restarts=record.restarts + 1))

    def stop(self, who: Principal, cluster_id: str) -> wire.Cluster:
        """Ask it to end; idempotent. What has not ended after a grace is killed."""
        with self._lock:
            record = self._records.own(who, cluster_id)
            if record.state not in OVER:
                way_out = stopped(record, "stopped", self._clock.now())
                self._advance(self._records.put(way_out))
            return self.get(who, cluster_id)

    # --- for the server -------------------------------------------------------------------------

    def reconcile(self) -> None:
        """Move every cluster that is not over one step on."""
        for known in self._records.living():
            with self._lock:
                self._advance(self._records.newest(known))

    def attributions(self) -> dict[int, dict[int, str | None]]:
        """lease → a worker's pid → its slice: what each worker's load is shown under."""
        found: dict[int, dict[int, str | None]] = {}
        for record in self._records.living():
            status = self._records.files(record).status()
            pids = {one.slice_id: one.pid for one in status.workers if one.pid} if status else {}
            for lease_id, lease in self._seats.leases(record).items():
                here = {pids[one.id]: one.id for one in lease.slices if one.id in pids}
                found[lease_id] = dict(here)
        return found

    def dashboard(self, who: Principal, cluster_id: str) -> str | None:
        """The socket that its dashboard listens on; None where there is none now."""
        return self._records.dashboard(self._records.own(who, cluster_id))

    # --- inside ---------------------------------------------------------------------------------

    def _changeable(self, who: Principal, cluster_id: str) -> ClusterRecord:
        record = self._records.own(who, cluster_id)
        if record.state in OVER or record.state == "stopping":
            raise WrongState(f"{record.name} is {record.state}.", "Start a new cluster.")
        return record

    def _changed(self, who: Principal, record: ClusterRecord) -> wire.Cluster:
        self._advance(self._records.put(record))
        return self.get(who, record.id)

    def _check_more(self, record: ClusterRecord, workers: int) -> None:
        if workers > record.workers_wanted:
            what = record.what or record.per_worker
            self._seats.check(owner_of(record), what, record.pool, workers, record.seconds)

    def _idle_of(self, who: Principal, pool: str) -> int:
        """As its policy has it now."""
        pools = self._broker.fleet(who).pools
        return next(one.idle_seconds for one in pools if one.name == pool)

    def _advance(self, record: ClusterRecord) -> None:
        """One step on; what fails now is tried again in the next round."""
        if record.state in OVER:
            return
        try:
            self._runner.advance(record)
            self._trouble.pop(record.id, None)
        except (WorkbenchError, OSError) as error:
            if self._trouble.get(record.id) != str(error):
                log.warning("cluster %s: %s", record.id, error)
            self._trouble[record.id] = str(error)

    def _free_name(self, who: Principal) -> str:
        taken = self._records.names(who)
        return next(name for n in range(1, 10_000) if (name := f"cluster {n}") not in taken)

    def _check_name(self, who: Principal, name: str) -> None:
        if name in self._records.names(who):
            raise Refused(
                f"You have a cluster called {name} already.",
                f"gw.cluster(name={name!r}) takes it up; or choose another name.",
            )

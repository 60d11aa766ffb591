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
from ..errors import BadRequest, Refused, WorkbenchError, WrongState
from ..ports import BrokerApi, Clock, Engine, EventSink, Principal, Store
from . import cluster_orders
from .cluster_records import ClusterRecords
from .cluster_runner import ClusterRunner

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
        idle_seconds: int | None = 1800,
        stop_grace: float = 10.0,
    ) -> None:
        """`root` gets a directory per cluster. `environment` is what its processes inherit (the
        server's own by default), filtered here. `idle_seconds` is for clusters that say none."""
        base = environment_for_holder(os.environ if environment is None else environment)
        self._broker = broker
        self._clock = clock
        self._python = python
        self._idle_seconds = idle_seconds
        self._records = ClusterRecords(store, sink, clock, root)
        self._runner = ClusterRunner(broker, engine, self._records, clock, base, stop_grace)
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
            # A crash before the record leaves a request without an owner: nobody binds its lease,
            # and the broker takes that back after the pool's claim time.
            ask = wire.Ask(
                what=new.per_worker,
                count=new.workers,
                seconds=new.seconds,
                purpose="cluster",
                name=name,
                key=cluster_id,
            )
            request = self._broker.ask(who, ask)
            fleet_units = self._broker.status(who).units_total or request.units
            record = ClusterRecord(
                id=cluster_id,
                name=name,
                owner=who.user,
                request_id=request.id,
                per_worker=request.profile,
                workers_leased=new.workers,
                workers_wanted=new.workers,
                threads_per_worker=new.threads_per_worker,
                host_memory_bytes=new.host_memory_bytes,
                host_share=request.units / new.workers / fleet_units,
                python=new.python or self._python,
                idle_seconds=self._idle_seconds if new.idle_seconds is None else new.idle_seconds,
                created_at=self._clock.now(),
                cwd=new.cwd,
                message="asking for its slices",
            )
            try:
                self._records.put(record)
            except WorkbenchError:
                self._runner.give_back(record, "released")
                raise
            self._advance(record)
            return self.get(who, cluster_id)

    def list(self, who: Principal) -> list[wire.Cluster]:
        """The caller's clusters, newest first: all that live, and some that are over."""
        return [self._records.view(one) for one in self._records.shown_to(who)]

    def get(self, who: Principal, cluster_id: str) -> wire.Cluster:
        return self._records.view(self._records.own(who, cluster_id))

    def scale(self, who: Principal, cluster_id: str, workers: int) -> wire.Cluster:
        """Between one worker and as many as it has slices; slices without a worker stay leased.

        Raises `Refused` above that: slices of a running lease can't be added to.
        """
        with self._lock:
            record = self._records.own(who, cluster_id)
            if record.state in OVER or record.state == "stopping":
                raise WrongState(f"{record.name} is {record.state}.", "Start a new cluster.")
            if workers < 1:
                raise BadRequest("A cluster has at least one worker.", "Close it to have none.")
            if workers > record.workers_leased:
                raise Refused(
                    f"{record.name} holds {record.workers_leased} slices, so it can't have "
                    f"{workers} workers.",
                    f"Close it and start one with workers={workers}, or start a second one.",
                )
            self._advance(self._records.put(replace(record, workers_wanted=workers)))
            return self.get(who, cluster_id)

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
            if record.leased:
                status = self._records.files(record).status()
                workers = status.workers if status else []
                found[record.request_id] = {one.pid: one.slice_id for one in workers if one.pid}
        return found

    # --- inside ---------------------------------------------------------------------------------

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

"""Dask clusters of this server's user: ask, follow, scale, stop.

Acts as the user, through the engine; the broker only decides. What to do next is
`domain.clusters.next_step`'s word: `reconcile` looks at request, lease, process and status, writes
the next record down, then acts on it. Every act may be repeated, so a server that was killed at any
line goes on where it was, and a cluster is over only after its slices were given back.
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

import msgspec

from gpu_workbench import protocol as wire

from ..domain.clusters import OVER, ClusterRecord, Facts, Step, next_step, stopped
from ..domain.environment import environment_for_holder
from ..errors import BadRequest, NotFound, Refused, WorkbenchError, WrongState
from ..ports import (
    BrokerApi,
    Clock,
    Engine,
    EventSink,
    News,
    Principal,
    ProcessRef,
    ProcessSpec,
    Record,
    Store,
)
from . import cluster_orders
from .cluster_files import ClusterFiles

log = logging.getLogger(__name__)

_REMEMBERED = 20
"""Clusters that are over and still shown."""


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
        self._broker = broker
        self._engine = engine
        self._store = store
        self._sink = sink
        self._clock = clock
        self._root = root
        self._environment = environment_for_holder(
            os.environ if environment is None else environment
        )
        self._python = python
        self._idle_seconds = idle_seconds
        self._grace = stop_grace
        self._lock = threading.RLock()
        found = [msgspec.convert(one.body, ClusterRecord) for one in store.records("cluster")]
        self._records = {one.id: one for one in sorted(found, key=lambda one: one.created_at)}
        self._told: dict[str, wire.Cluster] = {}

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
                self._put(record)
            except WorkbenchError:
                self._give_back(record, "released")
                raise
            self._advance(record)
            return self.get(who, cluster_id)

    def list(self, who: Principal) -> list[wire.Cluster]:
        """The caller's clusters, newest first: all that live, and some that are over."""
        mine = [one for one in reversed(list(self._records.values())) if _may_see(who, one)]
        over = [one.id for one in mine if one.state in OVER][_REMEMBERED:]
        return [self._view(one) for one in mine if one.id not in over]

    def get(self, who: Principal, cluster_id: str) -> wire.Cluster:
        return self._view(self._own(who, cluster_id))

    def scale(self, who: Principal, cluster_id: str, workers: int) -> wire.Cluster:
        """Between one worker and as many as it has slices; slices without a worker stay leased.

        Raises `Refused` above that: slices of a running lease can't be added to.
        """
        with self._lock:
            record = self._own(who, cluster_id)
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
            self._put(replace(record, workers_wanted=workers))
            self._advance(self._records[cluster_id])
            return self.get(who, cluster_id)

    def stop(self, who: Principal, cluster_id: str) -> wire.Cluster:
        """Ask it to end; idempotent. What has not ended after a grace is killed."""
        with self._lock:
            record = self._own(who, cluster_id)
            if record.state not in OVER:
                self._put(stopped(record, "stopped", self._clock.now()))
                self._advance(self._records[cluster_id])
            return self.get(who, cluster_id)

    # --- for the server -------------------------------------------------------------------------

    def reconcile(self) -> None:
        """Move every cluster that is not over one step on."""
        for known in list(self._records.values()):
            with self._lock:
                record = self._records[known.id]
                if record.state in OVER:
                    continue
                try:
                    self._advance(record)
                except (WorkbenchError, OSError) as error:
                    log.warning("cluster %s: %s", record.id, error)  # the next round tries again

    def attributions(self) -> dict[int, dict[int, str | None]]:
        """lease → a worker's pid → its slice: what each worker's load is shown under."""
        found: dict[int, dict[int, str | None]] = {}
        for record in list(self._records.values()):
            if record.leased and record.state not in OVER:
                status = self._files(record).status()
                workers = status.workers if status else []
                found[record.request_id] = {one.pid: one.slice_id for one in workers if one.pid}
        return found

    # --- one step -------------------------------------------------------------------------------

    def _advance(self, record: ClusterRecord) -> None:
        record, facts = self._look(record)
        step = next_step(record, facts, self._clock.now(), self._grace)
        if step.act == "finish":
            self._finish(step)
        else:
            self._put(step.record)
            self._act(step)
        self._tell(self._records[record.id])

    def _look(self, record: ClusterRecord) -> tuple[ClusterRecord, Facts]:
        """What is, in an order that misses no last word: process first, then what it said."""
        owner = Principal(record.owner)
        request = self._broker.request(owner, record.request_id)
        ended = None
        if request.state == "granted":
            lease = self._broker.lease(owner, record.request_id)
            ended = lease.end_reason if lease.state == "ended" else None
        facts = Facts(request.state, waits_for=_wait_sentence(request), lease_ended=ended)
        if record.state == "waiting":
            return record, facts
        ref = _ref(record) or self._engine.find(record.id)
        if ref is None:
            return record, facts
        if record.pid is None:  # we were cut off between its start and its record
            record = replace(record, pid=ref.pid, started=ref.started)
        process = self._engine.state(ref)
        status = self._files(record).status()
        words = self._files(record).last_words() if process == "gone" else ""
        facts = replace(facts, process=process, last_words=words)
        if status is not None:
            facts = replace(facts, told=status.state, told_message=status.message)
        return record, facts

    def _act(self, step: Step) -> None:
        record, files = step.record, self._files(step.record)
        if step.act == "start":
            self._start(record)
        elif step.act == "watch":
            self._follow(record)
        elif step.act == "stop":
            files.want(wire.ClusterTarget(workers=record.workers_wanted, stop=True))
            ref = _ref(record)
            if ref is not None:
                self._engine.terminate(ref)
        elif step.act == "kill":
            killed = self._engine.kill_lease(record.request_id)
            log.warning("cluster %s did not end: killed %s", record.id, killed)

    def _start(self, record: ClusterRecord) -> None:
        """Its record says "starting": submitting its key again finds what runs already."""
        lease = self._broker.lease(Principal(record.owner), record.request_id)
        files = self._files(record)
        files.write_spec(
            wire.ClusterSpec(
                id=record.id,
                name=record.name,
                lease=lease,
                threads_per_worker=record.threads_per_worker,
                host_memory_bytes=record.host_memory_bytes,
                host_share=record.host_share,
                idle_seconds=record.idle_seconds or None,
            )
        )
        files.want(wire.ClusterTarget(workers=record.workers_wanted, ends_at=lease.ends_at))
        environment = self._environment | {
            wire.LEASE_ENV: str(lease.id),
            # The scheduler touches no device; each worker is given its own.
            "CUDA_VISIBLE_DEVICES": "",
        }
        argv = (record.python, "-m", "gpu_workbench.holders.dask_cluster", str(files.path))
        # Where the notebook is, so that what it imports from beside it is found by workers, too.
        cwd = Path(record.cwd) if record.cwd and Path(record.cwd).is_dir() else None
        try:
            ref = self._engine.submit(ProcessSpec(record.id, argv, environment, files.path, cwd))
        except OSError as error:
            why = f"{record.python} could not be started: {error}"
            self._finish(Step(replace(record, state="failed", message=why), "finish"))
            return
        record = replace(record, pid=ref.pid, started=ref.started)
        self._put(record)
        self._follow(record)

    def _follow(self, record: ClusterRecord) -> None:
        """It lives: say so to the broker, and to it what is wanted."""
        owner = Principal(record.owner)
        lease = self._broker.lease(owner, record.request_id)
        if lease.state == "ended":
            return
        if lease.holder is None or lease.holder.pid != record.pid:
            holder = wire.Holder(
                kind="cluster",
                id=record.id,
                name=record.name,
                pid=record.pid,
                started=record.started,
            )
            self._broker.bind(owner, lease.id, holder)
        self._broker.heartbeat(owner, [lease.id])
        target = wire.ClusterTarget(workers=record.workers_wanted, ends_at=lease.ends_at)
        self._files(record).want(target)

    def _finish(self, step: Step) -> None:
        """End what is left, give the slices back, and only then write it down as over."""
        record = step.record
        if record.leased:
            self._engine.kill_lease(record.request_id)
        self._give_back(record, "lost" if record.state == "failed" else "released")
        self._put(replace(record, ended_at=self._clock.now()))
        self._files(record).tidy()

    def _give_back(self, record: ClusterRecord, reason: wire.EndReason) -> None:
        owner = Principal(record.owner)
        if self._broker.cancel(owner, record.request_id).state == "granted":
            self._broker.release(owner, record.request_id, reason)

    # --- inside ---------------------------------------------------------------------------------

    def _put(self, record: ClusterRecord) -> None:
        """Into the store, then into memory; nothing where nothing is new."""
        if self._records.get(record.id) == record:
            return
        body = msgspec.to_builtins(record)
        now = self._clock.now()
        self._store.put_record(Record("cluster", record.id, record.owner, body, now))
        self._records[record.id] = record

    def _tell(self, record: ClusterRecord) -> None:
        """News, if people would see anything new."""
        seen = self._view(record)
        if self._told.get(record.id) != seen:
            self._told[record.id] = seen
            self._sink.tell(News("cluster", record.id, record.owner, seen))

    def _view(self, record: ClusterRecord) -> wire.Cluster:
        live = record.state in ("starting", "running")
        status = self._files(record).status() if live else None
        return wire.Cluster(
            id=record.id,
            name=record.name,
            state=record.state,
            user=record.owner,
            lease_id=record.request_id if record.leased else None,
            request_id=record.request_id,
            per_worker=record.per_worker,
            workers_wanted=record.workers_wanted,
            workers=status.workers if status else [],
            created_at=record.created_at,
            message=status.message if status else record.message,
            scheduler_address=status.scheduler_address if status else None,
            security=status.security if status else None,
            ended_at=record.ended_at,
        )

    def _own(self, who: Principal, cluster_id: str) -> ClusterRecord:
        record = self._records.get(cluster_id)
        if record is None or not _may_see(who, record):
            raise NotFound(f"There is no cluster {cluster_id} of yours.", "List your clusters.")
        return record

    def _files(self, record: ClusterRecord) -> ClusterFiles:
        return ClusterFiles(self._root / record.id)

    def _names(self, who: Principal) -> set[str]:
        live = [one for one in self._records.values() if one.state not in OVER]
        return {one.name for one in live if one.owner == who.user}

    def _free_name(self, who: Principal) -> str:
        taken = self._names(who)
        return next(name for n in range(1, 10_000) if (name := f"cluster {n}") not in taken)

    def _check_name(self, who: Principal, name: str) -> None:
        if name in self._names(who):
            raise Refused(
                f"You have a cluster called {name} already.",
                f"gw.cluster(name={name!r}) takes it up; or choose another name.",
            )


def _ref(record: ClusterRecord) -> ProcessRef | None:
    if record.pid is None or record.started is None:
        return None
    return ProcessRef(record.id, record.pid, record.started)


def _wait_sentence(request: wire.Request) -> str:
    reason = request.reason.sentence if request.reason else ""
    place = f"position {request.position}" if request.position else ""
    return f"{place}: {reason}" if place and reason else place or reason


def _may_see(who: Principal, record: ClusterRecord) -> bool:
    return who.admin or who.user == record.owner

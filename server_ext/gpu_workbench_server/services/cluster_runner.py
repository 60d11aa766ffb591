"""One step of a cluster: from its request to its slices being free again.

Acts as the user, through the engine; the broker only decides. What to do next is
`domain.clusters.next_step`'s word; here it is seen what is (request, lease, process, status), the
next record is written down, and then it is done. Every act may be repeated, so a server that was
killed at any line goes on where it was; a cluster is over only after its slices were given back.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from gpu_workbench import protocol as wire

from ..domain.clusters import ClusterRecord, Facts, Step, next_step
from ..ports import BrokerApi, Clock, Engine, Principal, ProcessRef, ProcessSpec
from .cluster_records import ClusterRecords

log = logging.getLogger(__name__)


class ClusterRunner:
    """Moves clusters on. The caller holds a lock: one step at a time."""

    def __init__(
        self,
        broker: BrokerApi,
        engine: Engine,
        records: ClusterRecords,
        clock: Clock,
        environment: Mapping[str, str],
        stop_grace: float,
    ) -> None:
        self._broker = broker
        self._engine = engine
        self._records = records
        self._clock = clock
        self._environment = dict(environment)
        self._grace = stop_grace

    def advance(self, record: ClusterRecord) -> None:
        record, facts = self._look(record)
        step = next_step(record, facts, self._clock.now(), self._grace)
        if step.act == "finish":
            self._finish(step)
        else:
            self._records.put(step.record)
            self._act(step)
        self._records.tell(self._records.newest(record))

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
        status = self._records.files(record).status()
        words = self._records.files(record).last_words() if process == "gone" else ""
        facts = replace(facts, process=process, last_words=words)
        if status is not None:
            facts = replace(facts, told=status.state, told_message=status.message)
        return record, facts

    def _act(self, step: Step) -> None:
        record, files = step.record, self._records.files(step.record)
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
        files = self._records.files(record)
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
        self._records.put(record)
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
        self._records.files(record).want(target)

    def _finish(self, step: Step) -> None:
        """End what is left, give the slices back, and only then write it down as over."""
        record = step.record
        if record.leased:
            self._engine.kill_lease(record.request_id)
        self.give_back(record, "lost" if record.state == "failed" else "released")
        self._records.put(replace(record, ended_at=self._clock.now()))
        self._records.files(record).tidy()

    def give_back(self, record: ClusterRecord, reason: wire.EndReason) -> None:
        owner = Principal(record.owner)
        if self._broker.cancel(owner, record.request_id).state == "granted":
            self._broker.release(owner, record.request_id, reason)


def _ref(record: ClusterRecord) -> ProcessRef | None:
    if record.pid is None or record.started is None:
        return None
    return ProcessRef(record.id, record.pid, record.started)


def _wait_sentence(request: wire.Request) -> str:
    reason = request.reason.sentence if request.reason else ""
    place = f"position {request.position}" if request.position else ""
    return f"{place}: {reason}" if place and reason else place or reason

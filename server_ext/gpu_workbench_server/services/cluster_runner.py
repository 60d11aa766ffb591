"""One step of a cluster: from its requests to its slices being free again.

Acts as the user, through the engine; the broker only decides. What to do next is the word of
`domain.seats` and `domain.clusters`; here it is seen what is (requests, leases, process, status),
the next record is written down, and then it is done. Every act may be repeated, so a server that
was killed at any line goes on where it was; a cluster is over only after its slices were given
back.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from gpu_workbench import protocol as wire

from ..domain.clusters import ClusterRecord, Facts, Step, next_step, seated
from ..errors import Refused
from ..ports import BrokerApi, Clock, Engine, ProcessRef, ProcessSpec
from .cluster_records import ClusterRecords, bounds
from .cluster_seats import ClusterSeats, owner_of
from .size_hints import SizeHints

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
        silence: float | None,
        ucx: bool,
        hints: SizeHints,
    ) -> None:
        """`silence` is for how many seconds a cluster lives without a server."""
        self._seats = ClusterSeats(broker)
        self._engine = engine
        self._records = records
        self._clock = clock
        self._environment = dict(environment)
        self._grace = stop_grace
        self._silence = silence
        self._ucx = ucx
        self._hints = hints

    def advance(self, record: ClusterRecord) -> None:
        record, facts, status = self._look(record)
        leases = self._seats.leases(record)
        if record.seats and not any(one.state != "ended" for one in leases.values()):
            facts = replace(facts, over=next((one.end_reason for one in leases.values()), None))
        lives = facts.process != "gone" and facts.told not in ("ended", "failed")
        if record.state != "stopping" and lives:
            record = self._seat(_adapted(record, status), leases, status)
        step = next_step(record, facts, self._clock.now(), self._grace)
        if step.act == "finish":
            self._finish(step)
        else:
            self._records.put(step.record)
            self._act(step)
        self._records.tell(self._records.newest(record))

    def _look(
        self, record: ClusterRecord
    ) -> tuple[ClusterRecord, Facts, wire.ClusterStatus | None]:
        """What is, in an order that misses no last word: process first, then what it said."""
        ref = None
        if record.state != "waiting":
            ref = _ref(record) or self._engine.find(record.id)
        if ref is None:
            return record, Facts(), None
        if record.pid is None:  # we were cut off between its start and its record
            record = replace(record, pid=ref.pid, started=ref.started)
        process = self._engine.state(ref)
        status = self._records.files(record).status()
        words = self._records.files(record).last_words() if process == "gone" else ""
        facts = Facts(process, last_words=words)
        if status is not None:
            facts = replace(facts, told=status.state, told_message=status.message)
        return record, facts, status

    def _seat(
        self,
        record: ClusterRecord,
        leases: Mapping[int, wire.Lease],
        status: wire.ClusterStatus | None,
    ) -> ClusterRecord:
        """Ask for what is missing and give back what is too much; the record as it is after that.

        An ask that was cut off is repeated under its key, and answered with what it got.
        """
        now = self._clock.now()
        plan = self._seats.plan(record, leases, status, now)
        record = self._records.put(seated(record, plan, now))
        self._seats.give_back(record, plan.cancel, plan.release)
        for _ in range(plan.ask if record.state != "stopping" else 0):
            try:
                seat, waits_for = self._seats.ask(record)
            except Refused as refused:
                held = sum(one.leaving_since is None for one in record.seats)
                sentence = f"no more than {held} workers: {refused}"
                return replace(record, workers_wanted=held, waits_for=sentence)
            record = self._records.put(
                replace(
                    record,
                    seats=(*record.seats, seat),
                    asked=record.asked + 1,
                    waits_for=record.waits_for or waits_for,
                )
            )
        return record

    def _act(self, step: Step) -> None:
        record, files = step.record, self._records.files(step.record)
        if step.act == "start":
            self._start(record)
        elif step.act == "watch":
            self._follow(record)
        elif step.act == "stop":
            with contextlib.suppress(OSError):  # on a full disk the signal alone says it
                files.want(wire.ClusterTarget(stop=True))
            ref = _ref(record)
            if ref is not None:
                self._engine.terminate(ref)
        elif step.act == "kill":
            killed = self._engine.kill_key(record.id)
            log.warning("cluster %s did not end: killed %s", record.id, killed)

    def _start(self, record: ClusterRecord) -> None:
        """Its record says "starting": submitting its key again finds what runs already."""
        files = self._records.files(record)
        files.write_spec(
            wire.ClusterSpec(
                id=record.id,
                name=record.name,
                threads_per_worker=record.threads_per_worker,
                host_memory_bytes=record.host_memory_bytes,
                fleet_units=record.fleet_units,
                idle_seconds=record.idle_seconds or None,
                silence_seconds=self._silence,
                ucx=self._ucx,
            )
        )
        files.want(self._target(record))
        environment = self._environment | {
            # The scheduler holds no slice and touches no device; each worker is given its own.
            wire.LEASE_ENV: "0",
            "CUDA_VISIBLE_DEVICES": "",
        }
        argv = (record.python, "-m", "gpu_workbench.holders.dask_cluster", str(files.path))
        # Where the notebook is, so that what it imports from beside it is found by workers, too.
        cwd = Path(record.cwd) if record.cwd and Path(record.cwd).is_dir() else None
        try:
            spec = ProcessSpec(record.id, argv, environment, files.path, cwd, warm="cluster")
            ref = self._engine.submit(spec)
        except OSError as error:
            why = f"{record.python} could not be started: {error}"
            self._finish(Step(replace(record, state="failed", message=why), "finish"))
            return
        record = replace(record, pid=ref.pid, started=ref.started)
        self._records.put(record)
        self._follow(record)

    def _follow(self, record: ClusterRecord) -> None:
        """It lives: say so to the broker, and to it what is wanted."""
        self._seats.bind(record)
        self._records.files(record).want(self._target(record))

    def _target(self, record: ClusterRecord) -> wire.ClusterTarget:
        return wire.ClusterTarget(
            leases=self._seats.in_use(record),
            adapt=bounds(record),
            restarts=record.restarts,
        )

    def _finish(self, step: Step) -> None:
        """End what is left, give the slices back, and only then write it down as over."""
        record = step.record
        if record.pid is not None or record.state == "failed":
            self._engine.kill_key(record.id)
        held = [seat.request_id for seat in record.seats if seat.leased]
        hint = self._hints.of(owner_of(record), held)
        self._seats.give_all_back(record, "lost" if record.state == "failed" else "released")
        over = replace(record, ended_at=self._clock.now(), waits_for="")
        if hint is not None:
            over = replace(over, size_hint=hint.sentence, size_profile=hint.profile)
        self._records.files(record).tidy()
        self._records.put(over)


def _adapted(record: ClusterRecord, status: wire.ClusterStatus | None) -> ClusterRecord:
    """With as many workers as its scheduler would have, between its bounds."""
    if record.adapt is None:
        return record
    least, most = record.adapt
    desired = record.workers_wanted
    if status is not None and status.desired is not None:
        desired = status.desired
    return replace(record, workers_wanted=max(least, min(most, desired)))


def _ref(record: ClusterRecord) -> ProcessRef | None:
    if record.pid is None or record.started is None:
        return None
    return ProcessRef(record.id, record.pid, record.started)

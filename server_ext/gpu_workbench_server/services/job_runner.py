"""One step of a job: from its request to its slices being free again.

Acts as the user, through the engine; the broker only decides. Level-triggered: `advance` looks at
what is (request, lease, process, `status.json`) and moves one step on, so a server that was killed
at any line goes on where it was. A record is in the store before anything is started, and says that
a job is over only after nothing of it is left.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec

from gpu_workbench import protocol as wire

from ..domain.causes import CAUSES
from ..domain.diagnosis import Cause, diagnose
from ..domain.elastic import GoOn, after_loss
from ..domain.jobs import Job, JobState, threads_per_rank
from ..domain.transitions import JOB, check
from ..errors import Refused
from ..ports import BrokerApi, Clock, Engine, Principal, ProcessRef, ProcessSpec
from .job_bills import JobBills
from .job_files import JobStatus
from .job_records import JobRecords
from .job_views import held_up, lease_over, running_message

NOTICE_SECONDS = 60.0
"""How long before the end of its lease a job is told, to save."""


class JobRunner:
    """Moves jobs on. The caller holds a lock: one step at a time."""

    def __init__(
        self,
        broker: BrokerApi,
        engine: Engine,
        records: JobRecords,
        clock: Clock,
        environment: Mapping[str, str],
        stop_grace: float,
        bills: JobBills,
        warm_start: bool,
    ) -> None:
        self._broker = broker
        self._engine = engine
        self._records = records
        self._clock = clock
        self._environment = dict(environment)
        self._stop_grace = stop_grace
        self._bills = bills
        self._warm_start = warm_start

    def advance(self, job: Job) -> wire.Job:
        if job.state == "waiting":
            return self._await_grant(job)
        ref = self._ref(job)
        job = self._records.newest(job)
        if ref is None:  # we were killed between the record and the start
            return self.begin_stop(job, job.stop_reason) if job.stop_asked_at else self._start(job)
        running = self._engine.state(ref) == "running"
        # Read after the look at the process: its last word is not missed.
        status = self._records.files(job.id).status()
        if status is not None and status.state != "running":
            return self._ended(job, status)
        if not running:
            return self._vanished(job, status)
        lease = self._broker.lease(owner(job), job.request_id)
        if lease.state == "ended":
            if job.state != "stopping":
                return self.begin_stop(job, lease_over(lease))
        elif lease.holder is None:
            self._bind(job)
        else:
            self._broker.heartbeat(owner(job), [lease.id])
            soon = lease.ends_at - self._clock.now() <= NOTICE_SECONDS
            with contextlib.suppress(OSError):
                self._records.files(job.id).give_notice(lease.ends_at if soon else None)
        if job.stop_asked_at is not None:
            if self._clock.now() - job.stop_asked_at > self._stop_grace:
                self._engine.kill_lease(job.request_id)
            return self._records.tell(job)
        if status is None:
            return self._records.tell(job)
        up = job.state == "running" or any(one.pid for one in status.ranks)  # a restart is no start
        state: JobState = "running" if up else "starting"
        message = running_message(job, status, self._clock.now())
        started = job.started_at or status.started_at
        return self._records.move(job, state, message=message, started_at=started)

    def _await_grant(self, job: Job) -> wire.Job:
        request = self._broker.request(owner(job), job.request_id)
        if request.state == "queued":
            reason = request.reason.sentence if request.reason else ""
            place = f"position {request.position}" if request.position else "queued"
            return self._records.move(
                job, "waiting", message=f"{place}: {reason}" if reason else place
            )
        if request.state == "granted":
            return self._start(job)
        if request.state == "cancelled":
            return self.finish(job, "stopped", "its request was cancelled")
        reason = request.reason.sentence if request.reason else ""
        return self._fail(job, "not_granted", f"its request was {request.state}. {reason}".strip())

    def _start(self, job: Job) -> wire.Job:
        """Record, then start: `submit` of a key that runs already finds it."""
        lease = self._broker.lease(owner(job), job.request_id)
        if lease.state == "ended":
            return self._fail(job, "lease_ended", lease_over(lease))
        files = self._records.files(job.id)
        # Of a job that goes on with fewer ranks some of the lease's slices are left idle.
        used = [one for one in lease.slices if not job.slices or one.id in job.slices]
        slices = tuple(one.id for one in used)
        lease_used = msgspec.structs.replace(lease, slices=used)
        warm = files.start(
            lease_used,
            self._broker.fleet(owner(job)).gpus,
            job.first_attempt,
            job.started_at or self._clock.now(),
            self._warm_start,
        )
        message = f"starting {len(slices)} ranks"
        self._records.move(job, "starting", message=message, has_lease=True, slices=slices)
        job = self._records.newest(job)
        environment = self._environment | {
            wire.LEASE_ENV: str(lease.id),
            wire.SLICES_ENV: ",".join(slices),
            wire.KEY_ENV: job.id,
            "OMP_NUM_THREADS": str(threads_per_rank(len(slices), os.cpu_count() or 1)),
        }
        argv = (job.python, "-m", "gpu_workbench.holders.job", str(files.path))
        try:
            ref = self._engine.submit(
                ProcessSpec(job.id, argv, environment, files.path, warm="job" if warm else None)
            )
        except OSError as error:
            return self._fail(job, "not_started", f"{job.python} could not be started: {error}")
        job = self._records.put(replace(job, pid=ref.pid, pid_started=ref.started))
        self._bind(job)
        return self._records.tell(job)

    def _bind(self, job: Job) -> None:
        holder = wire.Holder(
            kind="job", id=job.id, name=job.name, pid=job.pid, started=job.pid_started
        )
        self._broker.bind(owner(job), job.request_id, holder)

    def begin_stop(self, job: Job, reason: str) -> wire.Job:
        with contextlib.suppress(OSError):  # its disk may be full; SIGTERM says the same
            self._records.files(job.id).want_stop(reason or "stopped")
        message = f"stopping: {reason}" if reason else "stopping"
        now = self._clock.now()
        self._records.move(job, "stopping", message=message, stop_asked_at=now, stop_reason=reason)
        job = self._records.newest(job)
        ref = self._ref(job)
        if ref is None:
            if reason:
                return self._fail(job, "lease_ended", reason)
            return self.finish(job, "stopped", "stopped")
        self._engine.terminate(ref)
        return self._records.tell(job)

    def _ended(self, job: Job, status: JobStatus) -> wire.Job:
        """The supervisor said its last word."""
        if status.state == "succeeded":
            took = max(0.0, (status.ended_at or self._clock.now()) - status.started_at)
            return self.finish(job, "succeeded", f"done in {took:.0f} s{held_up(status)}", status)
        if status.state == "failed" and job.stop_asked_at is None:
            cause = diagnose(status.end())
            plan = after_loss(job.if_lost, cause, status.end().ranks, job.went_on)
            if plan is not None:
                return self._go_on(job, cause, status, plan)
            message = cause.sentence + held_up(status)
            return self.finish(job, "failed", message, status, cause)
        return self._stopped(job, status)

    def _go_on(self, job: Job, cause: Cause, status: JobStatus, plan: GoOn) -> wire.Job:
        """A rank was lost: the job goes on, from its last whole checkpoint where it has one."""
        self._engine.kill_lease(job.request_id)
        changes: dict[str, Any] = {
            "pid": None,
            "pid_started": None,
            "went_on": job.went_on + 1,
            "first_attempt": status.attempt + 1,
            "started_at": job.started_at or status.started_at,
        }
        if plan.survivors is not None:
            slices = tuple(job.slices[rank] for rank in plan.survivors)
            words = f"{cause.sentence}; goes on with {len(slices)} of {job.ranks} ranks"
            self._records.move(job, "starting", message=words, slices=slices, **changes)
            return self._start(self._records.newest(job))
        spec = self._records.files(job.id).spec()
        seconds = None if spec is None else spec.seconds
        try:
            request = self.ask(job, seconds, key=f"{job.id}.{changes['went_on']}")
        except Refused as refused:
            words = f"{cause.sentence}; no other slices: {refused.message}"
            return self.finish(job, "failed", words, status, cause)
        changes |= {"request_id": request.id, "earlier": (*job.earlier, job.request_id)}
        words = f"{cause.sentence}; is placed anew"
        before = job.request_id
        # A server killed before the next line leaves a lease without a beat: it is lost, and over.
        self._records.move(job, "waiting", message=words, has_lease=False, slices=(), **changes)
        self.give_back(owner(job), before)
        return self.advance(self._records.newest(job))

    def ask(self, job: Job, seconds: int | None, key: str) -> wire.Request:
        """Ask for a job's slices; the same key finds the same request. Raises `Refused`."""
        return self._broker.ask(
            owner(job),
            wire.Ask(
                what=job.per_rank,
                count=job.ranks,
                seconds=seconds,
                pool=job.pool,
                purpose="job",
                name=job.name,
                key=key,
                same_node=True,
            ),
        )

    def _vanished(self, job: Job, status: JobStatus | None) -> wire.Job:
        """The supervisor is gone without a last word: it was killed, or it never came up."""
        last = self._records.files(job.id).last_status()
        if last is not None and last.state != "running":
            return self._ended(job, last)  # there was no room to say it in the usual place
        if job.stop_asked_at is not None:
            return self._stopped(job, status)
        if status is None:
            words = self._records.files(job.id).last_words()
            why = f"it could not be started: {words}" if words else "it could not be started"
            return self._fail(job, "not_started", why)
        message = "its supervisor was killed, and the ranks with it"
        return self._fail(job, "supervisor_killed", message, status, "lost")

    def _stopped(self, job: Job, status: JobStatus | None) -> wire.Job:
        steps = [one.step for one in status.ranks if one.step is not None] if status else []
        after = f" after step {max(steps)}" if steps else ""
        if job.stop_reason:
            return self._fail(job, "lease_ended", f"{job.stop_reason}{after}", status)
        return self.finish(job, "stopped", f"stopped{after}", status)

    def _fail(
        self,
        job: Job,
        code: str,
        message: str,
        status: JobStatus | None = None,
        state: JobState = "failed",
    ) -> wire.Job:
        """It ended for a reason outside its ranks."""
        return self.finish(job, state, message, status, Cause(code, message, CAUSES[code].hint))

    def finish(
        self,
        job: Job,
        state: JobState,
        message: str,
        status: JobStatus | None = None,
        cause: Cause | None = None,
    ) -> wire.Job:
        """End what is left, give the slices back, and only then write it down as over."""
        check(JOB, "job", job.state, state)
        if job.has_lease:
            self._engine.kill_lease(job.request_id)
        hint = self._bills.size_hint(job)
        self.give_back(owner(job), job.request_id, "lost" if state == "lost" else "released")
        ended = (status.ended_at if status else None) or self._clock.now()
        held, used = self._bills.hours(job)
        return self._records.move(
            job,
            state,
            message=message,
            cause=cause,
            ended_at=ended,
            started_at=job.started_at or (status.started_at if status else None),
            hours_held=held,
            hours_used=used,
            size_hint=hint,
        )

    def _ref(self, job: Job) -> ProcessRef | None:
        if job.pid is not None and job.pid_started is not None:
            return ProcessRef(job.id, job.pid, job.pid_started)
        found = self._engine.find(job.id)
        if found is not None:
            self._records.put(replace(job, pid=found.pid, pid_started=found.started))
        return found

    def give_back(
        self, who: Principal, request_id: int, reason: wire.EndReason = "released"
    ) -> None:
        """Whatever became of the request: it is over."""
        if self._broker.cancel(who, request_id).state == "granted":
            self._broker.release(who, request_id, reason)


def owner(job: Job) -> Principal:
    """In whose name it is acted."""
    return Principal(job.owner, job.groups)

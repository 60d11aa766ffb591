"""Training jobs of this server's user: start, follow, stop; logs, metrics and results by id.

The verbs only. `job_orders` checks what is to run and `job_kept` says what that is once more,
`job_runner` moves it on, `job_records` writes it down, `job_files` reads what it left on disk.
"""

from __future__ import annotations

import logging
import math
import os
import secrets
import sys
import threading
from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path

from gpu_workbench import protocol as wire

from ..domain.environment import environment_for_holder
from ..domain.jobs import Job
from ..errors import Forbidden, NotFound, WorkbenchError
from ..ports import BrokerApi, Clock, Engine, EventSink, Principal, Store
from .job_bills import JobBills
from .job_cleaning import JobCleaning
from .job_code import read_code
from .job_kept import KeptSpecs
from .job_logs import Stream
from .job_orders import Order, read_order
from .job_records import JobRecords, may_see
from .job_runner import JobRunner, owner
from .size_hints import Past

log = logging.getLogger(__name__)

MOST_MATCHES = 500
"""Lines that one search finds."""


class Jobs:
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
        stop_grace: float = 20.0,
        past: Past | None = None,
        keep_seconds: float = math.inf,
        keep_bytes: float = math.inf,
        warm_start: bool = True,
    ) -> None:
        """`root` gets a directory per job. `environment` (the server's own by default) is what its
        processes inherit, filtered here. `past` tells what a lease's slices did.
        Directories of jobs that are over are kept for so many seconds and bytes."""
        base = environment_for_holder(os.environ if environment is None else environment)
        self._broker = broker
        self._clock = clock
        self._python = python
        self._records = JobRecords(store, sink, clock, root)
        bills = JobBills(broker, clock, past)
        self._runner = JobRunner(
            broker, engine, self._records, clock, base, stop_grace, bills, warm_start
        )
        self._kept = KeptSpecs(self._records)
        self._cleaning = JobCleaning(self._records, clock, keep_seconds, keep_bytes)
        self._lock = threading.RLock()

    # --- for people -----------------------------------------------------------------------------

    def create(self, who: Principal, new: wire.JobSpec) -> wire.Job:
        """Ask for its slices; it starts when they are granted.

        Raises `BadRequest` for what can't be run and `Refused` for what can never be had.
        """
        return self._submit(who, read_order(new, self._python))

    def spec(self, who: Principal, job_id: str) -> wire.JobSpec:
        """What was ordered, function included: a changed copy can be posted as a new job."""
        return self._kept.spec(self._mine(who, job_id))

    def code(self, who: Principal, job_id: str) -> wire.Code:
        """The code beside its script as it was when it started."""
        job = self._records.own(who, job_id)
        return read_code(self._records.files(job.id).path / "code.zip")

    def again(self, who: Principal, job_id: str, body: wire.Again) -> wire.Job:
        """A new job of the same spec, with what is in `body` changed."""
        return self._submit(who, self._kept.again(self._mine(who, job_id), body))

    def checkpoints(self, who: Principal, job_id: str) -> wire.Checkpoints:
        """What it left to go on from, and what it went on from itself; newest last."""
        return wire.Checkpoints(checkpoints=self._kept.checkpoints(self._records.own(who, job_id)))

    def resume(self, who: Principal, job_id: str, body: wire.Resume) -> wire.Job:
        """A new job of the same spec that goes on from a checkpoint; of one that is over.

        Raises `WrongState`, and `BadRequest` where there is no whole checkpoint.
        """
        job = self._mine(who, job_id)
        return self._submit(who, self._kept.resume(job, body), resumed_from=job_id)

    def _mine(self, who: Principal, job_id: str) -> Job:
        """Its environment may hold secrets: an administrator sees a job, and does not run it."""
        job = self._records.own(who, job_id)
        if job.owner != who.user:
            raise Forbidden(f"{job_id} is {job.owner}'s.", "Only its owner may run it again.")
        return job

    def _submit(self, who: Principal, order: Order, resumed_from: str | None = None) -> wire.Job:
        job_id = f"job-{secrets.token_hex(4)}"
        files = self._records.files(job_id)
        job = replace(self._new(who, order, job_id), resumed_from=resumed_from)
        request = self._runner.ask(job, order.spec.seconds, key=job_id)
        with self._lock:
            try:
                files.create(order.spec, order.function)
                job = self._records.put(replace(job, request_id=request.id, pool=request.pool))
            except BaseException:
                files.discard()
                self._runner.give_back(who, request.id)
                raise
            return self._step(job)

    def list(self, who: Principal) -> list[wire.Job]:
        """The caller's jobs, newest first."""
        jobs = reversed(self._records.all())
        return [self._records.view(job) for job in jobs if may_see(who, job)]

    def get(self, who: Principal, job_id: str) -> wire.Job:
        return self._records.view(self._records.own(who, job_id))

    def stop(self, who: Principal, job_id: str) -> wire.Job:
        """Ask it to end; idempotent. Ranks get SIGTERM, and SIGKILL after a grace."""
        with self._lock:
            job = self._records.own(who, job_id)
            if job.over or job.state == "stopping":
                return self._records.view(job)
            if job.state == "waiting":
                self._broker.cancel(owner(job), job.request_id)
                return self._runner.finish(job, "stopped", "stopped before it started")
            return self._runner.begin_stop(job, "")

    def logs(
        self, who: Principal, job_id: str, rank: int, stream: Stream, offset: int
    ) -> wire.LogChunk:
        """At most 64 KiB of one rank's log, of its newest attempt."""
        job = self._records.own(who, job_id)
        _check_rank(job, rank)
        attempt = self._attempt(job)
        log = self._records.files(job_id).log(attempt, rank, stream)
        piece = log.read(offset)
        return wire.LogChunk(
            rank=rank,
            stream=stream,
            offset=piece.start,
            next_offset=piece.following,
            text=piece.text,
            ended=piece.at_end and job.over,
            attempt=attempt,
        )

    def search(
        self, who: Principal, job_id: str, text: str, rank: int | None, stream: Stream | None
    ) -> wire.LogMatches:
        """The lines of the ranks' newest logs that have `text`, at most `MOST_MATCHES`: those of
        the rank that failed first, then by rank."""
        job = self._records.own(who, job_id)
        if rank is not None:
            _check_rank(job, rank)
        files, status = self._records.files(job_id), self._records.files(job_id).status()
        failed = status.first_rank() if status else None
        ranks = sorted(range(job.ranks), key=lambda one: (one != failed, one))
        streams: tuple[Stream, ...] = (stream,) if stream else ("out", "err")
        found = (
            wire.LogMatch(rank=one, stream=name, offset=match.offset, text=match.text)
            for one in (ranks if rank is None else [rank])
            for name in streams
            for match in files.log(status.attempt if status else 0, one, name).search(text)
        )
        matches = list(islice(found, MOST_MATCHES + 1))
        return wire.LogMatches(
            matches=matches[:MOST_MATCHES], more=len(matches) > MOST_MATCHES, first_failed=failed
        )

    def metrics(self, who: Principal, job_id: str, offset: int) -> wire.MetricChunk:
        """Points of all ranks since `offset` (0 at first, then `next_offset`)."""
        job = self._records.own(who, job_id)
        piece = self._records.files(job_id).points(offset)
        return wire.MetricChunk(
            points=piece.points,
            next_offset=piece.following,
            ended=piece.at_end and job.over,
            anew=piece.anew,
        )

    def result(self, who: Principal, job_id: str) -> wire.JobResult:
        """What the function returned on rank 0, or why there is nothing (yet)."""
        job = self._records.own(who, job_id)
        if job.state != "succeeded":
            why = job.message if job.over else f"it is {job.state}"
            return wire.JobResult(value_b64=None, error=why, traceback=self._traceback(job))
        value, error = self._records.files(job_id).result(self._attempt(job))
        return wire.JobResult(value_b64=value, error=error, traceback=None)

    def place(self, who: Principal, job_id: str) -> tuple[Path, str]:
        """Its directory and its interpreter: for what shows them."""
        job = self._records.own(who, job_id)
        return self._records.files(job.id).path, job.python

    # --- for the server -------------------------------------------------------------------------

    def reconcile(self) -> None:
        """Move every job that is not over one step on; about once a second."""
        for known in [job for job in self._records.all() if not job.over]:
            with self._lock:
                job = self._records.newest(known)
                if not job.over:
                    self._step(job)

    def clean(self) -> None:
        """Remove what is kept of jobs that are long over; now and then."""
        with self._lock:
            self._cleaning.clean()

    def attributions(self) -> dict[int, dict[int, str | None]]:
        """lease → a rank's pid → its slice: what each rank's load is shown under."""
        found: dict[int, dict[int, str | None]] = {}
        for job in self._records.all():
            if job.state in ("starting", "running", "stopping"):
                status = self._records.files(job.id).status()
                ranks = status.ranks if status else []
                pids = {
                    one.pid: one.slice_id for one in ranks if one.pid and one.state == "running"
                }
                found[job.request_id] = dict(pids)
        return found

    # --- inside ---------------------------------------------------------------------------------

    def _step(self, job: Job) -> wire.Job:
        try:
            return self._runner.advance(job)
        except (WorkbenchError, OSError) as error:
            log.warning("job %s: %s", job.id, error)  # the next round tries again
            return self._records.view(self._records.newest(job))

    def _new(self, who: Principal, order: Order, job_id: str) -> Job:
        return Job(
            id=job_id,
            owner=who.user,
            groups=who.groups,
            name=order.name,
            ranks=order.spec.ranks,
            per_rank=order.spec.per_rank,
            pool=order.spec.pool,
            command=tuple(order.command),
            python=order.spec.python or self._python,
            created_at=self._clock.now(),
            request_id=0,
            sweep=order.spec.sweep,
            if_lost=order.spec.if_lost,
        )

    def _attempt(self, job: Job) -> int:
        status = self._records.files(job.id).status()
        return status.attempt if status else job.first_attempt

    def _traceback(self, job: Job) -> str | None:
        status = self._records.files(job.id).status()
        return status.first_traceback() if status else None


def _check_rank(job: Job, rank: int) -> None:
    if not 0 <= rank < job.ranks:
        raise NotFound(f"There is no rank {rank} in {job.id}.", f"Ranks: 0 to {job.ranks - 1}.")

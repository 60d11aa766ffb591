"""Sweeps of this server's user: their jobs are ordered one after the other, a few at a time.

No scheduler of its own: each run is a job like any other, in the same queue. Level-triggered, as
jobs are: `reconcile` looks at what the jobs are and orders what may start. What is known of a sweep
is in its directory (`sweep.json`, and the specs of runs that are not ordered yet), so a server that
was killed at any line goes on where it was.
"""

from __future__ import annotations

import json
import logging
import secrets
import shutil
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import msgspec

from gpu_workbench import protocol as wire

from ..domain.sweeps import MAX_RUNS, Run, Sweep
from ..errors import BadRequest, NotFound, WorkbenchError
from ..ports import Clock, EventSink, News, Principal
from .whole_files import write_whole

log = logging.getLogger(__name__)

KEPT = 50
"""Newest sweeps that are known."""


class SweptJobs(Protocol):
    """`services.jobs.Jobs`, as far as it is needed here."""

    def create(self, who: Principal, new: wire.JobSpec) -> wire.Job: ...
    def list(self, who: Principal) -> list[wire.Job]: ...
    def stop(self, who: Principal, job_id: str) -> wire.Job: ...


class Sweeps:
    """Thread-safe. Call `reconcile` about once a second."""

    def __init__(self, jobs: SweptJobs, sink: EventSink, clock: Clock, root: Path) -> None:
        self._jobs = jobs
        self._sink = sink
        self._clock = clock
        self._root = root
        self._lock = threading.RLock()
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = [one for one in map(_read, root.iterdir()) if one is not None]
        self._sweeps = {one.id: one for one in sorted(found, key=lambda one: one.created_at)}

    # --- for people -----------------------------------------------------------------------------

    def create(self, who: Principal, new: wire.NewSweep) -> wire.Sweep:
        """Write it down and order the first runs. Raises `BadRequest`."""
        if not 1 <= len(new.runs) <= MAX_RUNS:
            raise BadRequest(f"{len(new.runs)} runs are no sweep.", f"Give 1 to {MAX_RUNS}.")
        if new.at_most < 1:
            raise BadRequest(f"at_most is {new.at_most}.", "Give 1 or more.")
        sweep = Sweep(
            id=f"sweep-{secrets.token_hex(4)}",
            owner=who.user,
            groups=who.groups,
            name=new.name,
            at_most=new.at_most,
            metric=new.metric,
            goal=new.goal,
            created_at=self._clock.now(),
            runs=tuple(Run(params=run.params) for run in new.runs),
        )
        directory = self._root / sweep.id
        directory.mkdir(mode=0o700)
        for place, run in enumerate(new.runs):
            spec = msgspec.structs.replace(run.spec, sweep=sweep.id)
            write_whole(_spec(directory, place), msgspec.json.encode(spec))
        with self._lock:
            self._put(sweep)
            self._forget_old()
            return view(self._advance(sweep))

    def list(self, who: Principal) -> list[wire.Sweep]:
        """The caller's, newest first."""
        return [view(one) for one in reversed(self._sweeps.values()) if _may_see(who, one)]

    def get(self, who: Principal, sweep_id: str) -> wire.Sweep:
        return view(self._own(who, sweep_id))

    def stop(self, who: Principal, sweep_id: str) -> wire.Sweep:
        """Order nothing more, and stop what goes on; idempotent."""
        with self._lock:
            sweep = self._own(who, sweep_id)
            self._put(replace(sweep, stopped=sweep.stopped or not sweep.over))
            for run in sweep.runs:
                if run.job_id is not None and not run.over:
                    self._jobs.stop(_owner(sweep), run.job_id)
            return view(self._advance(self._sweeps[sweep_id]))

    # --- for the server -------------------------------------------------------------------------

    def reconcile(self) -> None:
        """Move every sweep that is not over one step on."""
        for known in [one for one in self._sweeps.values() if one.ended_at is None]:
            with self._lock:
                try:
                    self._advance(self._sweeps[known.id])
                except (WorkbenchError, OSError) as error:
                    log.warning("sweep %s: %s", known.id, error)  # the next round tries again

    # --- inside ---------------------------------------------------------------------------------

    def _advance(self, sweep: Sweep) -> Sweep:
        jobs = {job.id: job for job in self._jobs.list(_owner(sweep)) if job.sweep == sweep.id}
        sweep = _seen(sweep, jobs)
        if sweep.stopped:
            for place, run in enumerate(sweep.runs):
                if run.state == "pending":
                    sweep = _with(sweep, place, state="stopped", message="not started")
        self._put(sweep)
        while (number := sweep.next_run()) is not None:
            sweep = self._order(sweep, number)
            self._put(sweep)
        if sweep.over and sweep.ended_at is None:
            sweep = replace(sweep, ended_at=self._clock.now())
            self._put(sweep)
        return sweep

    def _order(self, sweep: Sweep, number: int) -> Sweep:
        path = _spec(self._root / sweep.id, number)
        try:
            job = self._jobs.create(
                _owner(sweep), msgspec.json.decode(path.read_bytes(), type=wire.JobSpec)
            )
        except (WorkbenchError, msgspec.MsgspecError, FileNotFoundError) as error:
            said = error.message if isinstance(error, WorkbenchError) else str(error)
            return _with(sweep, number, state="refused", message=said)
        sweep = _with(sweep, number, state=job.state, job_id=job.id)
        self._put(sweep)
        path.unlink(missing_ok=True)  # from now on the job keeps it
        return sweep

    def _put(self, sweep: Sweep) -> None:
        known = self._sweeps.get(sweep.id)
        if known != sweep:
            path = self._root / sweep.id / "sweep.json"
            write_whole(path, json.dumps(msgspec.to_builtins(sweep)).encode())
            self._sweeps[sweep.id] = sweep
            if known is None or _moves(known) != _moves(sweep):
                self._sink.tell(News("sweep", sweep.id, sweep.owner))

    def _own(self, who: Principal, sweep_id: str) -> Sweep:
        sweep = self._sweeps.get(sweep_id)
        if sweep is None or not _may_see(who, sweep):
            raise NotFound(f"There is no sweep {sweep_id} of yours.", "List your sweeps.")
        return sweep

    def _forget_old(self) -> None:
        over = [one.id for one in self._sweeps.values() if one.ended_at is not None]
        for sweep_id in over[: max(0, len(self._sweeps) - KEPT)]:
            del self._sweeps[sweep_id]
            shutil.rmtree(self._root / sweep_id, ignore_errors=True)


def view(sweep: Sweep) -> wire.Sweep:
    """As people see it."""
    return wire.Sweep(
        id=sweep.id,
        name=sweep.name,
        user=sweep.owner,
        state="running" if not sweep.over else "stopped" if sweep.stopped else "done",
        at_most=sweep.at_most,
        metric=sweep.metric,
        goal=sweep.goal,
        created_at=sweep.created_at,
        ended_at=sweep.ended_at,
        runs=[
            wire.SweepRun(
                number=number,
                params=dict(run.params),
                state=run.state,
                job_id=run.job_id,
                value=sweep.value(run),
                step=run.step,
                seconds=run.seconds,
                message=run.message,
            )
            for number, run in enumerate(sweep.runs)
        ],
        best=sweep.best(),
    )


def _seen(sweep: Sweep, jobs: dict[str, wire.Job]) -> Sweep:
    """With what its jobs are by now. One that was ordered just before we were killed is not noted
    yet: it is the run whose turn it was."""
    for job_id in jobs.keys() - {run.job_id for run in sweep.runs}:
        pending = [n for n, run in enumerate(sweep.runs) if run.state == "pending"]
        if pending:
            sweep = _with(sweep, pending[0], state="waiting", job_id=job_id)
    for number, run in enumerate(sweep.runs):
        job = jobs.get(run.job_id or "")
        if job is None and run.job_id is not None and not run.over:
            sweep = _with(sweep, number, state="lost", message="its job is not known any more")
        elif job is not None and not run.over:
            seconds = None
            if job.started_at is not None and job.ended_at is not None:
                seconds = job.ended_at - job.started_at
            sweep = _with(
                sweep,
                number,
                state=job.state,
                message=job.message,
                step=job.step,
                metrics=dict(job.metrics),
                seconds=seconds,
            )
    return sweep


def _moves(sweep: Sweep) -> tuple[Any, ...]:
    """What is news of it: each step of each run would be told by its job already."""
    return sweep.stopped, sweep.ended_at, [(run.state, run.job_id) for run in sweep.runs]


def _with(sweep: Sweep, number: int, **changes: Any) -> Sweep:
    runs = list(sweep.runs)
    runs[number] = replace(runs[number], **changes)
    return replace(sweep, runs=tuple(runs))


def _owner(sweep: Sweep) -> Principal:
    return Principal(sweep.owner, sweep.groups)


def _may_see(who: Principal, sweep: Sweep) -> bool:
    return who.admin or who.user == sweep.owner


def _spec(directory: Path, number: int) -> Path:
    return directory / f"run-{number}.json"


def _read(directory: Path) -> Sweep | None:
    try:
        return msgspec.json.decode((directory / "sweep.json").read_bytes(), type=Sweep)
    except (OSError, msgspec.MsgspecError):
        return None

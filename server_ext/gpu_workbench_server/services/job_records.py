"""The jobs that the store knows, in memory: changed by writing down first, and told after that."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from gpu_workbench import protocol as wire

from ..domain.jobs import OVER, Job, JobState
from ..domain.transitions import JOB, check
from ..errors import NotFound
from ..ports import Clock, EventSink, News, Principal, Record, Store
from .job_files import JobFiles
from .job_views import view

KEPT = 200
"""Newest jobs that are known after a restart, beside all that have not ended."""


class JobRecords:
    """Reads may come from any thread; whoever writes holds the service's lock."""

    def __init__(self, store: Store, sink: EventSink, clock: Clock, root: Path) -> None:
        self._store = store
        self._sink = sink
        self._clock = clock
        self.root = root
        self._told: dict[str, wire.Job] = {}
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        # One that has not ended is never forgotten, however many newer ones there are.
        going = store.records("job", limit=None, state_not_in=OVER)
        found = {
            one.id: msgspec.convert(one.body, Job) for one in [*store.records("job", KEPT), *going]
        }
        self._jobs = {job.id: job for job in sorted(found.values(), key=lambda job: job.created_at)}

    def all(self) -> list[Job]:
        """Oldest first."""
        return list(self._jobs.values())

    def own(self, who: Principal, job_id: str) -> Job:
        """Raises `NotFound` also for somebody else's."""
        job = self._jobs.get(job_id)
        if job is None or not may_see(who, job):
            raise NotFound(f"There is no job {job_id} of yours.", "List your jobs.")
        return job

    def newest(self, job: Job) -> Job:
        """The record as it is by now."""
        return self._jobs[job.id]

    def files(self, job_id: str) -> JobFiles:
        """The directory of a job; ids are ours, so they can't lead out of the root."""
        return JobFiles(self.root / job_id)

    def directories(self) -> list[Path]:
        """Of all jobs whose files are there, known or not."""
        return [one for one in self.root.iterdir() if one.is_dir() and not one.is_symlink()]

    def put(self, job: Job) -> Job:
        body = msgspec.to_builtins(job)
        self._store.put_record(Record("job", job.id, job.owner, body, self._clock.now()))
        self._jobs[job.id] = job
        return job

    def move(self, job: Job, state: JobState, **changes: Any) -> wire.Job:
        """Write down what is new, then tell it. `WrongState` where the state may not follow."""
        if state != job.state:
            check(JOB, "job", job.state, state)
        moved = replace(job, state=state, **changes)
        if moved != job:
            self.put(moved)
        return self.tell(moved)

    def tell(self, job: Job) -> wire.Job:
        """News, if people would see anything new."""
        known = self._told.get(job.id)
        seen = view(job, self.files(job.id).status())
        if known != seen:
            self._told[job.id] = seen
            self._sink.tell(News("job", job.id, job.owner, seen))
        return seen

    def view(self, job: Job) -> wire.Job:
        known = self._told.get(job.id)
        if known is not None and job.over and known.state == job.state:
            return known  # its directory changes no more
        seen = view(job, self.files(job.id).status())
        if job.over:
            self._told[job.id] = seen
        return seen


def may_see(who: Principal, job: Job) -> bool:
    return who.admin or who.user == job.owner

"""A job as people see it: wire type and sentences. Pure functions of record and status."""

from __future__ import annotations

from statistics import median
from typing import Literal

from gpu_workbench import protocol as wire

from ..domain.jobs import Job
from ..domain.pace import slow_rank, slowness
from .job_files import JobStatus

SILENT_SECONDS = 30.0
"""A run that made steps and then none for so long is worth a word. The supervisor says sooner which
rank stands still (`holders.watch`); here it shows where it can't, or is held up itself."""

_MOST_STANDING = 3

CAUSE_LINES = 12
"""Of a traceback, its end: the line that raised and what was raised."""

_WHY_OVER: dict[str | None, str] = {
    "expired": "its time was up",
    "reclaimed": "its slices were idle and were taken back",
    "preempted": "its slices went to somebody with priority",
    "lost": "its lease was lost, nobody spoke for it",
    "released": "its slices were given back",
}


def view(job: Job, status: JobStatus | None) -> wire.Job:
    """The job, with what its ranks do as the supervisor saw it last."""
    if status is not None and status.ranks:
        slower = slowness(status.paces())
        ranks = [one.view(slower.get(one.rank)) for one in status.ranks]
    else:
        state: Literal["waiting", "gone"] = "gone" if job.over and job.started_at else "waiting"
        slices = [*job.slices, *[None] * (job.ranks - len(job.slices))]
        ranks = [
            wire.RankView(rank=number, slice_id=slices[number], pid=None, state=state)
            for number in range(job.ranks)
        ]
    latest = status.metrics if status else {}
    took = [one.step_seconds for one in ranks if one.step_seconds is not None]
    return wire.Job(
        id=job.id,
        name=job.name,
        state=job.state,
        user=job.owner,
        lease_id=job.request_id if job.has_lease else None,
        request_id=job.request_id,
        ranks=ranks,
        per_rank=job.per_rank,
        created_at=job.created_at,
        message=job.message,
        command=list(job.command),
        started_at=job.started_at,
        ended_at=job.ended_at,
        metrics={name: value for name, value in latest.items() if value is not None},
        step=max((one.step for one in ranks if one.step is not None), default=None),
        step_seconds=median(took) if took else None,
        has_result=status.has_result if status else False,
        cause=_cause(job, status),
        resumed_from=job.resumed_from,
        sweep=job.sweep,
        hours_held=job.hours_held,
        hours_used=job.hours_used,
        size_hint=job.size_hint,
        pool=job.pool,
    )


def _cause(job: Job, status: JobStatus | None) -> wire.Cause | None:
    if job.cause is None:
        return None
    trace = (status.first_traceback() if status else None) or (status and status.agent_log) or ""
    return wire.Cause(
        code=job.cause.code,
        message=job.cause.sentence,
        hint=job.cause.hint,
        rank=job.cause.rank,
        lines=trace.strip().splitlines()[-CAUSE_LINES:],
    )


def running_message(job: Job, status: JobStatus, now: float) -> str:
    """What it does, and what somebody should look at."""
    up = sum(one.state in ("running", "succeeded") for one in status.ranks)
    ranks = len(status.ranks)
    words = [f"{up} of {ranks} ranks up" if up < ranks else f"running on {ranks} ranks"]
    if status.way:
        words.append(status.way)
    if status.attempt:
        words.append(
            f"restarted {status.attempt} times" if status.attempt > 1 else "restarted once"
        )
    if status.not_a_number:
        name, step = status.not_a_number
        words.append(f"{name} is not a number since step {step}")
    words += [f"rank {one.rank} {one.stands}" for one in status.ranks if one.stands][
        :_MOST_STANDING
    ]
    slow = slow_rank(status.paces())
    if slow:
        words.append("rank {} is {:.1f}× slower than the others".format(*slow))
    beats = [
        (one.beat_at, one.step)
        for one in status.ranks
        if one.beat_at is not None and one.state == "running"
    ]
    if beats and now - max(beats)[0] > SILENT_SECONDS:
        at, step_made = max(beats)
        # Whole tens: the sentence is news each time it changes.
        words.append(f"no step for {(now - at) // 10 * 10:.0f} s, since step {step_made}")
    return "; ".join(words)


def held_up(status: JobStatus) -> str:
    """What a run that is over says of a rank that the others waited for; "" where there is none."""
    slow = slow_rank(status.paces())
    return "; rank {} was {:.1f}× slower than the others".format(*slow) if slow else ""


def lease_over(lease: wire.Lease) -> str:
    """Why a job whose lease ended is over."""
    return f"its lease ended: {_WHY_OVER.get(lease.end_reason, 'it is over')}"

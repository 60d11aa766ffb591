"""A cluster's life as one pure function: what is known in, the next step out.

`next_step` is level-triggered: it looks at what is, never at what happened, so it gives the right
answer after any restart. It starts and ends nothing itself and knows no files; `services.clusters`
carries out its steps, all of which may be repeated. Its slices are the business of `seats`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from .leases import EndReason
from .seats import Seat, SeatPlan
from .transitions import CLUSTER, check

ClusterState = Literal["waiting", "starting", "running", "stopping", "ended", "failed"]
OVER: frozenset[str] = frozenset({"ended", "failed"})


@dataclass(frozen=True, slots=True)
class ClusterRecord:
    """What the store keeps of a cluster. Times in seconds since the epoch."""

    id: str
    name: str
    owner: str
    per_worker: str
    workers_wanted: int
    threads_per_worker: int
    host_memory_bytes: int | None
    fleet_units: float
    """GPU units of all GPUs when it was made."""
    python: str
    idle_seconds: int | None
    created_at: float
    groups: tuple[str, ...] = ()
    """Of its owner, when it was made: who pays for its slices beside them."""
    what: str = ""
    """What was asked for, in the words of whoever did: "20GB" is more than the profile it comes to,
    of which another GPU's may be smaller."""
    pool: str | None = None
    seconds: int | None = None
    """For which each slice is leased; None is the pool's default."""
    cwd: str | None = None
    seats: tuple[Seat, ...] = ()
    asked: int = 0
    """Requests that it made so far: each has a key of its own."""
    adapt: tuple[int, int] | None = None
    """Least and most workers, where it chooses by itself."""
    restarts: int = 0
    state: ClusterState = "waiting"
    message: str = ""
    waits_for: str = ""
    """What its first waiting request waits for."""
    pid: int | None = None
    started: float | None = None
    stopping_since: float | None = None
    ended_at: float | None = None
    notice: str = ""
    """What happened to it last that nobody asked for."""
    notice_at: float | None = None
    size_hint: str | None = None
    size_profile: str | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What can be seen of a cluster's process from outside, now."""

    process: Literal["none", "running", "gone"] = "none"
    """"none" where it was never started, as far as the record knows."""
    told: ClusterState | None = None
    """What the process says of itself."""
    told_message: str = ""
    last_words: str = ""
    """End of its error log."""
    over: EndReason | None = None
    """Why its last lease ended, where none is left."""


Act = Literal["nothing", "start", "watch", "stop", "kill", "finish"]


@dataclass(frozen=True, slots=True)
class Step:
    """`record` as it is from now on, and what to do about it.

    The record is written down before the act, except for `finish`: there the leases are given back
    first, since nobody looks at a cluster again that is over.
    """

    record: ClusterRecord
    act: Act


_END_WORDS: dict[EndReason, str] = {
    "released": "its slices were given back",
    "expired": "its time was up",
    "reclaimed": "its slices were taken back, because nobody used them",
    "preempted": "its slices went to somebody with a higher claim",
    "lost": "its lease was lost",
}


_LEFT_WORDS: dict[EndReason, str] = {
    "released": "its slice was given back",
    "expired": "its time was up",
    "reclaimed": "its slice was taken back, because nobody used it",
    "preempted": "its slice went to somebody with a higher claim",
    "lost": "its lease was lost",
}


def seated(record: ClusterRecord, plan: SeatPlan, now: float) -> ClusterRecord:
    """The cluster after its seats were looked at: on its way out where it lost the last one."""
    record = replace(record, seats=plan.seats, workers_wanted=plan.wanted, waits_for=plan.waits_for)
    if plan.over:
        record = replace(record, notice=_left_words(plan.over), notice_at=now)
    if record.seats or not (plan.over or plan.refused):
        return record
    return stopped(record, _END_WORDS[plan.over[-1]] if plan.over else plan.refused, now)


def next_step(record: ClusterRecord, facts: Facts, now: float, grace: float = 10.0) -> Step:
    """What to do next for a cluster that is not over.

    `grace` is in seconds, between asking a process to end and killing it.
    """
    if record.state == "stopping":
        return _stopping(record, facts, now, grace)
    if record.state == "waiting":
        return _waiting(record)
    if facts.process == "gone" or facts.told in OVER:
        return _left(record, facts, now)
    if facts.process == "none":
        return Step(record, "start")
    if facts.told == "stopping":
        return Step(stopped(record, facts.told_message, now), "stop")
    if facts.told == "running" or record.state == "running":
        return Step(_moved(record, "running", facts.told_message), "watch")
    return Step(replace(record, message=facts.told_message or "starting"), "watch")


def stopped(record: ClusterRecord, why: str, now: float) -> ClusterRecord:
    """The same cluster on its way out; unchanged where it already is. Raises `WrongState`."""
    if record.state == "stopping":
        return record
    return replace(_moved(record, "stopping", why), stopping_since=now, waits_for="")


def _left_words(over: tuple[EndReason, ...]) -> str:
    """Like "A worker left: its time was up"; of several reasons, the last."""
    count, why = len(over), _LEFT_WORDS[over[-1]]
    return f"A worker left: {why}." if count == 1 else f"{count} workers left, the last: {why}."


def _waiting(record: ClusterRecord) -> Step:
    if any(seat.leased for seat in record.seats) or record.workers_wanted == 0:
        return Step(_moved(record, "starting", "starting the scheduler"), "start")
    return Step(record, "nothing")


def _left(record: ClusterRecord, facts: Facts, now: float) -> Step:
    """The process went by itself: in order, because it could not go on, or without a word."""
    if facts.process == "running":  # says that it is over, and is about to be
        return Step(stopped(record, facts.told_message, now), "stop")
    if facts.told == "ended":
        return Step(_moved(record, "ended", facts.told_message), "finish")
    if facts.over and facts.over != "lost":
        return Step(_moved(record, "ended", _END_WORDS[facts.over]), "finish")
    why = facts.told_message if facts.told == "failed" else "Its process was killed or crashed."
    words = f"{why}\n{facts.last_words}" if facts.last_words else why
    return Step(_moved(record, "failed", words), "finish")


def _stopping(record: ClusterRecord, facts: Facts, now: float, grace: float) -> Step:
    if facts.process == "running":
        late = now - (record.stopping_since or now) >= grace
        return Step(record, "kill" if late else "stop")
    if facts.told == "failed":
        return Step(_moved(record, "failed", facts.told_message), "finish")
    return Step(_moved(record, "ended", record.message), "finish")


def _moved(record: ClusterRecord, state: ClusterState, message: str) -> ClusterRecord:
    if state != record.state:
        check(CLUSTER, "cluster", record.state, state)
    return replace(record, state=state, message=message)

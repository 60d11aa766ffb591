"""A cluster's life as one pure function: what is known in, the next step out.

`next_step` is level-triggered: it looks at what is, never at what happened, so it gives the right
answer after any restart. It starts and ends nothing itself and knows no files; `services.clusters`
carries out its steps, all of which may be repeated.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from .leases import EndReason, RequestState
from .transitions import CLUSTER, check

ClusterState = Literal["waiting", "starting", "running", "stopping", "ended", "failed"]
OVER: frozenset[str] = frozenset({"ended", "failed"})


@dataclass(frozen=True, slots=True)
class ClusterRecord:
    """What the store keeps of a cluster. Times in seconds since the epoch."""

    id: str
    name: str
    owner: str
    request_id: int
    """Also the lease's, once it is granted."""
    per_worker: str
    workers_leased: int
    workers_wanted: int
    threads_per_worker: int
    host_memory_bytes: int | None
    host_share: float
    """Of one worker: its slice's part of all GPUs."""
    python: str
    idle_seconds: int | None
    created_at: float
    cwd: str | None = None
    state: ClusterState = "waiting"
    message: str = ""
    leased: bool = False
    """Its request was granted: there is a lease to give back."""
    pid: int | None = None
    started: float | None = None
    stopping_since: float | None = None
    ended_at: float | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What can be seen of a cluster from outside, now."""

    request: RequestState
    waits_for: str = ""
    """Why the request waits or was denied, in a sentence."""
    lease_ended: EndReason | None = None
    process: Literal["none", "running", "gone"] = "none"
    """"none" where it was never started, as far as the record knows."""
    told: ClusterState | None = None
    """What the process says of itself."""
    told_message: str = ""
    last_words: str = ""
    """End of its error log."""


Act = Literal["nothing", "start", "watch", "stop", "kill", "finish"]


@dataclass(frozen=True, slots=True)
class Step:
    """`record` as it is from now on, and what to do about it.

    The record is written down before the act, except for `finish`: there the lease is given back
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


def next_step(record: ClusterRecord, facts: Facts, now: float, grace: float = 10.0) -> Step:
    """What to do next for a cluster that is not over.

    `grace` is in seconds, between asking a process to end and killing it.
    """
    if record.state == "stopping":
        return _stopping(record, facts, now, grace)
    if record.state == "waiting":
        return _waiting(record, facts)
    if facts.process == "gone" or facts.told in OVER:
        return _left(record, facts, now)
    if facts.lease_ended:
        return Step(stopped(record, _END_WORDS[facts.lease_ended], now), "stop")
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
    return replace(_moved(record, "stopping", why), stopping_since=now)


def _waiting(record: ClusterRecord, facts: Facts) -> Step:
    if facts.request == "queued":
        return Step(replace(record, message=facts.waits_for), "nothing")
    if facts.request == "granted" and not facts.lease_ended:
        ready = _moved(record, "starting", "starting the scheduler")
        return Step(replace(ready, leased=True), "start")
    if facts.request == "granted" and facts.lease_ended:
        why = _END_WORDS[facts.lease_ended]
        return Step(replace(_moved(record, "ended", why), leased=True), "finish")
    why = "its request was cancelled"
    if facts.request != "cancelled":
        return Step(
            _moved(record, "failed", facts.waits_for or f"request {facts.request}"), "finish"
        )
    return Step(_moved(record, "ended", why), "finish")


def _left(record: ClusterRecord, facts: Facts, now: float) -> Step:
    """The process went by itself: in order, because it could not go on, or without a word."""
    if facts.process == "running":  # says that it is over, and is about to be
        return Step(stopped(record, facts.told_message, now), "stop")
    if facts.told == "ended":
        return Step(_moved(record, "ended", facts.told_message), "finish")
    if facts.lease_ended and facts.lease_ended != "lost":
        return Step(_moved(record, "ended", _END_WORDS[facts.lease_ended]), "finish")
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

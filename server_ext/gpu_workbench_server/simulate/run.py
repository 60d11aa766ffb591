"""The event loop: a trace through `decide` in virtual time, as the live broker would be driven.

What people would do is played here, and said: a job gives back when it is done; one that needs
longer than it declared extends its lease at its end, by half of what it declared; where that is
refused, or the lease is taken from it, it asks again for the rest (it went on from a checkpoint).
What comes at the same instant is in the queue before the first decision of that instant.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass, field, replace
from itertools import count

from ..domain.asks import Wanted
from ..domain.decide import admit, decide
from ..domain.decisions import Bound, Change, Cleared, Ended, Event, Extended, Submitted, Ticked
from ..domain.estimates import forecast
from ..domain.fleet import Gpu
from ..domain.habits import Habits
from ..domain.leases import Holder, Lease, Request
from ..domain.quota import anything_deserved
from ..domain.state import State
from ..domain.units import gpu_units, parts_of_share
from ..errors import WorkbenchError
from ..services.policy import Policy
from .fragments import Fragments, mix_of
from .jobs import Job, Trace
from .record import Moment, Outcome, Story

FINISH, SUBMIT, LOOK = range(3)
"""What happens at one instant, in this order."""
EXTEND_BY = 0.5
LEAST_EXTENSION = 60


@dataclass(slots=True)
class _Work:
    """A job in the simulation: what is left of it, and its request or lease, if any."""

    story: Story
    left: float
    asked: Request | None = None
    began: float = 0.0
    lease: int | None = None


@dataclass
class Simulation:
    """One trace under one policy; call `run` once."""

    trace: Trace
    policy: Policy
    estimates: bool = False
    """Whether each job is told at its submission when it will start (slower)."""
    clear_seconds: float = 0.0
    """From the end of a lease to its slices being free."""
    _ids: count[int] = field(default_factory=lambda: count(1))

    def run(self) -> Outcome:
        self._state = State(
            self.policy.pools, self.policy.limits, self._fleet(), rules=self.policy.rules
        )
        self._habits = Habits()
        self._gives_way = anything_deserved(self._state) and math.isfinite(
            self.policy.rules.min_run
        )
        self._templates: dict[object, Request | WorkbenchError] = {}
        self._works = {job.id: _Work(Story(job), job.seconds) for job in self.trace.jobs}
        self._holders: dict[int, _Work] = {}  # by request or lease id
        self._heap: list[tuple[float, int, int, int]] = []
        self._order = count()
        self._outcome = Outcome(
            self.trace.name,
            float(len(self._state.gpus)),
            [work.story for work in self._works.values()],
            notes=self.trace.notes,
        )
        first = [one for job in self.trace.jobs if (one := self._template(job)) is not None]
        self._fragments = Fragments(self._state, mix_of(first))
        for job in self.trace.jobs:
            if not self._works[job.id].story.refused:
                self._at(job.submitted, SUBMIT, job.id)
        while self._heap:
            now, kind = self._heap[0][:2]
            subjects = []
            while self._heap and self._heap[0][:2] == (now, kind):
                subjects.append(heapq.heappop(self._heap)[3])
            if kind == FINISH:
                self._finish(subjects, now)
            elif kind == SUBMIT:
                self._submit([self._works[one] for one in subjects], now)
            else:
                self._look(subjects, now)
            self._note(now)
        return self._outcome

    # --- what happens -----------------------------------------------------------------------

    def _finish(self, leases: list[int], now: float) -> None:
        for lease_id in leases:
            work = self._holders.get(lease_id)
            if work is None or work.lease != lease_id:
                continue  # it lost that lease in between
            if now < work.began + work.left - 1e-6:
                continue
            work.left, work.lease = 0.0, None
            work.story.ended = now
            del self._holders[lease_id]
            self._decide(Ended(lease_id, "released"), now)

    def _submit(self, works: list[_Work], now: float) -> None:
        """Those that come together are all in the queue before anybody is served."""
        requests = []
        for work in works:
            request = self._request(work, now)
            work.asked = request
            self._holders[request.id] = work
            requests.append(request)
        for request in requests[:-1]:
            self._state.put(Change("queued", request))
        self._decide(Submitted(requests[-1]), now)
        if self.estimates:
            waiting = {one.id for one in requests if one.id in self._state.queue}
            for request_id, told in forecast(self._state, now, waiting, self._habits).items():
                asked = self._state.queue[request_id]
                self._habits.waits.told(request_id, asked.pool, now, told.expected_at)
                story = self._holders[request_id].story
                if story.started is None and story.expected_at is None:
                    story.expected_at, story.expected_by = told.expected_at, told.expected_by

    def _look(self, leases: list[int], now: float) -> None:
        """A lease's time is over: extend it where it is still needed; then let time do its work."""
        if not any(one in self._state.leases for one in leases):
            return
        for lease in list(self._state.leases.values()):
            if lease.state == "ended":
                if lease.ended_at is not None and now >= lease.ended_at + self.clear_seconds:
                    self._decide(Cleared(lease.id), now)
            elif lease.ends_at <= now and lease.gives_way_to is None:
                self._extend(lease, now)
        self._decide(Ticked({}), now)

    def _extend(self, lease: Lease, now: float) -> None:
        work = self._holders.get(lease.id)
        if work is None:
            return
        more = max(LEAST_EXTENSION, math.ceil(EXTEND_BY * _declared(work.story.job)))
        more = min(more, self._state.pools[lease.pool].max_seconds)
        try:
            self._decide(Extended(lease.id, more), now)
        except WorkbenchError:
            return  # it expires, and asks again for the rest
        work.story.extended += 1

    # --- the broker's part ------------------------------------------------------------------

    def _decide(self, event: Event, now: float) -> None:
        """Decide, take in, and play what follows at once."""
        self._outcome.decisions += 1
        cleared = []
        for change in decide(self._state, event, now):
            self._state.put(change)
            lease = change.lease
            if change.ledger is not None:
                self._habits.learn(change.ledger)
            if lease is None:
                continue
            self._fragments.touch(one.gpu for one in lease.slices)
            if change.kind == "granted":
                self._habits.waits.over(lease.id, now)
                self._start(lease, now)
            elif lease.state == "ended" and not lease.cleared:
                self._lost(lease, now)
                cleared.append(lease.id)
            elif not lease.cleared:
                self._at(lease.ends_at, LOOK, lease.id)
        for lease_id in cleared:
            if self.clear_seconds > 0:
                self._at(now + self.clear_seconds, LOOK, lease_id)
            elif lease_id in self._state.leases:
                self._decide(Cleared(lease_id), now)

    def _start(self, lease: Lease, now: float) -> None:
        work = self._holders[lease.id]
        work.lease, work.began, work.asked = lease.id, now, None
        if work.story.started is None:
            work.story.started = now
        self._at(now + work.left, FINISH, lease.id)
        self._at(lease.ends_at, LOOK, lease.id)
        if self._gives_way:
            self._at(now + self.policy.rules.min_run, LOOK, lease.id)
        for change in decide(self._state, Bound(lease.id, Holder("job", str(lease.id))), now):
            self._state.put(change)

    def _lost(self, lease: Lease, now: float) -> None:
        """A lease ended before its job was done: the job asks again for the rest."""
        work = self._holders.pop(lease.id, None)
        if work is None:
            return
        work.left = max(1.0, work.left - (now - work.began))
        work.lease = None
        work.story.interrupted += 1
        self._at(now, SUBMIT, work.story.job.id)

    def _at(self, time: float, kind: int, subject: int) -> None:
        heapq.heappush(self._heap, (time, kind, next(self._order), subject))

    def _note(self, now: float) -> None:
        moments = self._outcome.moments
        held = sum(self._state.user_parts.values())
        moment = Moment(
            now, gpu_units(held), round(self._fragments.total, 6), len(self._state.queue)
        )
        if moments and moments[-1].at == now:
            moments.pop()
        if not moments or replace(moments[-1], at=now) != moment:
            moments.append(moment)

    # --- asking -----------------------------------------------------------------------------

    def _fleet(self) -> list[Gpu]:
        """The trace's GPUs; those of a pool that the policy lacks go to its first pool."""
        known = {pool.name for pool in self.policy.pools}
        first = self.policy.pools[0].name
        return [gpu if gpu.pool in known else replace(gpu, pool=first) for gpu in self.trace.gpus]

    def _template(self, job: Job) -> Request | None:
        """What a job asks for, as the broker admits it; None, and why in its story, where not."""
        what = job.what or self._what(job)
        key = (job.user, job.group, what, job.gpus, job.same_node, job.priority)
        if key not in self._templates:
            wanted = Wanted(
                job.user,
                job.group,
                what,
                job.gpus,
                same_node=job.same_node,
                priority=job.priority,
                purpose="job",
            )
            try:
                self._templates[key] = admit(self._state, wanted, 0, 0.0)
            except WorkbenchError as error:
                self._templates[key] = error
        found = self._templates[key]
        if isinstance(found, Request):
            return found
        self._works[job.id].story.refused = found.message
        return None

    def _what(self, job: Job) -> str:
        """The smallest offered fraction that a share fits into, or the whole GPU."""
        if job.share < 1:
            for profile in self._state.offered(self.policy.pools[0].name):
                if profile.kind == "fraction" and profile.parts >= parts_of_share(job.share):
                    return profile.name
        return "whole"

    def _request(self, work: _Work, now: float) -> Request:
        """The request for what is left of a job, at most as long as its pool allows."""
        job = work.story.job
        template = self._template(job)
        assert template is not None
        declared = math.ceil(_declared(job) * work.left / job.seconds)
        most = self._state.pools[template.pool].max_seconds
        seconds = min(most, max(1, declared))
        return replace(template, id=next(self._ids), created_at=now, seconds=seconds)


def _declared(job: Job) -> float:
    return job.seconds if job.declared is None else job.declared

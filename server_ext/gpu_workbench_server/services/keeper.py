"""The keeper: holds the state and is the one way to change it. Decide, commit, take in, then tell.

One lock, one state, one store. Each event runs through `decide`, its changes are committed in one
transaction and taken into the state after that. Where a commit fails, nobody here knows whether it
arrived: the state is taken from the store again before the next decision. Knows no caller's rights
and no wire types but the news: see `broker` for those.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import TypeVar

from ..domain.decide import decide
from ..domain.decisions import Change, Event, FleetSeen, Ticked
from ..domain.estimates import Forecast, forecast
from ..domain.fairshare import REMEMBERED
from ..domain.fleet import Gpu, assigned
from ..domain.habits import LEARNED_SECONDS, Habits
from ..domain.invariants import broken
from ..domain.leases import Lease
from ..domain.state import State
from ..errors import Unavailable
from ..ports import AuditEntry, Clock, EventSink, News, Principal, Store
from .policy import Policy
from .telling import news_of, subject_of

log = logging.getLogger(__name__)

Item = TypeVar("Item")

SYSTEM = Principal("system", admin=True)


class Keeper:
    """Hold `lock` around every use of `state`; `run` takes it itself, and may be nested."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        sink: EventSink,
        policy: Policy,
        on_decision: Callable[[float], object] = lambda seconds: None,
    ) -> None:
        """`on_decision` is told how long each decision took, in seconds."""
        self.store = store
        self.lock = threading.RLock()
        self.state = State(policy.pools, policy.limits, rules=policy.rules)
        self.habits = Habits()
        self._clock = clock
        self._sink = sink
        self._policy = policy
        self._on_decision = on_decision
        self._beats: dict[int, float] = {}
        self._next_id = 1
        self._behind = False
        """A commit failed, and what the store holds now has not been looked at since."""

    def now(self) -> float:
        return self._clock.now()

    def rebuild(self, policy: Policy | None = None) -> None:
        """Take the state from the store, under the policy; by default the one in force.

        Leases that come back alive get one time-to-live for their holders to be found again. Of
        the ledger only so much is read as fair share and habits still know of.
        """
        with self.lock:
            policy = policy or self._policy
            old, now = self.state, self.now()
            state = State(policy.pools, policy.limits, old.gpus.values(), policy.rules)
            snapshot = self.store.load()
            horizon = max(REMEMBERED * policy.rules.half_life, LEARNED_SECONDS)
            past = self.store.ledger(since=max(0.0, now - horizon))
            self._policy = policy
            for lease in snapshot.leases:
                state.put(Change("granted", lease=lease))
                if lease.id not in self._beats:
                    self.beat(lease.id)
            state.remember(past, now)
            for booked in snapshot.reservations:
                state.put(Change("booked", reservation=booked))
            for request in snapshot.requests:
                state.put(Change("queued", request))
            if old.asked:
                state.recent, state.asked = old.recent, old.asked
            self.state, self.habits = state, Habits(past)
            self._next_id = max(self._next_id, snapshot.next_id)
            self._behind = False

    def check(self) -> None:
        """Log every invariant that the state breaks."""
        with self.lock:
            for fault in broken(self.state):
                log.error("invariant broken: %s", fault)

    @contextmanager
    def current(self) -> Iterator[None]:
        """The lock, and a state that is what the store holds. Raises `StoreTrouble` where that
        can't be had."""
        with self.lock:
            if self._behind:
                self._catch_up()
            yield

    def _catch_up(self) -> None:
        """After a failed commit: whatever became of it, go on from what the store holds."""
        before = self.state
        self.rebuild()
        self.check()
        log.warning("a commit failed: the state was taken from the store again")
        for lease in _differ(before.leases, self.state.leases):
            self._sink.tell(News("lease", str(lease.id), lease.user, "changed"))
        for request in _differ(before.queue, self.state.queue):
            self._sink.tell(News("request", str(request.id), request.user, "changed"))
        self._sink.tell(News("fleet", "fleet"))

    def run(self, event: Event, actor: Principal = SYSTEM) -> None:
        """Decide, commit, take in, tell: in this order."""
        with self.current():
            now = self.now()
            began = perf_counter()
            changes = decide(self.state, event, now)
            self._on_decision(perf_counter() - began)
            if not changes:
                return
            audit = [
                AuditEntry(now, actor.user, one.kind, subject_of(one), one.why)
                for one in changes
                if one.kind != "metered"
            ]
            try:
                self.store.commit(changes, audit)
            except Unavailable:
                self._behind = True
                raise
            for change in changes:
                self.state.put(change)
                if change.ledger is not None:
                    self.habits.learn(change.ledger)
                if change.kind == "granted" and change.lease:
                    self.beat(change.lease.id)
                if change.request is not None and change.request.state != "queued":
                    started = now if change.kind == "granted" else None
                    self.habits.waits.over(change.request.id, started)
            for news in news_of(changes, self.state, self.now()):
                self._sink.tell(news)

    def see(self, gpus: Sequence[Gpu]) -> bool:
        """Take in the devices as they are now, each in its pool; whether any of them changed."""
        with self.current():
            was = dict(self.state.gpus)
            self.run(FleetSeen(tuple(assigned(gpus, self._policy.pools))))
            return was != self.state.gpus

    def tick(self) -> None:
        """Time passes: ends, lapsed heartbeats, unclaimed leases; and the queue is served."""
        with self.current():
            state = self.state
            if state.leases or state.queue or state.reservations:
                self.run(Ticked(dict(self._beats)))

    def beat(self, lease_id: int) -> None:
        """Its holder was heard of: good for one time-to-live."""
        self._beats[lease_id] = self.now() + self._policy.lease_ttl

    def forget_beat(self, lease_id: int) -> None:
        self._beats.pop(lease_id, None)

    @property
    def next_id(self) -> int:
        """Of the next request; taken only by `take_id`."""
        return self._next_id

    def take_id(self) -> int:
        """The next request's id, used up: not even a failed commit gives it to another one."""
        self._next_id += 1
        return self._next_id - 1

    def told(self, *request_ids: int) -> dict[int, Forecast]:
        """What waiting requests can be told now; how right that was is measured when they start."""
        now = self.now()
        found = forecast(self.state, now, set(request_ids), self.habits)
        for request_id, one in found.items():
            if request_id < self._next_id:  # not a dry run's
                pool = self.state.queue[request_id].pool
                self.habits.waits.told(request_id, pool, now, one.expected_at)
        return found

    def alive(self) -> list[Lease]:
        """Leases that have not ended, oldest first."""
        with self.lock:
            return [one for _, one in sorted(self.state.leases.items()) if one.state != "ended"]


def _differ(was: Mapping[int, Item], now: Mapping[int, Item]) -> list[Item]:
    """What one has and the other lacks or has otherwise, by id."""
    found = {one: was[one] for one in was if now.get(one) != was[one]}
    found |= {one: now[one] for one in now if was.get(one) != now[one]}
    return [found[one] for one in sorted(found)]

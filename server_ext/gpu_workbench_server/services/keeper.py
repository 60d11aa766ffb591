"""The keeper: holds the state and is the one way to change it. Decide, commit, take in, then tell.

One lock, one state, one store. Each event runs through `decide`, its changes are committed in one
transaction and taken into the state after that; where the store fails, nothing has happened. Knows
no caller's rights and no wire types but the news: see `broker` for those.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from time import perf_counter

from ..domain.decide import decide
from ..domain.decisions import Change, Event, FleetSeen, Ticked
from ..domain.estimates import Forecast, forecast
from ..domain.fleet import Gpu
from ..domain.habits import Habits
from ..domain.invariants import broken
from ..domain.leases import Lease
from ..domain.state import State
from ..ports import AuditEntry, Clock, EventSink, Principal, Store
from .policy import Policy
from .telling import news_of, subject_of

log = logging.getLogger(__name__)

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

    def now(self) -> float:
        return self._clock.now()

    def rebuild(self) -> None:
        """Take the state from the store.

        Leases that were alive get one time-to-live for their holders to be found again.
        """
        with self.lock:
            snapshot = self.store.load()
            now = self.now()
            self._next_id = snapshot.next_id
            for lease in snapshot.leases:
                self.state.put(Change("granted", lease=lease))
                self.beat(lease.id)
            past = self.store.ledger()
            self.state.remember(past, now)
            self.habits = Habits(past)
            for request in snapshot.requests:
                self.state.put(Change("queued", request))

    def check(self) -> None:
        """Log every invariant that the state breaks."""
        with self.lock:
            for fault in broken(self.state):
                log.error("invariant broken at start: %s", fault)

    def run(self, event: Event, actor: Principal = SYSTEM) -> None:
        """Decide, commit, take in, tell: in this order."""
        with self.lock:
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
            self.store.commit(changes, audit)
            for change in changes:
                self.state.put(change)
                if change.ledger is not None:
                    self.habits.learn(change.ledger)
                if change.kind == "granted" and change.lease:
                    self.beat(change.lease.id)
            for news in news_of(changes, self.state, self.now()):
                self._sink.tell(news)

    def see(self, gpus: tuple[Gpu, ...]) -> bool:
        """Take in the devices as they are now; whether any of them changed."""
        with self.lock:
            was = dict(self.state.gpus)
            self.run(FleetSeen(gpus))
            return was != self.state.gpus

    def tick(self) -> None:
        """Time passes: ends, lapsed heartbeats, unclaimed leases; and the queue is served."""
        with self.lock:
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

    def told(self, request_id: int) -> Forecast | None:
        """What one waiting request can be told now."""
        return forecast(self.state, self.now(), {request_id}, self.habits).get(request_id)

    def alive(self) -> list[Lease]:
        """Leases that have not ended, oldest first."""
        with self.lock:
            return [one for _, one in sorted(self.state.leases.items()) if one.state != "ended"]

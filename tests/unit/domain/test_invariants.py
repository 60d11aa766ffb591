"""Whatever is asked, ended, lost or drained in whatever order: the invariants hold after each step.

2,000 steps and more in the fast suite; `GPU_WORKBENCH_STEPS` asks for another number.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gpu_workbench_server.domain.booking import Booking, book
from gpu_workbench_server.domain.decisions import (
    Booked,
    Bound,
    Cancelled,
    Change,
    Cleared,
    Ended,
    Event,
    Extended,
    FleetSeen,
    Ticked,
    Unbooked,
)
from gpu_workbench_server.domain.estimates import forecast
from gpu_workbench_server.domain.fleet import Limits
from gpu_workbench_server.domain.invariants import broken
from gpu_workbench_server.domain.leases import Holder, Lease
from gpu_workbench_server.domain.order import Order
from gpu_workbench_server.domain.quota import borrows, entitled
from gpu_workbench_server.domain.rules import Rules
from gpu_workbench_server.domain.seating import seating
from gpu_workbench_server.domain.state import State
from gpu_workbench_server.domain.units import PARTS
from gpu_workbench_server.errors import Refused, WorkbenchError
from tests.support.fleets import Script, gpu, mig_gpu, state_of

STEPS = int(os.environ.get("GPU_WORKBENCH_STEPS", "4000"))
PER_RUN = 60

ASKS = ["0.25", "0.5", "gpu", "1g.10gb", "2g.20gb", "3g.40gb", "20GB", "10GB", "45GB"]
USERS = [("ana", "vision"), ("ben", "vision"), ("eve", "speech"), ("kim", None)]


class Watched(Script):
    """A script in which nobody may get in the way of a reservation after it was booked."""

    def run(self, event: Event) -> tuple[Change, ...]:
        if isinstance(event, (FleetSeen, Booked)):  # GPUs come and go, and others book
            return super().run(event)
        before = self.lacking()
        changes = super().run(event)
        assert self.lacking() <= before, f"{event} takes what is reserved"
        return changes

    def lacking(self) -> int:
        """Parts that reservations can't be given."""
        booked = self.state.reservations
        return sum(
            lacks * booked[number].parts // booked[number].count
            for pool in self.state.pools
            for number, lacks in seating(self.state, pool, self.now).missing.items()
        )


class BrokerMachine(RuleBasedStateMachine):
    """The pure core under random events."""

    @initialize()
    def start(self) -> None:
        limits = Limits(users={"ana": 2 * PARTS}, groups={"vision": 3 * PARTS})
        self.fleet = [
            gpu(0, "a"),
            gpu(1, "a"),
            gpu(2, "b"),
            mig_gpu(3),
            mig_gpu(4, ("1g.10gb",) * 7),
        ]
        deserved = Limits(groups={"vision": PARTS, "speech": 2 * PARTS}, default_user=PARTS)
        self.rules = Rules(
            deserved, min_run=60, grace=30, worth=10, half_life=3600, size_weight=0.1
        )
        self.script = Watched(state_of(*self.fleet, limits=limits, rules=self.rules))
        self.granted: dict[int, float] = {}

    def _pick(self, number: int, alive: bool) -> Lease | None:
        found = [le for le in self.script.state.leases.values() if (le.state != "ended") == alive]
        return found[number % len(found)] if found else None

    @rule(
        what=st.sampled_from(ASKS),
        user=st.sampled_from(USERS),
        count=st.integers(1, 4),
        same_node=st.booleans(),
        seconds=st.integers(1, 5000),
        priority=st.integers(0, 2),
    )
    def ask(
        self,
        what: str,
        user: tuple[str, str | None],
        count: int,
        same_node: bool,
        seconds: int,
        priority: int,
    ) -> None:
        try:
            self.script.ask(
                what,
                user[0],
                user[1],
                count=count,
                same_node=same_node,
                seconds=seconds,
                priority=priority,
            )
        except WorkbenchError as error:
            assert error.message
            assert error.hint, f"a refusal must say what to do: {error.message}"

    @rule(number=st.integers(0, 50))
    def cancel(self, number: int) -> None:
        queue = list(self.script.state.queue)
        if queue:
            self.script.run(Cancelled(queue[number % len(queue)]))

    @rule(number=st.integers(0, 50))
    def bind(self, number: int) -> None:
        lease = self._pick(number, alive=True)
        if lease and lease.holder is None:
            self.script.run(Bound(lease.id, Holder("kernel", f"k{lease.id}")))

    @rule(number=st.integers(0, 50), reason=st.sampled_from(["released", "preempted", "lost"]))
    def end(self, number: int, reason: str) -> None:
        lease = self._pick(number, alive=True)
        if lease:
            self.script.run(Ended(lease.id, reason))  # type: ignore[arg-type]

    @rule(number=st.integers(0, 50))
    def clear(self, number: int) -> None:
        lease = self._pick(number, alive=False)
        if lease:
            self.script.run(Cleared(lease.id))

    @rule(number=st.integers(0, 50), seconds=st.integers(1, 9000))
    def extend(self, number: int, seconds: int) -> None:
        lease = self._pick(number, alive=True)
        if lease:
            with suppress(Refused):
                self.script.run(Extended(lease.id, seconds))

    @rule(seconds=st.integers(-50, 2000), lapsed=st.integers(0, 50))
    def pass_time(self, seconds: int, lapsed: int) -> None:
        """Clocks jump back too."""
        self.script.now += seconds
        lease = self._pick(lapsed, alive=True)
        for change in self.script.run(Ticked({lease.id: self.script.now - 1} if lease else {})):
            if change.kind == "notice" and change.lease and change.lease.gives_way_to:
                self.check_that_it_had_to(change.lease)

    def check_that_it_had_to(self, lease: Lease) -> None:
        """What gives way does so for somebody else, within a quota, who can use its GPU."""
        state = self.script.state
        booked = state.reservations.get(lease.gives_way_to or 0)
        if booked is not None:
            assert not booked.serves(lease.user, lease.group)
            assert lease.ends_at >= booked.start
            return
        claimant = state.queue[lease.gives_way_to or 0]
        assert lease.user != claimant.user
        assert not borrows(state, claimant)
        assert entitled(state, claimant)
        assert {one.gpu for one in lease.slices} & {gpu.uuid for gpu in state.able(claimant)}
        assert self.script.now - lease.granted_at >= self.rules.min_run

    @rule(
        what=st.sampled_from(["0.25", "0.5", "gpu", "1g.10gb", "3g.40gb"]),
        count=st.integers(1, 4),
        same_node=st.booleans(),
        whom=st.sampled_from([("ana", None), ("eve", None), (None, "vision"), (None, "speech")]),
        start=st.sampled_from([0, 30, 600, 3000]),
        seconds=st.sampled_from([300, 2000, 6000]),
    )
    def book(
        self,
        what: str,
        count: int,
        same_node: bool,
        whom: tuple[str | None, str | None],
        start: int,
        seconds: int,
    ) -> None:
        script, (user, group) = self.script, whom
        begin = script.now + start
        wanted = Booking(
            "root", what, begin + seconds, count, begin, user, group, same_node=same_node
        )
        try:
            one = book(script.state, wanted, script.next_id, script.now)
        except WorkbenchError as error:
            assert error.hint, f"a refusal must say what to do: {error.message}"
            return
        script.next_id += 1
        script.run(Booked(one))
        assert one.id in script.state.reservations

    @rule(number=st.integers(0, 50))
    def unbook(self, number: int) -> None:
        booked = sorted(self.script.state.reservations)
        if booked:
            self.script.run(Unbooked(booked[number % len(booked)]))

    @rule(number=st.integers(0, 4), health=st.sampled_from(["ok", "drained", "lost", "gone"]))
    def change_fleet(self, number: int, health: str) -> None:
        seen = list(self.fleet)
        if health == "gone":
            del seen[number]
        else:
            seen[number] = replace(seen[number], health=health)  # type: ignore[arg-type]
        self.script.run(FleetSeen(tuple(seen)))

    @invariant()
    def no_rule_is_broken(self) -> None:
        assert broken(self.script.state) == []

    @invariant()
    def everybody_who_waits_is_told_why(self) -> None:
        state = self.script.state
        told = forecast(state, self.script.now)
        assert set(told) == set(state.queue)
        assert sorted(f.position for f in told.values()) == list(range(1, len(told) + 1))
        assert all(f.reason.sentence for f in told.values())

    @invariant()
    def the_indexes_are_what_a_state_built_anew_would_have(self) -> None:
        state = self.script.state
        fresh = State(state.pools.values(), state.limits, state.gpus.values(), state.rules)
        for booked in state.reservations.values():
            fresh.put(Change("booked", reservation=booked))
        for lease in state.leases.values():
            fresh.put(Change("granted", lease=lease))
        for request in state.queue.values():
            fresh.put(Change("queued", request))
        assert fresh.lanes.shapes == state.lanes.shapes
        # what is held is the same, so the ranks are, but for past use: that only the old one knows
        fresh.meters = dict(state.meters)
        for one in (fresh, state):
            one.lanes.heads.follow(Order(one, self.script.now))
        assert fresh.lanes.heads.best == state.lanes.heads.best
        for shape in state.lanes.shapes:
            mine, theirs = state.slots(shape.gpus), fresh.slots(shape.gpus)
            assert mine.room() == theirs.room()
            asked = shape.slices, shape.same_node
            assert mine.soonest(*asked) == theirs.soonest(*asked)
        held = {payer: meter.held for payer, meter in state.meters.items() if meter.held}
        assert held == {payer: meter.held for payer, meter in fresh.meters.items() if meter.held}

    @invariant()
    def the_ledger_has_each_ended_lease_once(self) -> None:
        ids = [c.ledger.lease_id for c in self.script.ledger if c.ledger]
        assert len(ids) == len(set(ids))
        over = {i for i, le in self.script.state.leases.items() if le.state == "ended"}
        assert over <= set(ids)


TestInvariants = BrokerMachine.TestCase
TestInvariants.settings = settings(
    max_examples=max(1, STEPS // PER_RUN),
    stateful_step_count=PER_RUN,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)

"""A broker over a store, driven at random: what the state machines of the tests have in common.

Knows the broker by what it offers; whether it did right is for `books` to say.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, ClassVar
from unittest.mock import patch

from hypothesis import HealthCheck, settings
from hypothesis import seed as hypothesis_seed
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from gpu_workbench import protocol as wire
from gpu_workbench_server.domain.fleet import Gpu, Limits
from gpu_workbench_server.domain.invariants import broken
from gpu_workbench_server.domain.mig import MigInstance
from gpu_workbench_server.domain.readings import HardwareError, Reading
from gpu_workbench_server.domain.rules import Rules
from gpu_workbench_server.domain.units import GIB, PARTS
from gpu_workbench_server.errors import StoreTrouble, WorkbenchError
from gpu_workbench_server.ports import Held, Principal
from gpu_workbench_server.services import keeper as keeper_module
from gpu_workbench_server.services.broker import Broker
from gpu_workbench_server.services.policy import Policy

from .books import Books
from .bugs import Bug
from .fleets import gpu, mig_gpu
from .storerooms import StoreRoom, memory_room

WHATS = ["0.25", "0.5", "gpu", "1g.10gb", "2g.20gb", "3g.40gb", "20GB", "10GB", "45GB"]
USERS = [
    Principal("ana", ("vision",)),
    Principal("ben", ("vision",)),
    Principal("eve", ("speech",)),
    Principal("kim"),
]
QUOTAS = [
    Limits(users={"ana": PARTS, "eve": PARTS // 2}, groups={"vision": 3 * PARTS // 2}),
    Limits(),
    Limits(default_user=PARTS, groups={"vision": PARTS}),
    Limits(users={"kim": PARTS // 4}, default_user=3 * PARTS, default_group=2 * PARTS),
]
RULES = [
    Rules(),
    # Somebody within it takes from who borrowed, after seconds rather than minutes.
    Rules(
        deserved=Limits(default_user=PARTS // 2, groups={"vision": PARTS}, default_group=PARTS),
        min_run=5.0,
        grace=10.0,
        worth=0.0,
        notice=20.0,
    ),
    Rules(deserved=Limits(default_user=0), backfill="conservative", min_run=0.0, grace=0.0),
]
ADMIN = Principal("root", admin=True)


class Machines:
    """A device backend whose GPUs are set by hand and carry no load."""

    simulated = True

    def __init__(self, gpus: tuple[Gpu, ...]) -> None:
        self.gpus = gpus

    def inventory(self) -> tuple[Gpu, ...]:
        return self.gpus

    def read(self, held: Any) -> Reading:
        return Reading()

    def read_slow(self) -> Sequence[HardwareError]:
        return ()

    def processes_of(self, lease: Held) -> list[int]:
        return []

    def close(self) -> None: ...


class HandClock:
    """The books' clock."""

    def __init__(self, books: Books) -> None:
        self._books = books

    def now(self) -> float:
        return self._books.now


def a_fleet(bug: Bug | None) -> tuple[Gpu, ...]:
    """Three GPUs that are shared, on two nodes, and two with MIG."""
    cut = mig_gpu(3)
    if bug and bug.overlapping:
        first = cut.instances[0]
        inside = MigInstance("MIG-in", "1g.10gb", first.start + 1, 10 * GIB, 10.0, 1, 1)
        cut = replace(cut, instances=(first, inside))
    return (gpu(0, "a"), gpu(1, "a"), gpu(2, "b"), cut, mig_gpu(4, ("1g.10gb",) * 7))


class StoreMachine(RuleBasedStateMachine):
    """The real broker over a real store. Subclasses say which, and may break one of its rules."""

    bug: ClassVar[Bug | None] = None
    taken: ClassVar[int] = 0
    """Steps of all runs."""

    @staticmethod
    def a_room() -> AbstractContextManager[StoreRoom]:
        return memory_room()

    def __init__(self) -> None:
        super().__init__()
        log = logging.getLogger(keeper_module.__name__)
        self._loud = log.level
        log.setLevel(logging.CRITICAL)
        self._room = self.a_room()
        self.room = self._room.__enter__()
        decide = self.bug.wrap(keeper_module.decide) if self.bug else keeper_module.decide
        self._patch = patch.object(keeper_module, "decide", decide)
        self._patch.start()

    def teardown(self) -> None:
        self._patch.stop()
        logging.getLogger(keeper_module.__name__).setLevel(self._loud)
        self._room.__exit__(None, None, None)

    @initialize()
    def start(self) -> None:
        self.books = Books()
        self.fleet = a_fleet(self.bug)
        self.machines = Machines(self.fleet)
        self.limits, self.rules = QUOTAS[0], RULES[0]
        self.kernels = 0
        # Without these it takes long until a bug gets somebody into the way.
        if self.bug and self.bug.no_limits:
            self.limits = Limits(default_user=PARTS // 2)
        self._begin()
        if self.bug and self.bug.no_reservations:
            self.book("gpu", ADMIN, (None, None), 3, False, 600.0, 90_000.0)

    def _begin(self) -> None:
        self.store = self.room.open()
        policy = Policy(limits=self.limits, rules=self.rules, bookers=("ana", "vision"))
        clock = HandClock(self.books)
        self.broker = Broker(self.store, self.machines, clock, self.books, policy)
        self.broker.start()

    def _do(self, call: Any, *args: Any) -> Any:
        """Refusals are fine; a store in trouble is not."""
        type(self).taken += 1
        try:
            return call(*args)
        except StoreTrouble:
            raise
        except WorkbenchError as error:
            assert error.message
            assert error.hint, f"a refusal must say what to do: {error.message}"
        return None

    def _lease(self, number: int) -> int | None:
        alive = [one.id for one in self.broker.alive()]
        return alive[number % len(alive)] if alive else None

    # --- what people do -------------------------------------------------------------------------

    @rule(
        what=st.sampled_from(WHATS),
        who=st.sampled_from(USERS),
        count=st.sampled_from([1, 1, 1, 2, 2, 3, 4]),
        same_node=st.booleans(),
        seconds=st.integers(1, 5000),
    )
    def ask(self, what: str, who: Principal, count: int, same_node: bool, seconds: int) -> None:
        ask = wire.Ask(what=what, count=count, same_node=same_node, seconds=seconds)

        def asked() -> None:
            answer = self.broker.ask(who, ask)
            self.books.asked[answer.id] = (who.user, who.group, answer.profile, count, same_node)

        self._do(asked)

    @rule(number=st.integers(0, 50))
    def cancel(self, number: int) -> None:
        waiting = self.broker.requests(ADMIN)
        if waiting:
            self._do(self.broker.cancel, ADMIN, waiting[number % len(waiting)].id)

    @rule(number=st.integers(0, 50))
    def bind(self, number: int) -> None:
        lease_id = self._lease(number)
        if lease_id is not None:
            self.kernels += 1
            holder = wire.Holder(kind="kernel", id=f"k{self.kernels}", name="a.ipynb")
            self._do(self.broker.bind, ADMIN, lease_id, holder)

    @rule(number=st.integers(0, 50), reason=st.sampled_from(["released", "preempted", "lost"]))
    def release(self, number: int, reason: wire.EndReason) -> None:
        lease_id = self._lease(number)
        if lease_id is not None:
            self._do(self.broker.release, ADMIN, lease_id, reason)

    @rule(number=st.integers(0, 50), seconds=st.integers(-5, 9000))
    def extend(self, number: int, seconds: int) -> None:
        lease_id = self._lease(number)
        if lease_id is not None:
            self._do(self.broker.extend, ADMIN, lease_id, seconds)

    @rule(
        what=st.sampled_from(WHATS),
        who=st.sampled_from([ADMIN, ADMIN, ADMIN, USERS[0], USERS[3]]),
        whom=st.sampled_from([(None, None), (None, None), ("eve", None), (None, "vision")]),
        count=st.sampled_from([1, 1, 2, 3]),
        same_node=st.booleans(),
        start=st.sampled_from([0.0, 30.0, 600.0, 3000.0] * 3 + [-90.0, 1e300]),
        seconds=st.sampled_from([300.0, 2000.0, 6000.0, 90_000.0] * 3 + [20.0, 1e9]),
    )
    def book(
        self,
        what: str,
        who: Principal,
        whom: tuple[str | None, str | None],
        count: int,
        same_node: bool,
        start: float,
        seconds: float,
    ) -> None:
        new = wire.NewReservation(
            what=what,
            count=count,
            start=self.books.now + start,
            seconds=seconds,
            user=whom[0],
            group=whom[1],
            same_node=same_node,
        )
        self._do(self.broker.book, who, new)

    @rule(number=st.integers(0, 50), who=st.sampled_from([ADMIN, *USERS]))
    def unbook(self, number: int, who: Principal) -> None:
        booked = self.broker.reservations(ADMIN)
        if booked:
            self._do(self.broker.unbook, who, booked[number % len(booked)].id)

    @rule()
    def beat(self) -> None:
        self._do(self.broker.heartbeat, ADMIN, [one.id for one in self.broker.alive()])

    # --- what the machines do -------------------------------------------------------------------

    @precondition(lambda self: self.broker.uncleared())
    @rule(number=st.integers(0, 50))
    def clear(self, number: int) -> None:
        over = self.broker.uncleared()
        lease = over[number % len(over)]
        self.books.cleared.add(lease.id)
        self._do(self.broker.clear, lease.id)

    @rule(number=st.integers(0, 50), used=st.floats(0, 1000))
    def meter(self, number: int, used: float) -> None:
        lease_id = self._lease(number)
        if lease_id is not None:
            self._do(self.broker.meter, {lease_id: used})

    @rule(
        seconds=st.one_of(
            st.sampled_from([0.3, 1.0, 30.0, 95.0]),
            st.floats(-5000, 20_000, allow_nan=False),
        )
    )
    def pass_time(self, seconds: float) -> None:
        """Clocks jump back too."""
        self.books.now += seconds
        self._do(self.broker.tick)

    @rule(number=st.integers(0, 4), health=st.sampled_from(["ok", "ok", "drained", "lost", "gone"]))
    def change_fleet(self, number: int, health: str) -> None:
        seen = list(self.machines.gpus)
        here = [i for i, one in enumerate(seen) if one.uuid == self.fleet[number].uuid]
        back = [] if health == "gone" else [replace(self.fleet[number], health=health)]  # type: ignore[arg-type]
        self.machines.gpus = tuple([g for i, g in enumerate(seen) if i not in here] + back)
        self._do(self.broker.refresh_fleet)

    # --- what admins and accidents do -----------------------------------------------------------

    @rule()
    def restart(self) -> None:
        type(self).taken += 1
        self._begin()

    @rule(limits=st.sampled_from(QUOTAS), rules=st.sampled_from(RULES))
    def edit_quotas(self, limits: Limits, rules: Rules) -> None:
        type(self).taken += 1
        self.limits, self.rules = limits, rules
        self._begin()

    # --- what holds after each step -------------------------------------------------------------

    @invariant()
    def nothing_is_wrong(self) -> None:
        """By the books, by the broker's own rules, and in memory as in the store."""
        snapshot, state = self.store.load(), self.broker.keeper.state
        faults = self.books.faults(
            self.room, self.store, snapshot, self.fleet, self.machines.gpus, self.limits
        )
        # A limit that was lowered does not end leases: the books know who was within it before.
        faults += [one for one in broken(state) if "over the limit" not in one]
        if {one.id: one for one in snapshot.leases} != state.leases:
            faults.append("the leases in memory are not the store's")
        if {one.id: one for one in snapshot.requests} != state.queue:
            faults.append("the queue in memory is not the store's")
        if {one.id: one for one in snapshot.reservations} != state.reservations:
            faults.append("the reservations in memory are not the store's")
        if faults:
            raise Wrong("; ".join(faults))


class Wrong(AssertionError):
    """A rule of the broker is broken."""


def run_steps(machine: type[StoreMachine], steps: int, per_run: int = 100) -> int:
    """Run a machine, from fresh starts, until it took so many steps; returns how many it took."""
    began = machine.taken
    seed = 0
    while machine.taken - began < steps:
        missing = steps - (machine.taken - began)
        run_state_machine_as_test(
            hypothesis_seed(seed)(machine),
            settings=settings(
                max_examples=missing // per_run + 1,
                stateful_step_count=per_run,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
        seed += 1
    return machine.taken - began

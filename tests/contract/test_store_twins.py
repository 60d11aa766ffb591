"""All stores accept and refuse the same changes and then hold the same: a stateful property."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from gpu_workbench_server.domain.decisions import Change
from gpu_workbench_server.domain.leases import Lease, Slice
from gpu_workbench_server.domain.units import PARTS
from gpu_workbench_server.errors import StoreTrouble
from gpu_workbench_server.store.memory import MemoryStore
from gpu_workbench_server.store.sql import SqlStore
from tests.support.leasing import a_lease, a_slice, cleared, ended, granted
from tests.support.postgres import Postgres

IDS = st.integers(1, 6)


def slices() -> st.SearchStrategy[Slice]:
    """Of two GPUs, one of them cut into two MIG instances; names are made unique later."""
    fraction = st.builds(
        lambda parts: a_slice("", gpu="GPU-a", parts=parts),
        st.sampled_from([PARTS // 4, PARTS // 2, PARTS * 3 // 4]),
    )
    whole = st.just(a_slice("", gpu="GPU-a", kind="whole"))
    mig = st.builds(
        lambda name: a_slice("", gpu="GPU-b", kind="mig", instance=name, parts=PARTS * 3 // 7),
        st.sampled_from(["MIG-1", "MIG-2"]),
    )
    return st.one_of(fraction, whole, mig)


class Twins(RuleBasedStateMachine):
    """Leases are granted, moved, ended and cleared as no sane broker would."""

    postgres: ClassVar[Postgres | None] = None

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.sql = [SqlStore.open(Path(self.folder.name))]
        if self.postgres is not None:
            self.sql.append(SqlStore.open(self.postgres.database()))
        self.memory = MemoryStore()
        self.serial = 0

    def teardown(self) -> None:
        for store in self.sql:
            store.close()
        self.folder.cleanup()

    def all_of_them(self, changes: list[Change]) -> None:
        answers = set()
        for store in (*self.sql, self.memory):
            try:
                store.commit(changes)
                answers.add("done")
            except StoreTrouble:
                answers.add("refused")
        assert len(answers) == 1, changes

    def lease(self, number: int, wanted: list[Slice]) -> Lease:
        self.serial += 1
        named = [replace(one, id=f"{self.serial}.{i}") for i, one in enumerate(wanted)]
        return a_lease(number, *named)

    @rule(number=IDS, wanted=st.lists(slices(), min_size=1, max_size=3))
    def grant(self, number: int, wanted: list[Slice]) -> None:
        self.all_of_them(granted(self.lease(number, wanted)))

    @rule(numbers=st.lists(IDS, min_size=2, max_size=3), wanted=slices())
    def grant_several(self, numbers: list[int], wanted: Slice) -> None:
        self.all_of_them([one for n in numbers for one in granted(self.lease(n, [wanted]))])

    @rule(number=IDS, at=st.floats(3, 100))
    def end(self, number: int, at: float) -> None:
        lease = self.memory.lease(number)
        if lease is not None:
            self.all_of_them([ended(lease, at)])

    @rule(number=IDS)
    def clear(self, number: int) -> None:
        lease = self.memory.lease(number)
        if lease is not None:
            self.all_of_them([cleared(Change("ended", lease=lease))])

    @invariant()
    def they_are_alike(self) -> None:
        for store in self.sql:
            assert store.load() == self.memory.load()
            assert store.ledger() == self.memory.ledger()
            assert store.recent_leases(None) == self.memory.recent_leases(None)

    @invariant()
    def no_device_is_held_more_than_whole(self) -> None:
        taken: dict[str, int] = {}
        for lease in self.sql[0].load().leases:
            for one in lease.slices:
                device = one.instance or one.gpu
                taken[device] = taken.get(device, 0) + (
                    PARTS if one.kind != "fraction" else one.parts
                )
        assert all(parts <= PARTS for parts in taken.values()), taken


QUICK = settings(max_examples=15, stateful_step_count=30, deadline=None)


def test_sqlite_and_memory_are_alike() -> None:
    run_state_machine_as_test(Twins, settings=QUICK)


def test_postgresql_and_the_others_are_alike(postgres: Postgres) -> None:
    class Triplets(Twins):
        pass

    Triplets.postgres = postgres
    run_state_machine_as_test(Triplets, settings=QUICK)

"""What every `ports.Store` promises about reservations. Each test runs over all three."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gpu_workbench_server.domain.decisions import Change
from gpu_workbench_server.errors import StoreTrouble
from gpu_workbench_server.ports import Store
from tests.contract.test_store import opened
from tests.support.leasing import a_lease, a_reservation, a_slice, booked, granted


@pytest.fixture(params=["sqlite", "postgres", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    one = opened(request.param, request, tmp_path)
    yield one
    one.close()


def test_a_reservation_is_loaded_with_every_field_as_it_was_until_it_is_over(store: Store) -> None:
    one, other = a_reservation(3, key="once"), a_reservation(4, user="eve", group=None)
    store.commit(booked(one) + booked(other))
    assert store.load().reservations == (one, other)
    claimed = replace(one, claimed=True)
    store.commit([Change("claimed", reservation=claimed)])
    assert store.load().reservations == (claimed, other)
    store.commit([Change("over", reservation=replace(claimed, state="over"))])
    assert store.load().reservations == (other,)
    assert store.load().next_id == 5, "its number is never used again"


def test_a_lease_remembers_the_reservation_whose_slices_it_holds(store: Store) -> None:
    lease = a_lease(1, a_slice("1.0"), reservation=7)
    store.commit(granted(lease))
    assert store.load().leases == (lease,)


def test_a_reservation_is_found_by_its_key_whatever_its_state_and_only_by_its_owner(
    store: Store,
) -> None:
    over = a_reservation(1, key="once", state="cancelled")
    store.commit(booked(over))
    assert store.find_reservation("ada", "once") == over
    assert store.find_reservation("eve", "once") is None
    with pytest.raises(StoreTrouble):
        store.commit(booked(a_reservation(2, key="once")))


@pytest.mark.parametrize(
    "again",
    [{"state": "booked"}, {"owner": "eve", "state": "over"}, {"start": 5000.0, "state": "over"}],
)
def test_a_reservation_that_is_over_stays_over(store: Store, again: dict[str, object]) -> None:
    over = a_reservation(1, state="over")
    store.commit(booked(over))
    with pytest.raises(StoreTrouble):
        store.commit(booked(replace(over, **again)))  # type: ignore[arg-type]
    assert store.load().reservations == ()

"""What every `ports.Store` promises. Each test runs over all three."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gpu_workbench_server.domain.decisions import Change
from gpu_workbench_server.domain.leases import Holder, Request
from gpu_workbench_server.domain.units import PARTS
from gpu_workbench_server.errors import StoreTrouble
from gpu_workbench_server.ports import AuditEntry, Record, Store
from gpu_workbench_server.store.memory import MemoryStore
from gpu_workbench_server.store.sql import SqlStore
from tests.support.leasing import (
    a_lease,
    a_request,
    a_slice,
    an_entry,
    cleared,
    ended,
    granted,
)


def opened(kind: str, request: pytest.FixtureRequest, folder: Path) -> Store:
    match kind:
        case "sqlite":
            return SqlStore.open(folder)
        case "postgres":
            return SqlStore.open(request.getfixturevalue("postgres").database())
        case _:
            return MemoryStore()


@pytest.fixture(params=["sqlite", "postgres", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    one = opened(request.param, request, tmp_path)
    yield one
    one.close()


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Those with an encoding to mind."""
    one = opened(request.param, request, tmp_path)
    yield one
    one.close()


def test_a_new_store_is_empty_and_the_first_id_is_1(store: Store) -> None:
    snapshot = store.load()
    assert (snapshot.requests, snapshot.leases, snapshot.next_id) == ((), (), 1)


def test_what_was_committed_is_loaded_with_every_field_as_it_was(store: Store) -> None:
    waiting = a_request(
        1, group="lab", priority=-2, same_node=True, key="k1", min_memory_gb=19.5, name="né.ipynb"
    )
    holder = Holder("cluster", "c-1", "flights", pid=4711, started=1_700_000_000.123456)
    lease = a_lease(
        2,
        a_slice("2.0", gpu="GPU-a", kind="mig", instance="MIG-1", parts=PARTS // 7),
        a_slice("2.1", gpu="GPU-b", parts=PARTS // 4, memory_bytes=80 << 30),
        group="lab",
        purpose="cluster",
        holder=holder,
        used_gpu_seconds=12.5,
    )
    store.commit([Change("queued", waiting), Change("granted", lease=lease)])
    snapshot = store.load()
    assert snapshot.requests == (waiting,)
    assert snapshot.leases == (lease,)
    assert snapshot.next_id == 3
    assert store.request(1) == waiting
    assert store.lease(2) == lease


def test_a_newer_version_replaces_the_older_one(store: Store) -> None:
    lease = a_lease(1, a_slice("1.0"))
    store.commit([Change("queued", a_request(1)), *granted(lease)])
    longer = replace(lease, ends_at=lease.ends_at + 60, holder=Holder("kernel", "k", "a.ipynb"))
    store.commit([Change("extended", lease=longer)])
    assert store.load().leases == (longer,)
    assert store.load().requests == ()


def test_slices_keep_their_order(store: Store) -> None:
    ids = [f"1.{i}" for i in (3, 0, 11, 2)]
    lease = a_lease(1, *(a_slice(i, gpu=f"GPU-{i}") for i in ids))
    store.commit(granted(lease))
    found = store.lease(1)
    assert found is not None
    assert [one.id for one in found.slices] == ids


def test_only_queued_requests_and_uncleared_leases_are_loaded(store: Store) -> None:
    lease = a_lease(2, a_slice("2.0"))
    over = ended(lease, at=50.0)
    store.commit([Change("cancelled", a_request(1, state="cancelled")), *granted(lease)])
    store.commit([over])
    assert [one.id for one in store.load().leases] == [2], "ended, but not cleared"
    store.commit([cleared(over)])
    snapshot = store.load()
    assert (snapshot.requests, snapshot.leases) == ((), ())
    assert store.lease(2) is not None, "what is over can still be read"
    assert store.request(1) is not None


def test_ids_are_never_used_again_even_when_everything_is_cleared(store: Store) -> None:
    lease = a_lease(41, a_slice("41.0"))
    over = ended(lease, at=2.0)
    store.commit([*granted(lease), over, cleared(over)])
    assert store.load().next_id == 42


def test_a_commit_that_fails_in_the_middle_leaves_nothing(store: Store) -> None:
    held = a_lease(1, a_slice("1.0", gpu="GPU-a", kind="whole"))
    store.commit(granted(held))
    again = a_lease(3, a_slice("3.0", gpu="GPU-a", kind="whole"))
    with pytest.raises(StoreTrouble):
        store.commit(
            [
                Change("queued", a_request(2, key="k")),
                Change("extended", lease=replace(held, ends_at=9e9)),
                *granted(again),
            ],
            [AuditEntry(1.0, "ada", "queued", "request 2")],
        )
    assert store.load().leases == (held,)
    assert store.request(2) is None
    assert store.find_request("ada", "k") is None
    assert store.lease(3) is None
    assert store.audit() == []
    store.commit([Change("queued", a_request(2, key="k"))])  # and the store goes on


def test_an_empty_commit_is_fine(store: Store) -> None:
    store.commit([])
    assert store.load().next_id == 1


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param({"kind": "whole"}, {"kind": "whole"}, id="whole and whole"),
        pytest.param({"kind": "whole"}, {"parts": PARTS // 4}, id="whole and fraction"),
        pytest.param({"parts": PARTS // 4}, {"kind": "whole"}, id="fraction and whole"),
        pytest.param({"parts": PARTS // 2}, {"parts": PARTS // 2 + 42}, id="more than one GPU"),
        pytest.param(
            {"kind": "mig", "instance": "MIG-1", "parts": PARTS // 7},
            {"kind": "mig", "instance": "MIG-1", "parts": PARTS // 7},
            id="the same MIG instance",
        ),
        pytest.param(
            {"kind": "mig", "instance": "MIG-1", "parts": PARTS // 7},
            {"kind": "whole"},
            id="a MIG instance and its whole GPU",
        ),
    ],
)
def test_nothing_is_granted_twice_until_it_is_cleared(
    store: Store, first: dict[str, object], second: dict[str, object]
) -> None:
    one = a_lease(1, a_slice("1.0", gpu="GPU-a", **first))
    two = a_lease(2, a_slice("2.0", gpu="GPU-a", **second))
    store.commit(granted(one))
    with pytest.raises(StoreTrouble):
        store.commit(granted(two))
    over = ended(one, at=5.0)
    store.commit([over])
    with pytest.raises(StoreTrouble):
        store.commit(granted(two))
    assert store.lease(2) is None
    store.commit([cleared(over), *granted(two)])
    assert [lease.id for lease in store.load().leases] == [2]


def test_what_fits_side_by_side_is_granted_side_by_side(store: Store) -> None:
    quarters = [a_lease(i, a_slice(f"{i}.0", gpu="GPU-a", parts=PARTS // 4)) for i in (1, 2, 3, 4)]
    sevenths = [
        a_lease(
            i,
            a_slice(f"{i}.0", gpu="GPU-b", kind="mig", instance=f"MIG-{i}", parts=PARTS // 7),
        )
        for i in range(5, 12)
    ]
    for lease in [*quarters, *sevenths]:
        store.commit(granted(lease))
    assert len(store.load().leases) == 11


def test_a_lease_may_not_be_cleared_before_it_has_ended(store: Store) -> None:
    lease = a_lease(1, a_slice("1.0"))
    store.commit(granted(lease))
    with pytest.raises(StoreTrouble):
        store.commit([Change("cleared", lease=replace(lease, cleared=True))])
    assert store.load().leases == (lease,)


def test_a_request_is_found_by_its_key_whatever_its_state_and_only_by_its_user(
    store: Store,
) -> None:
    mine, theirs = a_request(1, key="k"), a_request(2, user="bob", key="k")
    store.commit([Change("queued", mine), Change("queued", theirs)])
    assert store.find_request("ada", "k") == mine
    assert store.find_request("bob", "k") == theirs
    assert store.find_request("eve", "k") is None
    assert store.find_request("ada", "other") is None
    cancelled = replace(mine, state="cancelled")
    store.commit([Change("cancelled", cancelled)])
    assert store.find_request("ada", "k") == cancelled


def test_a_key_names_one_request_per_user(store: Store) -> None:
    store.commit([Change("queued", a_request(1, key="k"))])
    with pytest.raises(StoreTrouble):
        store.commit([Change("queued", a_request(2, key="k"))])
    store.commit([Change("queued", a_request(3)), Change("queued", a_request(4))])  # without one


def test_recent_leases_come_newest_first_and_by_user(store: Store) -> None:
    for number, user in enumerate(["ada", "bob", "ada", "ada"], start=1):
        lease = a_lease(number, a_slice(f"{number}.0", gpu=f"GPU-{number}"), user=user)
        store.commit(granted(lease))
    store.commit([ended(a_lease(3, a_slice("3.0", gpu="GPU-3")), at=9.0)])
    assert [lease.id for lease in store.recent_leases("ada")] == [4, 3, 1]
    assert [lease.id for lease in store.recent_leases(None, limit=2)] == [4, 3]
    assert all(lease.slices for lease in store.recent_leases(None))
    assert store.recent_leases("eve") == []


def test_the_ledger_gives_the_entries_that_end_in_a_window_oldest_first(store: Store) -> None:
    for number, end in ((1, 30.0), (2, 10.0), (3, 20.0)):
        lease = a_lease(
            number,
            a_slice(f"{number}.0", gpu=f"GPU-{number}"),
            user="bob" if number == 3 else "ada",
        )
        store.commit([*granted(lease), ended(lease, at=end)])
    assert [one.lease_id for one in store.ledger()] == [2, 3, 1]
    assert [one.lease_id for one in store.ledger(since=20.0)] == [3, 1]
    assert [one.lease_id for one in store.ledger(since=10.0, until=30.0)] == [2, 3]
    assert [one.lease_id for one in store.ledger("bob")] == [3]
    assert store.ledger("bob", since=21.0) == []
    assert store.ledger("ada")[0] == an_entry(a_lease(2, a_slice("2.0")), 10.0)


def test_when_something_was_asked_for_is_known_of_what_runs_and_of_what_ended_since(
    store: Store,
) -> None:
    for number, user, end in ((1, "ada", 30.0), (2, "bob", 60.0), (3, "ada", None)):
        lease = a_lease(number, a_slice(f"{number}.0", gpu=f"GPU-{number}"), user=user)
        request = a_request(number, user, state="granted", created_at=0.5 * number)
        store.commit([Change("granted", request, lease)])
        if end is not None:
            store.commit([ended(lease, at=end)])
    store.commit([Change("queued", a_request(4))])
    assert store.asked_at() == {1: 0.5, 2: 1.0, 3: 1.5}
    assert store.asked_at(since=31.0) == {2: 1.0, 3: 1.5}
    assert store.asked_at("ada", 31.0) == {3: 1.5}


def test_a_lease_ends_in_the_ledger_once(store: Store) -> None:
    lease = a_lease(1, a_slice("1.0"))
    store.commit([*granted(lease), ended(lease, at=10.0)])
    with pytest.raises(StoreTrouble):
        store.commit([ended(lease, at=99.0)])
    assert [one.end for one in store.ledger()] == [10.0]
    found = store.lease(1)
    assert found is not None
    assert found.ended_at == 10.0


def test_the_audit_trail_comes_newest_first_also_within_a_commit(store: Store) -> None:
    def entry(n: int) -> AuditEntry:
        return AuditEntry(5.0, "ada", "queued", f"request {n}", "asked for 20GB")

    store.commit([], [entry(1), entry(2)])
    store.commit([], [entry(3)])
    assert store.audit() == [entry(3), entry(2), entry(1)]
    assert store.audit(limit=1) == [entry(3)]


def test_records_are_replaced_by_kind_and_id_and_come_newest_first(store: Store) -> None:
    body = {"workers": [1, 2], "nested": {"a": None, "b": 1.5}, "name": "flüge"}
    store.put_record(Record("cluster", "c1", "ada", body, 1.0))
    store.put_record(Record("cluster", "c2", "ada", {}, 2.0))
    store.put_record(Record("job", "c1", "bob", {"ranks": 2}, 3.0))
    assert [one.id for one in store.records("cluster")] == ["c2", "c1"]
    assert store.records("cluster")[1].body == body
    store.put_record(Record("cluster", "c1", "ada", {"workers": []}, 4.0))
    assert store.records("cluster", limit=1) == [
        Record("cluster", "c1", "ada", {"workers": []}, 4.0)
    ]
    assert [one.owner for one in store.records("job")] == ["bob"]


def test_those_that_are_not_over_are_found_however_many_newer_ones_there_are(store: Store) -> None:
    store.put_record(Record("job", "old", "ada", {"state": "running"}, 1.0))
    for number in range(5):
        store.put_record(Record("job", f"j{number}", "ada", {"state": "stopped"}, 2.0 + number))
    store.put_record(Record("job", "odd", "ada", {}, 9.0))
    assert [one.id for one in store.records("job", limit=2)] == ["odd", "j4"]
    going = store.records("job", limit=None, state_not_in={"stopped", "failed"})
    assert [one.id for one in going] == ["odd", "old"]


def test_a_record_that_is_no_json_is_refused(store: Store) -> None:
    for odd in (object(), float("nan"), {1, 2}):
        with pytest.raises(StoreTrouble):
            store.put_record(Record("job", "j", "ada", {"what": odd}, 1.0))
    assert store.records("job") == []


def test_text_that_no_file_can_hold_is_refused_and_nothing_is_changed(database: Store) -> None:
    with pytest.raises(StoreTrouble):
        database.commit(
            [Change("queued", a_request(1)), Change("queued", a_request(2, name="\ud800"))]
        )
    assert database.load().requests == ()


def test_many_threads_commit_and_read_at_once_and_nothing_is_lost(store: Store) -> None:
    troubles: list[Exception] = []

    def commit(start: int) -> None:
        try:
            for number in range(start, start + 25):
                request = a_request(number)
                store.commit([Change("queued", request)], [AuditEntry(1.0, "a", "queued", "")])
                assert store.request(number) == request
                store.load()
        except Exception as error:
            troubles.append(error)

    threads = [threading.Thread(target=commit, args=(1 + 25 * i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert troubles == []
    assert [one.id for one in store.load().requests] == list(range(1, 101))
    assert len(store.audit(limit=1000)) == 100


def test_the_same_request_twice_in_one_commit_ends_as_the_later_one(store: Store) -> None:
    request: Request = a_request(1)
    store.commit([Change("queued", request), *granted(a_lease(1, a_slice("1.0")))])
    found = store.request(1)
    assert found is not None
    assert found.state == "granted"


@pytest.mark.parametrize(
    "again",
    [
        pytest.param({"state": "active"}, id="alive again"),
        pytest.param({"ended_at": 99.0, "state": "ended"}, id="ended later"),
        pytest.param({"state": "ended", "ended_at": 5.0, "cleared": False}, id="uncleared"),
        pytest.param(
            {"state": "ended", "ended_at": 5.0, "cleared": True, "user": "eve"}, id="another's"
        ),
    ],
)
def test_a_lease_that_is_over_stays_over(store: Store, again: dict[str, object]) -> None:
    """A broker whose memory is behind the store can't bring it back."""
    lease = a_lease(1, a_slice("1.0"))
    over = ended(lease, at=5.0)
    store.commit([*granted(lease), over, cleared(over)])
    was = store.lease(1)
    with pytest.raises(StoreTrouble) as caught:
        store.commit([Change("metered", lease=replace(lease, **again))])
    assert "two brokers" in caught.value.hint
    assert store.lease(1) == was
    assert store.load().leases == ()


def test_a_request_is_not_overwritten_by_another_of_its_id(store: Store) -> None:
    mine = a_request(1, key="k")
    store.commit([Change("queued", mine)])
    for other in (a_request(1, user="eve"), a_request(1, created_at=2.0)):
        with pytest.raises(StoreTrouble):
            store.commit([Change("queued", other)])
    assert store.load().requests == (mine,)
    over = replace(mine, state="cancelled")
    store.commit([Change("cancelled", over)])
    store.commit([Change("cancelled", over)])
    with pytest.raises(StoreTrouble):
        store.commit([Change("queued", mine)])
    assert store.request(1) == over

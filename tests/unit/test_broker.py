"""The broker as a service: written down before it is told, and told to those whom it concerns."""

from __future__ import annotations

import pytest

from gpu_workbench import protocol as wire
from gpu_workbench_server.domain.fleet import Limits, Pool
from gpu_workbench_server.domain.rules import Rules
from gpu_workbench_server.domain.units import PARTS
from gpu_workbench_server.errors import NotFound, NotNow, StoreTrouble, WrongState
from gpu_workbench_server.ports import Principal
from gpu_workbench_server.services.broker import Broker
from gpu_workbench_server.services.policy import Policy
from gpu_workbench_server.store.memory import MemoryStore
from tests.support.desk import Desk, Devices, HandClock, Paper
from tests.support.fleets import gpu, mig_gpu

ANA, BEN, ADMIN = Principal("ana", ("vision",)), Principal("ben"), Principal("root", admin=True)


def kernel(kernel_id: str = "k1", pid: int | None = 7) -> wire.Holder:
    return wire.Holder(kind="kernel", id=kernel_id, name="a.ipynb", pid=pid, started=1.0)


def test_a_granted_request_has_a_lease_with_its_id() -> None:
    desk = Desk()
    request = desk.ask(ANA, "20GB", name="a.ipynb")
    lease = desk.broker.lease(ANA, request.id)
    assert request.state == "granted"
    assert (lease.profile, lease.units, lease.slices[0].visible_device) == (
        "fraction-0.25",
        0.25,
        "",
    )


def test_asking_again_with_the_same_key_returns_the_same_request() -> None:
    desk = Desk()
    first = desk.ask(ANA, "gpu", key="once")
    assert desk.ask(ANA, "gpu", key="once").id == first.id
    assert desk.ask(BEN, "gpu", key="once").id != first.id


def test_a_dry_run_says_when_and_takes_nothing() -> None:
    desk = Desk()
    desk.ask(ANA, "gpu", seconds=600)
    told = desk.ask(BEN, "gpu", dry_run=True)
    assert told.expected_at == desk.clock.now() + 600
    assert desk.broker.requests(BEN) == []


def test_cards_say_now_or_when_or_why_not() -> None:
    limits = Limits(users={"ben": PARTS // 4})
    desk = Desk(gpu(0), mig_gpu(1), policy=Policy(limits=limits))
    desk.ask(ANA, "0.5", seconds=600)
    cards = {card.profile: card for card in desk.broker.cards(ANA)}
    assert cards["fraction-0.25"].when == "now"
    assert cards["whole"].when == "queued"
    assert cards["whole"].expected_at == desk.clock.now() + 600
    theirs = {card.profile: card for card in desk.broker.cards(BEN)}
    assert theirs["whole"].when == "over_limit"
    assert "limit of 0.25" in theirs["whole"].reason
    assert {c.when for c in desk.broker.cards(ANA, count=50)} == {"never"}


def test_what_others_hold_is_seen_without_their_names() -> None:
    desk = Desk()
    desk.ask(ANA, "0.25", name="secret.ipynb")
    segment = desk.broker.fleet(BEN).gpus[0].segments[0]
    assert (segment.mine, segment.holder, segment.lease_id) == (False, None, 1)
    assert desk.broker.fleet(ADMIN).gpus[0].segments[0].holder == "secret.ipynb"
    with pytest.raises(NotFound):
        desk.broker.lease(BEN, 1)
    with pytest.raises(NotFound):
        desk.broker.release(BEN, 1)


def test_the_queue_is_seen_by_all_and_names_by_their_owner() -> None:
    desk = Desk()
    desk.ask(ANA, "gpu")
    desk.ask(ANA, "gpu", name="later.ipynb")
    seen = desk.broker.requests(BEN)[0]
    assert (seen.mine, seen.name, seen.user, seen.position) == (False, "", "", 1)
    with pytest.raises(NotFound):
        desk.broker.cancel(BEN, seen.id)


def test_after_a_restart_the_broker_knows_what_it_knew() -> None:
    desk = Desk()
    held = desk.ask(ANA, "gpu")
    waiting = desk.ask(BEN, "gpu")
    broker = desk.restarted()
    assert broker.lease(ANA, held.id).state == "active"
    assert [r.id for r in broker.requests(BEN)] == [waiting.id]
    assert desk.ask(BEN, "gpu").id == waiting.id + 1


def test_what_was_held_gets_one_time_to_live_after_a_restart_to_be_found_again() -> None:
    desk = Desk(policy=Policy(lease_ttl=30))
    lease = desk.ask(ANA, "gpu").id
    desk.broker.bind(ANA, lease, kernel())
    desk.clock.time += 1000
    broker = desk.restarted()
    broker.tick()
    assert broker.lease(ANA, lease).state == "active"
    desk.clock.time += 29
    assert broker.heartbeat(ANA, [lease]) == [lease]
    desk.clock.time += 29
    broker.tick()
    assert broker.lease(ANA, lease).state == "active"
    desk.clock.time += 1
    broker.tick()
    assert broker.lease(ANA, lease).end_reason == "lost"


def test_where_the_store_fails_nothing_has_happened() -> None:
    desk = Desk()
    desk.full.full = True
    with pytest.raises(StoreTrouble):
        desk.ask(ANA, "gpu")
    assert desk.broker.leases(ANA) == []
    desk.full.full = False
    assert desk.ask(ANA, "gpu").state == "granted"


def test_nobody_is_told_before_it_is_written_down() -> None:
    desk = Desk()
    desk.paper.news.clear()
    desk.full.full = True
    with pytest.raises(StoreTrouble):
        desk.ask(ANA, "gpu")
    assert desk.paper.news == []


def test_news_of_a_lease_go_to_its_owner_and_of_the_fleet_to_all() -> None:
    desk = Desk()
    desk.paper.news.clear()
    desk.ask(ANA, "gpu")
    assert {(n.type, n.owner) for n in desk.paper.news} == {
        ("request", "ana"),
        ("lease", "ana"),
        ("fleet", None),
    }


def test_a_kernel_claims_the_lease_that_waits_for_its_notebook() -> None:
    desk = Desk()
    desk.ask(ANA, "0.25", name="b.ipynb")
    wanted = desk.ask(ANA, "0.25", name="a.ipynb")
    claim = wire.Claim(path="a.ipynb", kernel_id="k1")
    assert desk.broker.claim(ANA, claim).id == wanted.id
    assert desk.broker.claim(ANA, claim).id == wanted.id, "a kernel that restarts keeps it"


def test_a_claim_without_a_lease_is_served_at_once_or_refused_with_the_reason() -> None:
    desk = Desk()
    claim = wire.Claim(path="a.ipynb", kernel_id="k1", ask=wire.Ask(what="gpu"))
    lease = desk.broker.claim(ANA, claim)
    with pytest.raises(NotNow) as caught:
        desk.broker.claim(BEN, wire.Claim(path="b.ipynb", kernel_id="k2", ask=wire.Ask(what="gpu")))
    assert f"lease {lease.id} ends" in caught.value.message
    assert desk.broker.requests(BEN) == [], "it is not left in the queue"


def test_a_lease_that_is_taken_can_not_be_taken_by_another_kernel() -> None:
    desk = Desk()
    lease = desk.ask(ANA, "gpu").id
    desk.broker.bind(ANA, lease, kernel("k1"))
    with pytest.raises(WrongState):
        desk.broker.bind(ANA, lease, kernel("k2"))


def test_releasing_twice_is_the_same_as_once() -> None:
    desk = Desk()
    lease = desk.ask(ANA, "gpu").id
    assert desk.broker.release(ANA, lease).end_reason == "released"
    assert desk.broker.release(ANA, lease).end_reason == "released"


def test_a_slice_is_granted_again_only_when_it_was_found_empty() -> None:
    desk = Desk()
    lease = desk.ask(ANA, "gpu").id
    waiting = desk.ask(BEN, "gpu").id
    desk.broker.release(ANA, lease)
    desk.broker.tick()
    assert desk.broker.request(BEN, waiting).state == "queued"
    desk.broker.clear(lease)
    assert desk.broker.request(BEN, waiting).state == "granted"


def test_the_ledger_adds_up_what_was_held_and_used() -> None:
    desk = Desk()
    lease = desk.ask(ANA, "0.5").id
    desk.clock.time += 100
    assert desk.broker.usage(ANA).held_gpu_seconds == 50.0
    desk.broker.meter({lease: 12.5})
    desk.broker.release(ANA, lease)
    desk.clock.time += 100
    row = desk.broker.usage(ANA).rows[0]
    assert (row.held_gpu_seconds, row.used_gpu_seconds, row.end_reason) == (50.0, 12.5, "released")
    assert desk.broker.usage(BEN).rows == []


def test_without_devices_the_broker_comes_up_and_says_why() -> None:
    desk = Desk()
    desk.devices.gpus = None
    broker = desk.restarted()
    trouble = broker.fleet(ANA).trouble
    assert trouble is not None
    assert (trouble.code, trouble.hint) == ("no_devices", "Install one.")


def test_only_an_admin_may_raise_a_priority() -> None:
    desk = Desk()
    desk.ask(ANA, "gpu")
    assert desk.ask(ANA, "gpu", priority=5).priority == 0
    assert desk.ask(ADMIN, "gpu", priority=5).position == 1


def test_pools_say_how_long_a_lease_may_be() -> None:
    desk = Desk(policy=Policy(pools=(Pool(max_seconds=60, default_seconds=30),)))
    pool = desk.broker.fleet(ANA).pools[0]
    assert (pool.default_seconds, pool.max_seconds) == (30, 60)
    assert [p.name for p in pool.profiles] == ["fraction-0.25", "fraction-0.5", "whole"]


def test_a_borrowed_lease_is_told_that_it_gives_way_and_a_restart_remembers_it() -> None:
    deserved = Limits(groups={"vision": PARTS}, users={"ben": 0})
    policy = Policy(rules=Rules(deserved=deserved, min_run=0.0))
    clock, paper, store = HandClock(), Paper(), MemoryStore()
    broker = Broker(store, Devices(gpu(0)), clock, paper, policy)
    broker.start()
    held = broker.ask(BEN, wire.Ask(what="gpu", seconds=7200, name="b.ipynb"))
    broker.bind(BEN, held.id, wire.Holder(kind="kernel", id="k1", name="b.ipynb"))
    vision = Principal("vi", ("vision",))
    mine = broker.ask(vision, wire.Ask(what="gpu", seconds=600))
    broker.tick()
    (news,) = [one for one in paper.news if one.type == "notice"]
    assert (news.owner, news.payload.code, news.payload.at) == ("ben", "preempted", 1120.0)
    assert "The slice of b.ipynb ends in 2 min: it was borrowed" in news.payload.message
    clock.time += 30
    (stands,) = broker.notices(BEN)
    assert (stands.lease_id, stands.at) == (held.id, 1120.0)
    assert "ends in 1 min: it was borrowed" in stands.message, "told anew, as it is then"
    assert broker.notices(vision) == []
    told = broker.request(vision, mine.id)
    assert told.reason is not None
    assert told.reason.code == "giving_way"
    assert told.expected_at == told.expected_by == 1120.0
    again = Broker(store, Devices(gpu(0)), clock, Paper(), policy)
    again.start()
    assert again.lease(BEN, held.id).ends_at == 1120.0


def test_usage_says_when_it_was_asked_for_for_how_long_and_who_paid() -> None:
    desk = Desk()
    desk.ask(BEN, "gpu", seconds=60)
    waiting = desk.ask(ANA, "0.25", seconds=3600)
    desk.clock.time += 61
    desk.broker.tick()
    [over] = desk.broker.uncleared()
    desk.broker.clear(over.id)
    [row] = desk.broker.usage(ANA).rows
    assert (row.lease_id, row.group) == (waiting.id, "vision")
    assert (row.requested_at, row.granted_at) == (1000.0, 1061.0)
    assert (row.declared_seconds, row.end_reason) == (3600.0, None)
    desk.broker.release(ANA, row.lease_id)
    [row] = desk.broker.usage(ANA).rows
    assert (row.requested_at, row.declared_seconds, row.group) == (1000.0, 3600.0, "vision")


def test_a_quota_says_what_is_deserved_and_where_that_puts_one() -> None:
    rights = Limits(groups={"vision": 2 * PARTS})
    rules = Rules(deserved=rights, weights={"vision": 2.0}, half_life=100.0)
    desk = Desk(policy=Policy(limits=Limits(groups={"vision": 3 * PARTS}), rules=rules))
    desk.ask(ANA, "gpu")
    desk.clock.time += 100
    mine, group = desk.broker.status(ANA).quotas
    assert (mine.scope, mine.deserved, mine.limit) == ("user", None, None)
    assert (group.name, group.deserved, group.limit, group.weight) == ("vision", 2.0, 3.0, 2.0)
    assert (group.held, group.average) == (1.0, 0.5)
    assert group.share == 0.375, "held and average, over deserved and weight"


def test_a_policy_without_the_pool_ends_no_lease_and_who_waits_there_is_told() -> None:
    desk = Desk()
    held, waiting = desk.ask(ANA, "gpu"), desk.ask(BEN, "gpu")
    desk.broker.adopt(Policy((Pool("other"),)))
    desk.clock.time += 10
    desk.broker.tick()
    assert [one.id for one in desk.broker.leases(ADMIN)] == [held.id]
    told = desk.broker.request(BEN, waiting.id)
    assert told.reason is not None
    assert told.reason.code == "gpus_unavailable"
    assert [one.name for one in desk.broker.fleet(ADMIN).pools] == ["other"]
    assert desk.ask(BEN, "0.25").state == "queued", "the GPU is Ana's until her lease ends"

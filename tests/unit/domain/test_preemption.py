"""Borrowed leases give way: who claims, who goes, and what they are told before."""

from __future__ import annotations

import pytest

from gpu_workbench_server.domain.decisions import (
    Bound,
    Cancelled,
    Change,
    Cleared,
    Ended,
    Extended,
    Ticked,
)
from gpu_workbench_server.domain.estimates import forecast
from gpu_workbench_server.domain.fleet import Gpu, Limits
from gpu_workbench_server.domain.leases import Holder
from gpu_workbench_server.domain.rules import Rules
from gpu_workbench_server.domain.units import PARTS
from gpu_workbench_server.errors import Promised
from tests.support.fleets import Script, gpu, mig_gpu, state_of


def shared(*gpus: Gpu, **quotas: float) -> Script:
    """Groups with a deserved quota in GPUs; a borrowed lease may be taken after 600 s."""
    deserved = Limits(groups={name: int(units * PARTS) for name, units in quotas.items()})
    return Script(state_of(*gpus, rules=Rules(deserved=deserved)))


def tick(script: Script, seconds: float = 0.0) -> list[Change]:
    script.now += seconds
    return list(script.run(Ticked({})))


def told(changes: list[Change]) -> list[int]:
    return [c.lease.id for c in changes if c.kind == "notice" and c.lease and c.lease.gives_way_to]


def bound(script: Script, *lease_ids: int) -> None:
    for lease_id in lease_ids:
        script.run(Bound(lease_id, Holder("kernel", f"k{lease_id}")))


def test_a_group_within_its_quota_gets_its_gpus_back_after_notice_and_grace() -> None:
    script = shared(gpu(0), gpu(1), vision=1, speech=1)
    first, second = (script.ask("gpu", "eve", "speech", seconds=80_000) for _ in range(2))
    bound(script, first, second)
    tick(script, 700)
    mine = script.ask("gpu", "ana", "vision")
    assert told(tick(script)) == [second], "the newest is the borrowed one"
    assert script.state.leases[second].ends_at == script.now + 120
    assert forecast(script.state, script.now)[mine].reason.code == "giving_way"
    assert forecast(script.state, script.now)[mine].expected_at == script.now + 120
    tick(script, 120)
    assert script.state.leases[second].end_reason == "preempted"
    script.run(Cleared(second))
    assert script.holds(mine)
    assert script.holds(first)


def test_nobody_is_told_twice_and_no_second_lease_is_taken_for_one_claim() -> None:
    script = shared(gpu(0), gpu(1), gpu(2), vision=1, speech=0)
    leases = [script.ask("gpu", "eve", "speech", seconds=80_000) for _ in range(3)]
    bound(script, *leases)
    tick(script, 700)
    script.ask("gpu", "ana", "vision")
    assert len(told(tick(script))) == 1
    assert told(tick(script, 10)) == []


def test_what_is_deserved_is_never_taken() -> None:
    script = shared(gpu(0), vision=1, speech=1)
    held = script.ask("gpu", "eve", "speech", seconds=80_000)
    bound(script, held)
    script.ask("gpu", "ana", "vision")
    assert told(tick(script, 700)) == []


def test_who_would_borrow_claims_nothing() -> None:
    script = shared(gpu(0), gpu(1), vision=0.5, speech=1)
    leases = [script.ask("gpu", "eve", "speech", seconds=80_000) for _ in range(2)]
    bound(script, *leases)
    script.ask("gpu", "ana", "vision")
    assert told(tick(script, 700)) == []


def test_who_has_no_quota_claims_nothing() -> None:
    script = shared(gpu(0), speech=0)
    bound(script, script.ask("gpu", "eve", "speech", seconds=80_000))
    script.ask("gpu", "kim")
    assert told(tick(script, 700)) == []


def test_a_borrowed_lease_runs_its_minimum_time_first() -> None:
    script = shared(gpu(0), vision=1, speech=0)
    held = script.ask("gpu", "eve", "speech", seconds=80_000)
    bound(script, held)
    script.ask("gpu", "ana", "vision")
    assert told(tick(script, 599)) == []
    assert told(tick(script, 1)) == [held]


def test_nobody_gives_way_shortly_before_the_end() -> None:
    script = shared(gpu(0), vision=1, speech=0)
    bound(script, script.ask("gpu", "eve", "speech", seconds=870))
    script.ask("gpu", "ana", "vision")
    assert told(tick(script, 700)) == [], "the wait is 170 s, the grace alone 120 s"


def test_a_lease_whose_slot_the_claimant_can_not_use_stays() -> None:
    script = shared(mig_gpu(0, ("3g.40gb", "2g.20gb", "1g.10gb")), vision=1, speech=0)
    small = script.ask("1g.10gb", "eve", "speech", seconds=80_000)
    large = script.ask("3g.40gb", "eve", "speech", seconds=80_000)
    bound(script, small, large)
    tick(script, 700)
    script.ask("3g.40gb", "ana", "vision")
    assert told(tick(script)) == [large]


def test_as_few_as_will_do_give_way() -> None:
    script = shared(gpu(0), gpu(1), vision=1, speech=0)
    quarters = [script.ask("0.25", "eve", "speech", seconds=80_000) for _ in range(4)]
    whole = script.ask("gpu", "eve", "speech", seconds=80_000)
    bound(script, *quarters, whole)
    tick(script, 700)
    script.ask("gpu", "ana", "vision")
    assert told(tick(script)) == [whole]


def test_two_go_where_one_is_not_enough() -> None:
    script = shared(gpu(0), gpu(1), gpu(2), vision=2, speech=0)
    leases = [script.ask("gpu", "eve", "speech", seconds=80_000) for _ in range(3)]
    bound(script, *leases)
    tick(script, 700)
    script.ask("gpu", "ana", "vision", count=2)
    assert sorted(told(tick(script))) == leases[1:]


def test_a_notice_is_taken_back_when_the_claimant_waits_no_more() -> None:
    script = shared(gpu(0), vision=1, speech=0)
    held = script.ask("gpu", "eve", "speech", seconds=80_000)
    bound(script, held)
    end = script.state.leases[held].ends_at
    tick(script, 700)
    claim = script.ask("gpu", "ana", "vision")
    tick(script)
    script.run(Cancelled(claim))
    assert [c.kind for c in tick(script, 1)] == ["kept"]
    assert script.state.leases[held].ends_at == end
    assert script.state.leases[held].gives_way_to is None


def test_the_group_that_gave_way_does_not_take_it_back() -> None:
    script = shared(gpu(0), vision=1, speech=0)
    held = script.ask("gpu", "eve", "speech", seconds=80_000)
    bound(script, held)
    tick(script, 700)
    mine = script.ask("gpu", "ana", "vision", seconds=80_000)
    tick(script)
    tick(script, 120)
    script.run(Cleared(held))
    bound(script, mine)
    script.ask("gpu", "eve", "speech")
    for _ in range(50):
        assert told(tick(script, 700)) == []
    assert script.holds(mine)


def test_a_lease_that_gives_way_can_not_be_extended() -> None:
    script = shared(gpu(0), vision=1, speech=0)
    held = script.ask("gpu", "eve", "speech", seconds=7200)
    bound(script, held)
    tick(script, 700)
    script.ask("gpu", "ana", "vision")
    tick(script)
    with pytest.raises(Promised, match="is borrowed"):
        script.run(Extended(held, 60))


def test_an_extension_that_delays_somebody_who_waits_is_refused_and_says_how_much_is_left() -> None:
    script = Script(state_of(gpu(0), gpu(1)))
    short = script.ask("gpu", "eve", seconds=600)
    script.ask("gpu", "eve", seconds=1000)
    script.ask("gpu", "ana", count=2)
    with pytest.raises(Promised) as refusal:
        script.run(Extended(short, 401))
    assert "at most 400 s" in refusal.value.hint
    script.run(Extended(short, 400))


def test_the_holder_is_told_once_before_the_end_and_again_after_an_extension() -> None:
    script = Script(state_of(gpu(0)))
    lease = script.ask("gpu", seconds=3600)
    bound(script, lease)
    assert tick(script, 3299) == []
    assert [c.kind for c in tick(script, 1)] == ["notice"]
    assert tick(script, 1) == []
    script.run(Extended(lease, 600))
    assert [c.kind for c in tick(script, 599)] == ["notice"]


def test_a_preempted_lease_is_in_the_ledger_with_the_time_it_was_declared_for() -> None:
    script = shared(gpu(0), vision=1, speech=0)
    held = script.ask("gpu", "eve", "speech", seconds=7200)
    bound(script, held)
    tick(script, 700)
    script.ask("gpu", "ana", "vision")
    tick(script)
    script.run(Ended(held, "released"))
    (entry,) = [c.ledger for c in script.ledger if c.ledger]
    assert entry.declared_seconds == 7200
